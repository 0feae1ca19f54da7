// The rows of each chart, of what was chosen.

const MOST_INTERVALS = 400;
const VERDICTS = ["within tolerance", "too high", "too low", "cannot be told yet"];
const KINDS = {
  headline: "final, attested",
  headline_unattested: "final, imported, unattested",
  launch_to_date: "provisional",
};

const moneyByCurrency = () => {
  const days = told.days;
  const sums = new Map();
  for (const place of places(days.day, (each) => within(days.day[each]) && belongs(days, each))) {
    const currency = days.currency[place];
    if (!sums.has(currency)) sums.set(currency, { rows: 0 });
    sums.get(currency).rows += 1;
    add(sums.get(currency), days, place);
  }
  const codes = (currency) => told.currencies[currency][0];
  return [...sums].sort((a, b) => b[1].rows - a[1].rows || (codes(a[0]) < codes(b[0]) ? -1 : 1));
};

// Sums of each report day, the first day first; those of days without delivery are zero.
const dailySums = () => {
  const days = told.days;
  const byDay = new Map();
  const kept = places(
    days.day,
    (each) => within(days.day[each]) && belongs(days, each) && days.currency[each] === chosen.currency,
  );
  if (!kept.length) return [];
  for (const place of kept) {
    const day = days.day[place];
    if (!byDay.has(day)) byDay.set(day, { settled: 1 });
    const sums = add(byDay.get(day), days, place);
    sums.settled &= days.settled[place];
  }
  const nothing = { spend: 0, revenue: 0, conversions: 0, impressions: 0, clicks: 0 };
  const [first, last] = [least([...byDay.keys()]), most([...byDay.keys()])];
  const rows = [];
  let settled = 1;
  for (let day = first; day <= last; day += 1) {
    const sums = byDay.get(day) || { ...nothing, settled };
    settled = sums.settled;
    rows.push({ day, ...sums });
  }
  return rows;
};

const standing = (sums) => (sums.settled ? "settled" : "provisional");
const summed = (rows) => {
  const sums = { settled: 1 };
  for (const name of ADDED) sums[name] = total(rows.map((row) => row[name]));
  for (const row of rows) sums.settled &= row.settled;
  return sums;
};

// Bars are of weeks where those of days would be too thin to be seen: so many pixels each.
const LEAST_BAR = 5.5;
const daysInBar = (width) => ((chosen.until - chosen.since + 1) * LEAST_BAR > width - 60 ? 7 : 1);

const trend = (width) => {
  const days = dailySums();
  const step = daysInBar(width);
  const bars = [];
  // Whole weeks from the newest day back; the first may have fewer days.
  for (let end = days.length; end > 0; end -= step) bars.unshift(days.slice(Math.max(0, end - step), end));
  return bars.map((bar) => {
    const [first, last] = [bar[0].day, bar[bar.length - 1].day];
    const sums = summed(bar);
    return {
      day: dayAt(first),
      last: dayAt(last),
      next: dayAt(last + 1) - 0.18 * bar.length * DAY,
      when: first === last ? dateOf(dayAt(first)) : `${dateOf(dayAt(first))} to ${dateOf(dayAt(last))}`,
      spend: sums.spend,
      revenue: sums.revenue,
      conversions: sums.conversions,
      spend_told: amount(sums.spend, chosen.currency),
      revenue_told: amount(sums.revenue, chosen.currency),
      state: standing(sums),
    };
  });
};

const rates = () => {
  const days = dailySums();
  return days.map((sums, place) => {
    const week = summed(days.slice(Math.max(0, place - 6), place + 1));
    const row = {
      day: dayAt(sums.day),
      when: dateOf(dayAt(sums.day)),
      spend: sums.spend,
      revenue: sums.revenue,
      conversions: sums.conversions,
      roas: ratio(sums.revenue, sums.spend),
      roas_of_7: ratio(week.revenue, week.spend),
      cpa: ratio(sums.spend, sums.conversions),
      cpa_of_7: ratio(week.spend, week.conversions),
      state: standing(sums),
    };
    for (const name of ["roas", "roas_of_7"]) row[`${name}_told`] = multiple(row[name]);
    for (const name of ["cpa", "cpa_of_7"]) row[`${name}_told`] = amount(row[name], chosen.currency);
    return row;
  });
};

const pairPlaces = () =>
  places(
    told.pairs.ad,
    (each) => belongs(told.pairs, each) && (chosen.model < 0 || told.pairs.model[each] === chosen.model),
  );

