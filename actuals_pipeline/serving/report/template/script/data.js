// What the server told, its days, and what the reader chose of it.

const byId = (id) => document.getElementById(id);
const told = JSON.parse(byId("data").textContent);
const DAY = 86400000;

// Days are local midnights, so that the charts' local time shows the account's calendar day.
const parts = told.since.split("-").map(Number);
const dayAt = (offset) => new Date(parts[0], parts[1] - 1, parts[2] + offset).getTime();
const midnight = (iso) => {
  const [year, month, day] = iso.split("-").map(Number);
  return new Date(year, month - 1, day).getTime();
};
const isoOf = (time) => {
  const at = new Date(time);
  const two = (value) => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
};
const isoAt = (offset) => isoOf(dayAt(offset));
const offsetOf = (iso) => Math.round((midnight(iso) - dayAt(0)) / DAY);
const lastDay = offsetOf(told.until);

const all = { account: -1, campaign: -1, model: -1, currency: 0, since: 0, until: lastDay };
const chosen = { ...all };
const areDaysChosen = () => chosen.since !== all.since || chosen.until !== all.until;
const isAnyChosen = (...names) => names.some((name) => chosen[name] !== all[name]);

const adNames = new Map(told.ads.id.map((id, place) => [id, told.ads.name[place] || id]));
const accountName = (place) => (place < 0 ? "unknown account" : told.accounts[place][1] || told.accounts[place][0]);

const belongs = (rows, place) =>
  (chosen.account < 0 || rows.account[place] === chosen.account) &&
  (chosen.campaign < 0 || !rows.campaign || rows.campaign[place] === chosen.campaign);
const within = (day) => day >= chosen.since && day <= chosen.until;
const places = (column, keep) => {
  const kept = [];
  for (let place = 0; place < column.length; place += 1) if (keep(place)) kept.push(place);
  return kept;
};
const ADDED = ["spend", "revenue", "conversions", "impressions", "clicks"];
const add = (sums, rows, place) => {
  for (const name of ADDED) sums[name] = (sums[name] || 0) + rows[name][place];
  return sums;
};
const total = (values) => values.reduce((sum, value) => sum + value, 0);
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const ratio = (above, below) => (below ? above / below : null);
