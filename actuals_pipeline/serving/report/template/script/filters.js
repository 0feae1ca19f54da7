// What can be chosen, kept in the address, so that what is seen can be shown to others.

const form = byId("filters");
const offer = (name, options, first) => {
  const select = form.elements[name];
  const made = options.map(([value, text]) => new Option(text, value));
  if (first) made.unshift(new Option(first, "-1"));
  select.replaceChildren(...made);
  select.closest("label").hidden = options.length < 2;
};
const offerCampaigns = () => {
  const found = told.campaigns
    .map(([id, name, account], place) => [place, name || id, account])
    .filter(([, , account]) => chosen.account < 0 || account === chosen.account);
  offer("campaign", found, "All");
};
const busiest = () => (moneyByCurrency()[0] || [all.currency])[0];

const chose = (event) => {
  const { name, value } = event.target;
  if (!(name in chosen)) return;
  if (name === "since" || name === "until") {
    const day = value ? Math.min(lastDay, Math.max(0, offsetOf(value))) : all[name];
    chosen[name] = day;
    if (chosen.since > chosen.until) chosen[name === "since" ? "until" : "since"] = day;
  } else {
    chosen[name] = Number(value);
  }
  if (name === "account") chosen.campaign = -1;
  // Where the chosen ads have none of the currency that was shown.
  if (name === "account" || name === "campaign") chosen.currency = busiest();
  show();
};
const clear = () => {
  Object.assign(chosen, all);
  show();
};

const show = () => {
  ads.page = 0;
  offerCampaigns();
  for (const name of ["account", "campaign", "model", "currency"]) form.elements[name].value = chosen[name];
  for (const name of ["since", "until"]) form.elements[name].value = isoAt(chosen[name]);
  form.elements.all.disabled = !isAnyChosen(...Object.keys(all));
  byId("choices").querySelector("summary").textContent = `Filters: ${choiceSaid()}`;
  address();
  retell();
  filterTables();
  listAds();
  redraw();
};

// Ids, not places: those stay the same when the page is made anew.
const NAMES = {
  account: (place) => told.accounts[place]?.[0],
  campaign: (place) => told.campaigns[place]?.[0],
  model: (place) => told.models[place],
  currency: (place) => told.currencies[place]?.[0],
  since: isoAt,
  until: isoAt,
};
const address = () => {
  const said = new URLSearchParams();
  for (const [name, text] of Object.entries(NAMES)) if (isAnyChosen(name)) said.set(name, text(chosen[name]));
  history.replaceState(null, "", said.size ? `#${said}` : location.pathname + location.search);
};
const chooseByAddress = () => {
  for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
    if (name === "since" || name === "until") {
      const day = offsetOf(text);
      if (day >= 0 && day <= lastDay) chosen[name] = day;
    } else if (name in NAMES) {
      const count = { account: told.accounts, campaign: told.campaigns, model: told.models, currency: told.currencies }[name].length;
      const place = [...Array(count).keys()].find((each) => NAMES[name](each) === text);
      if (place !== undefined) chosen[name] = place;
    }
  }
};
const choiceSaid = () => {
  const names = ["account", "campaign", "model"].filter((name) => chosen[name] >= 0).map((name) => form.elements[name].selectedOptions[0]?.text);
  if (areDaysChosen()) names.push(`${isoAt(chosen.since)} to ${isoAt(chosen.until)}`);
  return names.length ? names.join(", ") : "all";
};

const STALE_HOURS = 3;
const tellAge = () => {
  if (!told.fetched_at) return;
  const oldest = least(told.accounts.map((account) => Date.parse(account[2])));
  const hours = (Date.now() - oldest) / 3600000;
  const age = hours < 1 ? `${Math.max(0, Math.round(hours * 60))} min` : hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
  const place = byId("tile-fetched");
  const value = place.querySelector(".value");
  value.title = new Date(oldest).toISOString();
  value.textContent = `${age} ago`;
  const stale = byId("stale");
  stale.hidden = hours < STALE_HOURS;
  if (stale.hidden) return;
  place.dataset.state = "bad";
  const said = told.live
    ? `Stale: the newest figures are ${age} old. See whether the schedule runs with \`actuals status\`, or run \`actuals sync\`.`
    : `This file's newest figures are ${age} old. Make a new one with \`actuals report\`.`;
  stale.replaceChildren(...coded(said));
};

const begin = () => {
  chosen.currency = all.currency = busiest();
  offer("account", told.accounts.map((_, place) => [place, accountSaid(place)]), "All");
  offer("model", told.models.map((name, place) => [place, name]), "All");
  offer("currency", told.currencies.map(([code], place) => [place, code]));
  for (const name of ["since", "until"]) Object.assign(form.elements[name], { min: told.since, max: told.until });
  const choices = byId("choices");
  choices.hidden = form.hidden = false;
  // On a phone the figures come first.
  choices.open = !matchMedia("(max-width: 40rem)").matches;
  form.addEventListener("change", chose);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    clear();
  });
  linkToNewest();
  beginAds();
  beginExports();
  beginSections();
  for (const figure of figures) {
    figure.querySelector("details").addEventListener("toggle", () => fill(figure, rowsOf(figure)));
    seen.observe(figure);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  addEventListener("resize", resized);
  tellAge();
  setInterval(tellAge, 60000);
  chooseByAddress();
  show();
};

// From a page of days that were asked for there is a way back.
const linkToNewest = () => {
  if (!told.live || !location.search) return;
  const link = document.createElement("a");
  link.href = location.pathname;
  link.textContent = "the newest days";
  byId("window").append("; see ", link);
};

// The address says what was chosen, so the links to sections leave it as it is.
const beginSections = () => {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#sections a, .tile a");
    if (!link) return;
    const target = byId(link.hash.slice(1));
    event.preventDefault();
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  });
};

// After the first paint, which needs none of this; a page that nobody sees yet is not painted.
let begun = false;
const once = () => {
  if (begun) return;
  begun = true;
  begin();
};
requestAnimationFrame(() => setTimeout(once, 0));
setTimeout(once, 500);