const pairs = (metric) => {
  const rows = told.pairs;
  const of = (name) => rows[`${metric}_${name}`];
  const kept = pairPlaces().filter((each) => of("said")[each] > 0 && of("was")[each] !== null);
  const smallest = least(kept.map((each) => of("was")[each]).filter((value) => value > 0));
  const floor = Number.isFinite(smallest) ? smallest / 1.5 : 0.001;
  // So many intervals hide the marks; each mark still tells its own.
  const crowded = kept.length > MOST_INTERVALS;
  const form = metric === "ctr" ? (value) => share(value, 2) : multiple;
  return kept.map((each) => {
    const [low, high] = [of("low")[each], of("high")[each]];
    return {
      ad: rows.ad[each],
      name: adNames.get(rows.ad[each]) || rows.ad[each],
      model: told.models[rows.model[each]],
      said: of("said")[each],
      really: of("was")[each],
      said_told: form(of("said")[each]),
      really_told: form(of("was")[each]),
      was: Math.max(of("was")[each], floor),
      low: low === null || crowded ? null : Math.max(low, floor),
      high: high === null || crowded ? null : Math.max(high, floor),
      between: low === null ? "unknown" : `${form(low)} to ${form(high)}`,
      verdict: VERDICTS[of("verdict")[each]] || VERDICTS[3],
      final: Boolean(of("final")[each]),
      standing: of("final")[each] ? "final" : "provisional",
    };
  });
};

const lineOver = (rows) => {
  // Of all that is drawn, so that both axes are of the same length.
  const values = rows.flatMap((row) => [row.said, row.was, row.low, row.high]).filter((value) => value > 0);
  return values.length ? [{ at: least(values) }, { at: most(values) }] : [];
};

// The pairs with clicks to compare, of each model.
const calibratedByModel = () => {
  const rows = told.pairs;
  const byModel = new Map();
  for (const each of pairPlaces()) {
    if (!(rows.ctr_said[each] > 0 && rows.impressions[each] > 0 && rows.clicks[each] !== null)) continue;
    const model = rows.model[each];
    if (!byModel.has(model)) byModel.set(model, []);
    byModel.get(model).push(each);
  }
  return byModel;
};
const calibration = () => {
  const rows = told.pairs;
  const bins = [];
  for (const [model, kept] of calibratedByModel()) {
    kept.sort((a, b) => rows.ctr_said[a] - rows.ctr_said[b]);
    const size = Math.max(1, Math.ceil(kept.length / 10));
    for (let start = 0; start < kept.length; start += size) {
      const bin = kept.slice(start, start + size);
      const n = total(bin.map((each) => rows.impressions[each]));
      const clicks = total(bin.map((each) => rows.clicks[each]));
      const said = total(bin.map((each) => rows.ctr_said[each] * rows.impressions[each])) / n;
      if (!clicks) continue;
      // Wilson's interval at 95 percent.
      const [rate, z2] = [clicks / n, 1.96 ** 2];
      const middle = (rate + z2 / (2 * n)) / (1 + z2 / n);
      const half = (1.96 * Math.sqrt((rate * (1 - rate)) / n + z2 / (4 * n * n))) / (1 + z2 / n);
      bins.push({
        model: told.models[model],
        said,
        was: rate,
        low: middle - half,
        high: middle + half,
        ads: bin.length,
        clicks,
        said_told: share(said, 2),
        was_told: share(rate, 2),
      });
    }
  }
  return bins;
};

const accuracy = () => {
  const rows = told.accuracy;
  const kept = places(
    rows.day,
    (each) => within(rows.day[each]) && rows.protocol[each] in KINDS && (chosen.model < 0 || rows.model[each] === chosen.model),
  );
  return kept.map((each) => ({
    day: dayAt(rows.day[each]),
    model: told.models[rows.model[each]],
    kind: KINDS[rows.protocol[each]],
    series: `${rows.model[each]} ${rows.protocol[each]}`,
    protocol: rows.protocol[each],
    when: dateOf(dayAt(rows.day[each])),
    value_told: percent(rows.value[each]),
    ceiling_told: percent(rows.ceiling[each]),
    baseline_told: percent(rows.baseline[each]),
    value: rows.value[each],
    low: rows.low[each],
    high: rows.high[each],
    between: rows.low[each] === null ? "none yet" : `${shown(rows.low[each], 1)} to ${shown(rows.high[each], 1)} %`,
    ceiling: rows.ceiling[each],
    baseline: rows.baseline[each],
    pairs: rows.pairs[each],
  }));
};

