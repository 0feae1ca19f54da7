// The table of ads.

const PAGE = 25;
const ads = { sort: "spend", down: true, page: 0, find: "" };
// Each ad's sums: those of the page's days, or of the chosen ones where the page has the days of ads.
const adFigures = () => {
  const days = told.ad_days;
  if (!areDaysChosen() || !days) return told.ads;
  const sums = Object.fromEntries(ADDED.map((name) => [name, told.ads.id.map(() => 0)]));
  const seen = new Set();
  for (const each of places(days.day, (place) => within(days.day[place]))) {
    const ad = days.ad[each];
    seen.add(ad);
    for (const name of ADDED) sums[name][ad] += days[name][each];
  }
  return { ...told.ads, ...sums, seen };
};
const adRows = () => {
  const rows = adFigures();
  const wanted = ads.find.trim().toLowerCase();
  const kept = places(
    rows.id,
    (each) =>
      belongs(rows, each) && (!rows.seen || rows.seen.has(each)) && (!wanted || rows.id[each].includes(wanted) || rows.name[each].toLowerCase().includes(wanted)),
  ).map((each) => ({
    id: rows.id[each],
    name: rows.name[each] || rows.id[each],
    currency: rows.currency[each],
    spend: rows.spend[each],
    revenue: rows.revenue[each],
    roas: ratio(rows.revenue[each], rows.spend[each]),
    ctr: ratio(rows.clicks[each], rows.impressions[each]),
    conversions: rows.conversions[each],
  }));
  const key = ads.sort;
  // Amounts of two currencies say nothing of which is more: they are told apart, the busiest first.
  const ranks = new Map(moneyByCurrency().map(([currency], rank) => [currency, rank]));
  const rank = (row) => (MONEY.has(key) ? (ranks.get(row.currency) ?? ranks.size) : 0);
  const order = (a, b) => (a[key] === b[key] ? 0 : a[key] === null ? 1 : b[key] === null ? -1 : (a[key] < b[key]) === ads.down ? 1 : -1);
  return kept.sort((a, b) => rank(a) - rank(b) || order(a, b));
};
const MONEY = new Set(["spend", "revenue"]);
const AD_COLUMNS = ["name", "spend", "revenue", "roas", "ctr", "conversions"];
const listAds = () => {
  const table = byId("table-ads");
  if (!table) return;
  const rows = adRows();
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  ads.page = Math.min(ads.page, pages - 1);
  const body = table.tBodies[0];
  body.replaceChildren();
  for (const row of rows.slice(ads.page * PAGE, (ads.page + 1) * PAGE)) {
    const line = body.insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = row.name;
    button.title = `Ad ${row.id}: its story`;
    button.addEventListener("click", () => openStory(row.id));
    name.append(button);
    line.append(name);
    const texts = [amount(row.spend, row.currency), amount(row.revenue, row.currency), multiple(row.roas), share(row.ctr, 2), shown(row.conversions, 0)];
    for (const text of texts) {
      const cell = line.insertCell();
      cell.className = "number";
      cell.textContent = text;
    }
  }
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    if (AD_COLUMNS[place] === ads.sort) cell.setAttribute("aria-sort", ads.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
  const nav = byId("pages");
  nav.hidden = pages < 2;
  nav.querySelector("span").textContent = `${Math.min(rows.length, ads.page * PAGE + 1)} to ${Math.min(rows.length, (ads.page + 1) * PAGE)} of ${rows.length}`;
  for (const button of nav.querySelectorAll("button")) {
    button.disabled = button.dataset.step < 0 ? ads.page === 0 : ads.page === pages - 1;
  }
  sayNothing(table);
  sayDaysOfAds();
  const whole = told.ads_in_all > told.ads.id.length ? `; the page holds the ${told.ads.id.length} with most spend of ${told.ads_in_all}` : "";
  byId("announced").textContent = `${several(rows.length, "ad")}${whole}`;
};
// A page of many ads has no days of each: it is made anew for the days that were chosen.
const sayDaysOfAds = () => {
  const note = byId("days-of-ads");
  note.hidden = !areDaysChosen() || Boolean(told.ad_days);
  if (note.hidden) return;
  const [since, until] = [isoAt(chosen.since), isoAt(chosen.until)];
  if (!told.live) {
    note.replaceChildren(...coded(`The ads below are of all days of this file. For theirs: \`actuals report --since ${since} --until ${until}\`.`));
    return;
  }
  const link = document.createElement("a");
  link.href = `?since=${since}&until=${until}${location.hash}`;
  link.textContent = `the page of ${since} to ${until}`;
  note.replaceChildren("The ads below are of all days of this page. Open ", link, ".");
};
const beginAds = () => {
  const table = byId("table-ads");
  if (!table) return;
  byId("ads-tools").hidden = false;
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = cell.textContent;
    button.addEventListener("click", () => {
      const name = AD_COLUMNS[place];
      Object.assign(ads, { down: ads.sort === name ? !ads.down : name !== "name", sort: name, page: 0 });
      listAds();
    });
    cell.replaceChildren(button);
  });
  byId("find").addEventListener("input", (event) => {
    Object.assign(ads, { find: event.target.value, page: 0 });
    listAds();
  });
  byId("pages").addEventListener("click", (event) => {
    ads.page += Number(event.target.dataset.step || 0);
    listAds();
  });
};
