// What each chart shows, said in its title: of its rows, and so of what was chosen.

const weekBefore = (days, end) => days.slice(Math.max(0, end - 7), end);
const change = (now, before) => {
  const by = ratio(now - before, Math.abs(before));
  if (by === null || Math.abs(by) > 10) return "";
  const word = by < 0 ? "less" : "more";
  return Math.abs(by) < 0.005 ? ", as in the 7 before" : `, ${share(Math.abs(by))} ${word} than in the 7 before`;
};

// The newest day of all is not over: it would make every week look worse than the one before.
const weeks = () => {
  const days = dailySums();
  const end = days.length - (days.length && days[days.length - 1].day === lastDay ? 1 : 0);
  const [now, before] = [weekBefore(days, end), weekBefore(days, end - 7)];
  const said = now.length ? `in the 7 days to ${dayOf(dayAt(now[now.length - 1].day))}` : "";
  return { days, now: summed(now), before: summed(before), said, areWhole: now.length === 7 && before.length === 7 };
};
const daily = (name, done) => () => {
  const { days, now, before, said, areWhole } = weeks();
  if (!areWhole) return `${amount(summed(days)[name], chosen.currency)} ${done} on ${several(days.length, "day")}`;
  const pace = `${amount(now[name] / 7, chosen.currency)} ${done} a day ${said}`;
  // Not compared with days that have had more time for late purchases.
  const isMoving = name === "revenue" && !now.settled;
  return isMoving ? `${pace}; late purchases still come` : `${pace}${change(now[name], before[name])}`;
};
const rate = (above, below, form, label) => () => {
  const { days, now, said, areWhole } = weeks();
  const whole = summed(days);
  const over = `${form(ratio(whole[above], whole[below]))} over all ${several(days.length, "day")}`;
  return areWhole ? `${label} ${form(ratio(now[above], now[below]))} ${said}, ${over}` : `${label} ${over}`;
};
// Such as: 3 are right, 1 is too high, 2 cannot be told yet.
const counted = (counts) =>
  counts
    .filter(([number]) => number)
    .map(([number, word]) => {
      const verb = /^(cannot|spends)/.test(word) ? "" : number === 1 ? "is " : "are ";
      return `${shown(number, 0)} ${verb}${number === 1 ? word : word.replace("spends", "spend")}`;
    })
    .join(", ");
const verdicts = (metric, label) => (rows) => {
  const count = (verdict) => rows.filter((row) => row.verdict === verdict).length;
  const [good, high, low, unknown] = VERDICTS.map(count);
  const counts = [[good, "right"], [high, "too high"], [low, "too low"], [unknown, "cannot be told yet"]];
  return `Of ${several(rows.length, "prediction")} of ${label} ${counted(counts)}`;
};
const STATEMENTS = {
  spend: daily("spend", "spent"),
  revenue: daily("revenue", "earned"),
  roas: rate("revenue", "spend", multiple, "ROAS of"),
  cpa: rate("spend", "conversions", (value) => amount(value, chosen.currency), "A purchase costs"),
  ctr_scatter: verdicts("ctr", "CTR"),
  roas_scatter: verdicts("roas", "ROAS"),
  // Of all pairs: a tenth without a click has no place on the chart.
  calibration: () =>
    [...calibratedByModel()]
      .map(([model, kept]) => {
        const rows = told.pairs;
        const expected = total(kept.map((each) => rows.ctr_said[each] * rows.impressions[each]));
        const came = total(kept.map((each) => rows.clicks[each]));
        return `${told.models[model]} predicts ${shown(ratio(expected, came), 2)} clicks for each that came`;
      })
      .join("; "),
  accuracy: (rows) => {
    const newest = most(rows.map((row) => row.day));
    // The rows of a day come in the order of what they are worth, as the tile's do.
    const best = rows.find((row) => row.day === newest);
    const possible = best.ceiling === null ? "" : ` of the ${percent(best.ceiling)} that are possible`;
    return `${best.model} scores ${percent(best.value)}${possible} (${best.kind})`;
  },
  development: (rows) => {
    const at = (age) => {
      const shares = rows.filter((row) => row.age === age).map((row) => row.share);
      return shares.length ? share(total(shares) / shares.length) : "unknown";
    };
    return `A day's revenue is known to ${at(0)} on the day itself and to ${at(3)} after 3 days`;
  },
  restated: (cells) => {
    const first = new Map();
    for (const cell of cells) if (!first.has(cell.day) || cell.known < first.get(cell.day).known) first.set(cell.day, cell);
    const moved = [...first.values()].filter((cell) => Math.abs(cell.share - 1) > 0.0005);
    if (!moved.length) return `None of ${several(first.size, "report day")} changed since it was first fetched`;
    const farthest = moved.reduce((a, b) => (Math.abs(b.share - 1) > Math.abs(a.share - 1) ? b : a));
    return `${shown(moved.length, 0)} of ${several(first.size, "report day")} changed since first fetched; ${farthest.when} then had ${farthest.share_told} of today's revenue`;
  },
  pacing: (rows) => {
    const counts = Object.values(PACES).map(([, word]) => [rows.filter((row) => row.said === word).length, word]);
    return `Of ${several(rows.length, "budget")} ${counted(counts)}`;
  },
  quota: (rows) => {
    const highest = rows.reduce((a, b) => (b.quota > a.quota ? b : a));
    const whose = highest.quota === highest.account_quota ? "the account's" : "the app's";
    return `At most ${percent(highest.quota)} of Meta's call limits was used up (${whose})`;
  },
};

const inBars = (name) => (width) => `${name} by ${daysInBar(width) === 1 ? "day" : "week"}, ${told.currencies[chosen.currency][0]}.`;
const CAPTIONS = { spend: inBars("Spend"), revenue: inBars("Revenue") };