const alarms = () => {
  const rows = told.drift;
  const scores = accuracy();
  return places(rows.week, (each) => rows.alarm[each] && (chosen.model < 0 || rows.model[each] === chosen.model))
    .map((each) => {
      const model = told.models[rows.model[each]];
      const day = midnight(rows.week[each]);
      const near = scores.filter((row) => row.model === model).sort((a, b) => Math.abs(a.day - day) - Math.abs(b.day - day))[0];
      return { day, when: dateOf(day), model, metric: rows.metric[each].toUpperCase(), said: rows.state[each], value: near ? near.value : null };
    })
    .filter((row) => row.value !== null && row.day >= dayAt(chosen.since) && row.day <= dayAt(chosen.until));
};

const development = () => {
  const rows = told.development;
  return places(rows.age, (each) => chosen.account < 0 || rows.account[each] === chosen.account).map((each) => ({
    account: accountName(rows.account[each]),
    age: rows.age[each],
    share: rows.share[each],
    error: rows.error[each],
    share_told: share(rows.share[each]),
    error_told: share(rows.error[each], 1),
    low: Math.max(0, rows.share[each] - 1.96 * rows.error[each]),
    high: rows.share[each] + 1.96 * rows.error[each],
    source: rows.source[each].replace("_", " "),
  }));
};

// What was known of an account's day stays known until the next revision.
const restated = () => {
  const rows = told.restated;
  const [code] = told.currencies[chosen.currency];
  const histories = new Map();
  for (let place = 0; place < rows.day.length; place += 1) {
    const account = rows.account[place];
    if (account < 0 || told.accounts[account][3] !== code || !belongs({ account: rows.account }, place)) continue;
    if (!within(rows.day[place])) continue;
    const key = `${account} ${rows.day[place]}`;
    if (!histories.has(key)) histories.set(key, { day: rows.day[place], known: [] });
    histories.get(key).known.push([rows.known[place], rows.revenue[place]]);
  }
  const end = most([0, ...rows.known]);
  const cells = new Map();
  for (const { day, known } of histories.values()) {
    let place = 0;
    for (let on = known[0][0]; on <= end; on += 1) {
      while (place + 1 < known.length && known[place + 1][0] <= on) place += 1;
      const key = `${day} ${on}`;
      if (!cells.has(key)) cells.set(key, { on, of: day, revenue: 0, accounts: 0 });
      cells.get(key).revenue += known[place][1];
      cells.get(key).accounts += 1;
    }
  }
  const final = new Map([...cells.values()].filter((cell) => cell.on === end).map((cell) => [cell.of, cell]));
  return [...cells.values()]
    .filter((cell) => final.get(cell.of).revenue > 0 && cell.accounts === final.get(cell.of).accounts)
    .map((cell) => ({
      day: dayAt(cell.of),
      day_end: dayAt(cell.of + 1),
      known: dayAt(cell.on),
      known_end: dayAt(cell.on + 1),
      when: dateOf(dayAt(cell.of)),
      known_when: dateOf(dayAt(cell.on)),
      is_newest: cell.on === end,
      revenue: cell.revenue,
      revenue_told: money(cell.revenue, code),
      share: cell.revenue / final.get(cell.of).revenue,
      share_told: share(cell.revenue / final.get(cell.of).revenue, 1),
    }));
};

const PACES = {
  overspending: ["\u25b2", "spends too much"],
  underspending: ["\u25bc", "spends too little"],
  on_track: ["\u25cf", "on track"],
  paused: ["\u25a0", "paused"],
  unknown: ["\u25c6", "cannot be told"],
};

// Those that need attention first, as they came.
const budgets = () => {
  const rows = told.budgets;
  const seen = new Map();
  return places(rows.name, (each) => belongs(rows, each) && rows.budget[each] > 0).map((each, place) => {
    const [budget, code, verdict] = [rows.budget[each], rows.code[each], rows.verdict[each]];
    const of = (name) => (rows[name][each] === null ? null : rows[name][each] / budget);
    const [mark, said] = PACES[verdict] || PACES.unknown;
    const same = (seen.get(rows.name[each]) || 0) + 1;
    seen.set(rows.name[each], same);
    return {
      // An axis has one place for each name.
      name: `${mark} ${rows.name[each]}${same > 1 ? ` (${same})` : ""}`,
      full_name: rows.name[each],
      place,
      whole: 1,
      budget,
      currency: code,
      spent: of("spend"),
      expected: of("expected"),
      projected: of("projected"),
      low: of("low"),
      high: of("high"),
      budget_told: money(budget, code),
      spent_told: `${money(rows.spend[each], code)}, ${share(of("spend"))}`,
      expected_told: money(rows.expected[each], code),
      projected_told: money(rows.projected[each], code),
      said,
    };
  });
};

