// The numbers at the top, of what was chosen; as the server wrote them, which is exact, for all.

const written = new Map([...document.querySelectorAll(".tile")].map((tile) => [tile, tile.innerHTML]));
const asWritten = (key) => {
  const place = byId(`tile-${key}`);
  if (place) place.innerHTML = written.get(place);
};
const tile = (key, values, note) => {
  const place = byId(`tile-${key}`);
  const said = (className, text) => {
    const cell = document.createElement("dd");
    cell.className = className;
    cell.textContent = text;
    return cell;
  };
  const cells = (values.length ? values : ["unknown"]).map((value, index) => said(index ? "other" : "value", value));
  const extra = place.querySelector(".measure");
  place.replaceChildren(place.querySelector("dt"), ...cells, ...(extra ? [extra] : []), said("note", note));
};

const retell = () => {
  retellMoney();
  retellReconciled();
  retellScore();
  for (const key of ["invested", "coverage"]) asWritten(key);
  tellWider();
  // These are of all accounts, whichever was chosen.
  if (!isAnyChosen("account", "campaign")) return;
  for (const key of ["invested", "accuracy", "coverage"]) byId(`tile-${key}`)?.querySelector(".note").append("; of all accounts");
  if (isAnyChosen("campaign")) byId("tile-reconciled").querySelector(".note").append(`; of ${widest()}`);
};
// What is not kept by campaign is of its account, if one was chosen; some is kept by none of both.
const widest = (isKeptByAccount = true) => (isKeptByAccount && chosen.account >= 0 ? "the whole account" : "all accounts");
const tellWider = () => {
  for (const note of document.querySelectorAll("[data-wider]")) {
    const isKeptByAccount = note.dataset.wider === "account";
    note.hidden = !isAnyChosen("campaign") && (isKeptByAccount || !isAnyChosen("account"));
    note.textContent = `${note.dataset.what} of ${widest(isKeptByAccount)}, not only of what you chose.`;
  }
};

const retellMoney = () => {
  if (!isAnyChosen("account", "campaign", "since", "until")) {
    for (const key of ["spend", "revenue", "roas", "cpa"]) asWritten(key);
    return;
  }
  const sums = moneyByCurrency();
  const days = several(chosen.until - chosen.since + 1, "day");
  const inCode = (currency) => (sums.length > 1 ? ` in ${told.currencies[currency][0]}` : "");
  const bought = total(sums.map(([, each]) => each.conversions));
  tile("spend", sums.map(([code, each]) => amount(each.spend, code)), `of ${days}, as chosen`);
  tile("revenue", sums.map(([code, each]) => amount(each.revenue, code)), "as chosen");
  tile("roas", sums.map(([code, each]) => multiple(ratio(each.revenue, each.spend)) + inCode(code)), "revenue for each unit spent, as chosen");
  tile("cpa", sums.map(([code, each]) => amount(ratio(each.spend, each.conversions), code)), `${several(bought, "purchase")}, as chosen`);
};

const reconciledPlaces = () =>
  places(told.reconciled.day, (each) => within(told.reconciled.day[each]) && belongs({ account: told.reconciled.account }, each));

const retellReconciled = () => {
  const place = byId("tile-reconciled");
  if (!isAnyChosen("account", "since", "until")) {
    asWritten("reconciled");
    place.dataset.state = place.dataset.written;
    return;
  }
  const rows = told.reconciled;
  const kept = reconciledPlaces();
  const exact = kept.filter((each) => rows.verdict[each] === "exact").length;
  const isBeyond = kept.some((each) => rows.verdict[each] === "gap");
  const gaps = new Map();
  for (const each of kept) if (rows.gap[each]) gaps.set(rows.code[each], (gaps.get(rows.code[each]) || 0) + Math.abs(rows.gap[each]));
  const gap = [...gaps].map(([code, sum]) => money(sum, code)).join(", ");
  const words = [["Not yet", "warn"], ["To the cent", "good"], ["No", "bad"], ["Within tolerance", "warn"]];
  const [word, state] = words[!kept.length ? 0 : exact === kept.length ? 1 : isBeyond ? 2 : 3];
  place.dataset.state = state;
  tile("reconciled", [word], `Meta's own total and the sum over the ads agree on ${shown(exact, 0)} of the ${shown(kept.length, 0)} account-days that you chose; ${gap ? `gap ${gap}` : "no gap"}`);
};

const retellScore = () => {
  const name = told.models[chosen.model];
  const score = told.scores.find((each) => each.model === name);
  if (!name) asWritten("accuracy");
  else if (score) {
    tile("accuracy", [score.told, score.sureness], score.note);
    rule(byId("tile-accuracy").querySelector(".ruler"), score);
  } else tile("accuracy", ["unknown"], `${name} has no score yet`);
  const sentence = byId("chosen");
  sentence.hidden = !isAnyChosen("account", "campaign", "model");
  if (!sentence.hidden) sentence.textContent = scoreSaid();
};
const rule = (ruler, score) => {
  if (!ruler) return;
  ruler.setAttribute("aria-label", score.drawn);
  for (const name of ["value", "low", "high", "baseline", "ceiling", "least"]) {
    ruler.style.setProperty(`--${name}`, score[name] ?? score.value);
  }
  for (const name of ["baseline", "ceiling"]) ruler.querySelector(`.${name} b`).textContent = percent(score[name]);
};
const scoreSaid = () => {
  const rows = told.pairs;
  const scores = pairPlaces()
    .map((each) => [rows.ctr_accuracy[each], rows.roas_accuracy[each]].filter((value) => value !== null))
    .filter((values) => values.length)
    .map((values) => total(values) / values.length);
  if (!scores.length) return "Of what you chose no prediction can be compared yet.";
  return `Of what you chose, ${several(scores.length, "prediction")} score ${share(total(scores) / scores.length, 1)} on average; a part of the ads has no interval of its own.`;
};
