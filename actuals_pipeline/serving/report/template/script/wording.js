// Figures as people read them: `wording.py` says the same.

const MINUS = "\u2212";
const shown = (value, digits) =>
  value === null || value === undefined || Number.isNaN(value)
    ? "unknown"
    : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", MINUS);
const digitsOf = new Map(told.currencies);
const money = (value, code) => (value === null ? "unknown" : `${shown(value, digitsOf.get(code) ?? 2)} ${code}`);
const amount = (value, currency) => money(value, told.currencies[currency][0]);
const multiple = (value) => (value === null ? "unknown" : `${shown(value, 2)}\u00d7`);
const share = (value, digits = 0) => (value === null ? "unknown" : `${shown(100 * value, digits)} %`);
const percent = (value, digits = 1) => (value === null ? "unknown" : `${shown(value, digits)} %`);
const several = (number, one) => `${shown(number, 0)} ${one}${number === 1 ? "" : "s"}`;
const dayOf = (time) => new Date(time).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
const dateOf = (time) =>
  new Date(time).toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric" });