const fetches = () => {
  const rows = told.fetches;
  const higher = (each) => most([rows.account_quota[each], rows.app_quota[each]].map((value) => value ?? -Infinity));
  return places(rows.at, (each) => higher(each) >= 0 && (chosen.account < 0 || rows.account[each] === chosen.account)).map((each) => ({
    at: Date.parse(rows.at[each]),
    account: accountName(rows.account[each]),
    quota: higher(each),
    account_quota: rows.account_quota[each],
    app_quota: rows.app_quota[each],
    account_quota_told: percent(rows.account_quota[each]),
    app_quota_told: percent(rows.app_quota[each]),
    seconds_told: `${shown(rows.seconds[each], 1)} s`,
    waited_told: `${shown(rows.waited[each], 0)} s`,
    outcome: rows.outcome[each],
    seconds: rows.seconds[each],
    waited: rows.waited[each],
    rows: rows.rows[each],
  }));
};

const scattered = (metric) => {
  const rows = pairs(metric);
  return { [`${metric}_pairs`]: rows, [`${metric}_line`]: lineOver(rows) };
};
const ofTrend = (width) => ({ trend: trend(width) });
const ofRates = () => ({ rates: rates() });
// By the chart: its rows of what was chosen, for a drawing so many pixels wide.
const DATASETS = {
  spend: ofTrend,
  revenue: ofTrend,
  roas: ofRates,
  cpa: ofRates,
  ctr_scatter: () => scattered("ctr"),
  roas_scatter: () => scattered("roas"),
  calibration: () => {
    const rows = calibration();
    return { calibration: rows, calibration_line: lineOver(rows) };
  },
  accuracy: () => ({ accuracy: accuracy(), alarms: alarms() }),
  development: () => ({ development: development() }),
  restated: () => ({ restated: restated() }),
  pacing: () => ({ budgets: budgets() }),
  quota: () => ({ fetches: fetches() }),
};

// ---- the same rows as a table or a file

const COLUMNS = {
  trend: ["day", "last", "spend", "revenue", "conversions", "state"],
  rates: ["day", "spend", "revenue", "roas", "roas_of_7", "conversions", "cpa", "cpa_of_7", "state"],
  ctr_pairs: ["name", "ad", "model", "said", "really", "between", "verdict", "standing"],
  roas_pairs: ["name", "ad", "model", "said", "really", "between", "verdict", "standing"],
  calibration: ["model", "said", "was", "low", "high", "ads", "clicks"],
  accuracy: ["day", "model", "kind", "value", "low", "high", "ceiling", "baseline", "pairs"],
  development: ["account", "age", "share", "error", "source"],
  restated: ["day", "known", "revenue", "share"],
  budgets: ["full_name", "currency", "budget", "spent", "expected", "projected", "low", "high", "said"],
  fetches: ["at", "account", "account_quota", "app_quota", "outcome", "seconds", "waited", "rows"],
};
const LABELS = {
  between: "95 % interval", said: "predicted", really: "actual", was: "observed", low: "low end", high: "high end", at: "started",
  known: "as known on", value: "accuracy, %", ceiling: "perfect model, %", baseline: "no model, %", pairs: "ads",
  cpa: "cost per purchase", account_quota: "of the account's limit, %", app_quota: "of the app's limit, %", seconds: "took, s", waited: "waited, s", share: "share",
  model_name: "model", ctr: "CTR", predicted_ctr: "predicted CTR", actual_ctr: "actual CTR", ctr_verdict: "CTR is", predicted_roas: "predicted ROAS",
  actual_roas: "actual ROAS", roas_verdict: "ROAS is", protocol: "compared", as_of_date: "known on", is_settled: "settled",
  age: "age, days", conversions: "purchases", standing: "comparison", kind: "figures are",
  roas_of_7: "ROAS of 7 days", cpa_of_7: "cost per purchase of 7 days", roas: "ROAS", full_name: "budget", last: "to",
  spent: "spent, of it", expected: "expected by now, of it", projected: "projected, of it",
};
const DAYS = new Set(["day", "last", "known"]);
const plain = (name, value) => {
  if (value === null || value === undefined) return "";
  if (DAYS.has(name)) return isoOf(value);
  return name === "at" ? new Date(value).toISOString() : value;
};
