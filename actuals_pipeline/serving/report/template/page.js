"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const told = JSON.parse(byId("data").textContent);
  const DAY = 86400000;
  const STALE_HOURS = 3;
  const PAGE = 25;
  const MOST_INTERVALS = 400;
  const VERDICTS = ["within tolerance", "too high", "too low", "cannot be told yet"];
  const KINDS = {
    headline: "final, attested",
    headline_unattested: "final, imported",
    launch_to_date: "provisional",
  };

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
  const offsetOf = (iso) => Math.round((midnight(iso) - dayAt(0)) / DAY);
  const lastDay = offsetOf(told.until);

  const all = { account: -1, campaign: -1, model: -1, currency: 0, since: 0, until: lastDay };
  const chosen = { ...all };
  const adNames = new Map(told.ads.id.map((id, place) => [id, told.ads.name[place] || id]));

  // ---- figures as people read them: `wording.py` says the same

  const MINUS = "\u2212";
  const shown = (value, digits) =>
    value === null || value === undefined || Number.isNaN(value)
      ? "unknown"
      : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", MINUS);
  const amount = (value, currency) => {
    const [code, digits] = told.currencies[currency];
    return value === null ? "unknown" : `${shown(value, digits)} ${code}`;
  };
  const multiple = (value) => (value === null ? "unknown" : `${shown(value, 2)}\u00d7`);
  const share = (value, digits) => (value === null ? "unknown" : `${shown(100 * value, digits)} %`);
  const ratio = (above, below) => (below ? above / below : null);

  // ---- what was chosen

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

  const trend = () => {
    const days = told.days;
    const byDay = new Map();
    const kept = places(
      days.day,
      (each) => within(days.day[each]) && belongs(days, each) && days.currency[each] === chosen.currency,
    );
    for (const place of kept) {
      const day = days.day[place];
      if (!byDay.has(day)) byDay.set(day, { settled: 1 });
      const sums = add(byDay.get(day), days, place);
      sums.settled &= days.settled[place];
    }
    return [...byDay].sort((a, b) => a[0] - b[0]).map(([day, sums]) => ({
      day: dayAt(day),
      next: dayAt(day) + 0.8 * DAY,
      spend: sums.spend,
      revenue: sums.revenue,
      conversions: sums.conversions,
      roas: ratio(sums.revenue, sums.spend),
      cpa: ratio(sums.spend, sums.conversions),
      state: sums.settled ? "settled" : "provisional",
    }));
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
    const least = kept.reduce((low, each) => (of("was")[each] > 0 ? Math.min(low, of("was")[each]) : low), Infinity);
    const floor = Number.isFinite(least) ? least / 1.5 : 0.001;
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
    const values = rows.flatMap((row) => [row.said, row.was]).filter((value) => value > 0);
    if (!values.length) return [];
    return [{ at: values.reduce((a, b) => Math.min(a, b)) }, { at: values.reduce((a, b) => Math.max(a, b)) }];
  };

  const calibration = () => {
    const rows = told.pairs;
    const byModel = new Map();
    for (const each of pairPlaces()) {
      if (!(rows.ctr_said[each] > 0 && rows.impressions[each] > 0 && rows.clicks[each] !== null)) continue;
      const model = rows.model[each];
      if (!byModel.has(model)) byModel.set(model, []);
      byModel.get(model).push(each);
    }
    const bins = [];
    for (const [model, kept] of byModel) {
      kept.sort((a, b) => rows.ctr_said[a] - rows.ctr_said[b]);
      const size = Math.max(1, Math.ceil(kept.length / 10));
      for (let start = 0; start < kept.length; start += size) {
        const bin = kept.slice(start, start + size);
        const n = bin.reduce((sum, each) => sum + rows.impressions[each], 0);
        const clicks = bin.reduce((sum, each) => sum + rows.clicks[each], 0);
        const said = bin.reduce((sum, each) => sum + rows.ctr_said[each] * rows.impressions[each], 0) / n;
        if (!clicks) continue;
        // Wilson's interval at 95 percent.
        const [rate, z2] = [clicks / n, 1.96 ** 2];
        const middle = (rate + z2 / (2 * n)) / (1 + z2 / n);
        const half = (1.96 * Math.sqrt((rate * (1 - rate)) / n + z2 / (4 * n * n))) / (1 + z2 / n);
        bins.push({ model: told.models[model], said, was: rate, low: middle - half, high: middle + half, ads: bin.length, clicks });
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
        return { day, model, metric: rows.metric[each].toUpperCase(), said: rows.state[each], value: near ? near.value : null };
      })
      .filter((row) => row.value !== null && row.day >= dayAt(chosen.since) && row.day <= dayAt(chosen.until));
  };

  const accountName = (place) => (place < 0 ? "unknown account" : told.accounts[place][1] || told.accounts[place][0]);

  const development = () => {
    const rows = told.development;
    return places(rows.age, (each) => chosen.account < 0 || rows.account[each] === chosen.account).map((each) => ({
      account: accountName(rows.account[each]),
      age: rows.age[each],
      share: rows.share[each],
      error: rows.error[each],
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
    const end = rows.known.reduce((a, b) => Math.max(a, b), 0);
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
        revenue: cell.revenue,
        share: cell.revenue / final.get(cell.of).revenue,
      }));
  };

  const fetches = () => {
    const rows = told.fetches;
    return places(rows.at, (each) => rows.account_quota[each] !== null && (chosen.account < 0 || rows.account[each] === chosen.account)).map((each) => ({
      at: Date.parse(rows.at[each]),
      account: accountName(rows.account[each]),
      quota: rows.account_quota[each],
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
  const ofTrend = () => ({ trend: trend() });
  const DATASETS = {
    spend: ofTrend,
    revenue: ofTrend,
    roas: ofTrend,
    cpa: ofTrend,
    ctr_scatter: () => scattered("ctr"),
    roas_scatter: () => scattered("roas"),
    calibration: () => {
      const rows = calibration();
      return { calibration: rows, calibration_line: lineOver(rows) };
    },
    accuracy: () => ({ accuracy: accuracy(), alarms: alarms() }),
    development: () => ({ development: development() }),
    restated: () => ({ restated: restated() }),
    quota: () => ({ fetches: fetches() }),
  };
  const COLUMNS = {
    trend: ["day", "spend", "revenue", "roas", "conversions", "cpa", "state"],
    ctr_pairs: ["name", "ad", "model", "said", "really", "between", "verdict", "standing"],
    roas_pairs: ["name", "ad", "model", "said", "really", "between", "verdict", "standing"],
    calibration: ["model", "said", "was", "low", "high", "ads", "clicks"],
    accuracy: ["day", "model", "kind", "value", "low", "high", "ceiling", "baseline", "pairs"],
    development: ["account", "age", "share", "error", "source"],
    restated: ["day", "known", "revenue", "share"],
    fetches: ["at", "account", "quota", "outcome", "seconds", "waited", "rows"],
  };
  const LABELS = {
    between: "95 % interval", said: "predicted", really: "actual", was: "observed", low: "low end", high: "high end", at: "started",
    known: "as known on", value: "accuracy, %", ceiling: "perfect model, %", baseline: "no model, %", pairs: "ads",
    cpa: "cost per purchase", quota: "quota used, %", seconds: "took, s", waited: "waited, s", share: "share",
    age: "age, days", conversions: "purchases", standing: "comparison", kind: "figures are",
  };
  const DAYS = new Set(["day", "known"]);
  const plain = (name, value) => {
    if (value === null || value === undefined) return "";
    if (DAYS.has(name)) return isoOf(value);
    return name === "at" ? new Date(value).toISOString() : value;
  };

  // ---- charts

  const inkOf = (styles) => (value) =>
    typeof value === "string" ? value.replace(/^var\((--[\w-]+)\)$/, (_, name) => styles.getPropertyValue(name).trim()) : value;
  const inked = (spec, ink) => {
    if (Array.isArray(spec)) return spec.map((each) => inked(each, ink));
    if (spec === null || typeof spec !== "object") return ink(spec);
    return Object.fromEntries(Object.entries(spec).map(([name, value]) => [name, inked(value, ink)]));
  };
  const theme = (ink) => {
    const [soft, line] = [ink("var(--soft)"), ink("var(--line)")];
    const font = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
    return {
      background: "transparent",
      font,
      view: { stroke: null },
      axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 11, titleFontSize: 11, titleFontWeight: 400, labelPadding: 6, ticks: false },
      axisX: { grid: false, titleAnchor: "end" },
      axisY: { domain: false, titleAnchor: "end", titleAngle: 0, titleAlign: "left", titleX: 0, titleY: -8 },
      legend: { labelColor: soft, titleColor: soft, labelFontSize: 11, titleFontSize: 11, titleFontWeight: 400, labelLimit: 220, rowPadding: 2 },
    };
  };
  const tooltip = byId("tooltip");
  const point = (_handler, event, _item, value) => {
    if (value === null || value === undefined || value === "") {
      tooltip.hidden = true;
      return;
    }
    // Text nodes alone: names come from whoever named the ad.
    const list = document.createElement("dl");
    for (const [name, said] of Object.entries(value)) {
      const term = document.createElement("dt");
      const told_ = document.createElement("dd");
      term.textContent = name;
      told_.textContent = said;
      list.append(term, told_);
    }
    tooltip.replaceChildren(list);
    tooltip.hidden = false;
    const { width, height } = tooltip.getBoundingClientRect();
    tooltip.style.left = `${Math.max(4, Math.min(event.clientX + 14, window.innerWidth - width - 4))}px`;
    tooltip.style.top = `${Math.max(4, Math.min(event.clientY + 14, window.innerHeight - height - 4))}px`;
  };

  const views = new Map();
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const drawn = new Set();

  const draw = async (figure) => {
    const name = figure.dataset.chart;
    const place = figure.querySelector(".drawing");
    const datasets = DATASETS[name]();
    const [rows] = Object.values(datasets);
    figure.querySelector(".tools").hidden = !rows.length;
    fill(figure, datasets);
    place.classList.toggle("nothing", !rows.length);
    if (!rows.length) {
      views.get(name)?.finalize();
      views.delete(name);
      place.textContent = "Nothing of what you chose has such figures. Choose more.";
      return;
    }
    if (views.has(name)) {
      const { view } = views.get(name);
      for (const [data, values] of Object.entries(datasets)) view.data(data, values);
      await view.resize().runAsync();
    } else {
      place.textContent = "";
      const ink = inkOf(getComputedStyle(document.documentElement));
      const spec = { ...inked(told.charts[name], ink), datasets };
      const result = await window.vegaEmbed(place, spec, {
        mode: "vega-lite", actions: false, ast: true, defaultStyle: false, tooltip: point,
        renderer: name.endsWith("scatter") || name === "restated" ? "canvas" : "svg",
        config: theme(ink),
      });
      views.set(name, result);
      if (name.endsWith("scatter")) {
        result.view.addEventListener("click", (_event, item) => {
          if (item?.datum?.ad) openStory(item.datum.ad);
        });
      }
      // The figure has a name and a table; what is inside the drawing says no more.
      place.firstElementChild?.setAttribute("aria-hidden", "true");
    }
    const title = figure.querySelector("h3").textContent;
    place.setAttribute("aria-label", `${title}: ${rows.length} rows; the table below has them.`);
  };

  const MOST_ROWS = 500;
  const fill = (figure, datasets) => {
    const details = figure.querySelector("details");
    const [[name, rows]] = Object.entries(datasets);
    figure.exported = { name, rows };
    if (!details.open) return;
    const place = details.querySelector(".scroll");
    place.replaceChildren(tableOf(COLUMNS[name], rows.slice(0, MOST_ROWS)));
    if (rows.length > MOST_ROWS) {
      const note = document.createElement("p");
      note.textContent = `The first ${MOST_ROWS} of ${rows.length}; the CSV has all.`;
      place.append(note);
    }
  };
  const tableOf = (columns, rows) => {
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const name of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = LABELS[name] || name.replaceAll("_", " ");
      if (rows.length && typeof plain(name, rows[0][name]) === "number") cell.className = "number";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const name of columns) {
        const cell = line.insertCell();
        const value = plain(name, row[name]);
        cell.textContent = typeof value === "number" ? String(Number(value.toPrecision(6))) : value;
        if (typeof value === "number") cell.className = "number";
      }
    }
    return table;
  };

  const redraw = () => {
    for (const figure of figures) if (drawn.has(figure)) draw(figure);
  };
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting || drawn.has(target)) continue;
        drawn.add(target);
        draw(target);
      }
    },
    { rootMargin: "400px" },
  );
  const repaint = () => {
    for (const result of views.values()) result.finalize();
    views.clear();
    redraw();
  };

  // ---- exports

  // A cell that a spreadsheet would take for a formula gets an apostrophe before it.
  const cellOf = (value) => {
    if (typeof value === "number") return String(value);
    const text = String(value ?? "");
    const safe = /^\s*[=+\-@]|^[\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n\t']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const csvOf = (columns, rows) =>
    `${[columns, ...rows.map((row) => columns.map((name) => plain(name, row[name])))].map((row) => row.map(cellOf).join(",")).join("\r\n")}\r\n`;
  const save = (name, address) => {
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
  };
  const saveCsv = (name, columns, rows) => {
    const address = URL.createObjectURL(new Blob(["\ufeff", csvOf(columns, rows)], { type: "text/csv" }));
    save(`${name}.csv`, address);
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  };
  const savePng = async (name) => {
    const result = views.get(name);
    if (!result) return;
    result.view.background(inkOf(getComputedStyle(document.documentElement))("var(--paper)"));
    save(`${name}.png`, await result.view.toImageURL("png", 2));
    result.view.background("transparent");
    await result.view.runAsync();
  };

  // ---- tiles and the sentence on what was chosen

  const isFiltered = () => ["account", "campaign", "since", "until"].some((name) => chosen[name] !== all[name]);
  const written = new Map([...document.querySelectorAll(".tile")].map((tile) => [tile, tile.innerHTML]));
  const tile = (key, values, note) => {
    const place = byId(`tile-${key}`);
    const label = place.querySelector("dt");
    const cells = (values.length ? values : ["unknown"]).map((value, index) => {
      const cell = document.createElement("dd");
      cell.className = index ? "other" : "value";
      cell.textContent = value;
      return cell;
    });
    const said = document.createElement("dd");
    said.className = "note";
    said.textContent = note;
    place.replaceChildren(label, ...cells, said);
  };
  const retell = () => {
    if (!isFiltered()) {
      for (const [place, html] of written) if (place.id !== "tile-fetched") place.innerHTML = html;
    } else {
      const money = moneyByCurrency();
      const days = chosen.until - chosen.since + 1;
      tile("spend", money.map(([code, sums]) => amount(sums.spend, code)), `of ${days} day${days === 1 ? "" : "s"}, as chosen`);
      tile("revenue", money.map(([code, sums]) => amount(sums.revenue, code)), "as chosen");
      tile("roas", money.map(([code, sums]) => multiple(ratio(sums.revenue, sums.spend)) + (money.length > 1 ? ` in ${told.currencies[code][0]}` : "")), "revenue for each unit spent");
      const bought = money.reduce((sum, [, sums]) => sum + sums.conversions, 0);
      tile("cpa", money.map(([code, sums]) => amount(ratio(sums.spend, sums.conversions), code)), `${shown(bought, 0)} purchases`);
    }
    const sentence = byId("chosen");
    sentence.hidden = chosen.account < 0 && chosen.campaign < 0 && chosen.model < 0;
    if (!sentence.hidden) sentence.textContent = scoreSaid();
  };
  const scoreSaid = () => {
    const rows = told.pairs;
    const scores = pairPlaces()
      .map((each) => [rows.ctr_accuracy[each], rows.roas_accuracy[each]].filter((value) => value !== null))
      .filter((values) => values.length)
      .map((values) => values.reduce((a, b) => a + b) / values.length);
    if (!scores.length) return "Of what you chose no prediction can be compared yet.";
    const mean = scores.reduce((a, b) => a + b) / scores.length;
    return `Of what you chose, ${shown(scores.length, 0)} predictions score ${share(mean, 1)} on average; a part of the ads has no interval of its own.`;
  };

  // ---- the table of ads

  const ads = { sort: "spend", down: true, page: 0, find: "" };
  const adRows = () => {
    const rows = told.ads;
    const wanted = ads.find.trim().toLowerCase();
    const kept = places(
      rows.id,
      (each) => belongs(rows, each) && (!wanted || rows.id[each].includes(wanted) || rows.name[each].toLowerCase().includes(wanted)),
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
    const order = (a, b) => (a[key] === b[key] ? 0 : a[key] === null ? 1 : b[key] === null ? -1 : (a[key] < b[key]) === ads.down ? 1 : -1);
    // As they came they are by spend, which need not be sorted again.
    return key === "spend" && ads.down ? kept : kept.sort(order);
  };
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
    nav.querySelector("span").textContent = `${ads.page * PAGE + 1} to ${Math.min(rows.length, (ads.page + 1) * PAGE)} of ${rows.length}`;
    for (const button of nav.querySelectorAll("button")) {
      button.disabled = button.dataset.step < 0 ? ads.page === 0 : ads.page === pages - 1;
    }
    const whole = told.ads_in_all > told.ads.id.length ? `; the page holds the ${told.ads.id.length} with most spend of ${told.ads_in_all}` : "";
    byId("announced").textContent = `${shown(rows.length, 0)} ads${whole}`;
  };

  // ---- an ad's story

  const openStory = async (id) => {
    const [dialog, body] = [byId("story"), byId("story-body")];
    byId("story-title").textContent = adNames.get(id) || id;
    body.replaceChildren(paragraph(`Ad ${id}`));
    if (!dialog.open) dialog.showModal();
    let story = told.stories[id];
    if (!story && told.live) {
      try {
        const answer = await fetch(`api/ml/ads/${encodeURIComponent(id)}/story`);
        story = await answer.json();
        if (!answer.ok) {
          body.append(paragraph(`${story.error.message} ${story.error.what_to_do}`));
          return;
        }
      } catch {
        body.append(paragraph("The service does not answer: is `actuals serve` running?"));
        return;
      }
    }
    if (!story) {
      const held = Object.keys(told.stories).length;
      body.append(paragraph(
        `This file has the stories of ${held} ads, those with most spend. For this one: \`actuals report --ad ${id}\`, or open the page of \`actuals serve\`.`,
      ));
      return;
    }
    for (const part of story.parts) {
      const title = document.createElement("h3");
      title.textContent = part.title;
      body.append(title);
      if (!part.rows.length) {
        body.append(paragraph(part.empty));
        continue;
      }
      const place = document.createElement("div");
      place.className = "scroll";
      place.tabIndex = 0;
      place.append(tableOf(part.columns, part.rows));
      body.append(place);
      if (part.note) body.append(paragraph(part.note));
    }
    const title = document.createElement("h3");
    title.textContent = story.payload ? `As Meta answered, ${story.payload_day}` : "As Meta answered";
    const text = document.createElement("pre");
    text.tabIndex = 0;
    text.textContent = story.payload ? JSON.stringify(story.payload, null, 2) : "Nothing of it is kept.";
    body.append(title, text);
  };
  const paragraph = (text) => {
    const made = document.createElement("p");
    made.textContent = text;
    return made;
  };

  // ---- filters

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
  const busiest = () => (moneyByCurrency()[0] || [0])[0];
  const chose = (event) => {
    const { name, value } = event.target;
    if (!(name in chosen)) return;
    if (name === "since" || name === "until") {
      const day = value ? Math.min(lastDay, Math.max(0, offsetOf(value))) : all[name];
      chosen[name] = day;
      if (chosen.since > chosen.until) chosen[name === "since" ? "until" : "since"] = day;
      form.elements.since.value = isoOf(dayAt(chosen.since));
      form.elements.until.value = isoOf(dayAt(chosen.until));
    } else {
      chosen[name] = Number(value);
    }
    if (name === "account") {
      chosen.campaign = -1;
      offerCampaigns();
      chosen.currency = busiest();
      form.elements.currency.value = chosen.currency;
    }
    ads.page = 0;
    show();
  };
  const show = () => {
    retell();
    listAds();
    redraw();
  };
  const clear = () => {
    Object.assign(chosen, all);
    offerCampaigns();
    form.elements.account.value = form.elements.model.value = form.elements.campaign.value = "-1";
    form.elements.currency.value = chosen.currency;
    form.elements.since.value = told.since;
    form.elements.until.value = told.until;
    show();
  };

  const tellAge = () => {
    if (!told.fetched_at) return;
    const oldest = Math.min(...told.accounts.map((account) => Date.parse(account[2])));
    const hours = (Date.now() - oldest) / 3600000;
    const said = hours < 1 ? `${Math.max(0, Math.round(hours * 60))} min` : hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
    const value = byId("tile-fetched").querySelector(".value");
    value.title = new Date(oldest).toISOString();
    value.textContent = `${said} ago`;
    const stale = byId("stale");
    stale.hidden = hours < STALE_HOURS;
    if (!stale.hidden) {
      byId("tile-fetched").classList.add("bad");
      stale.textContent = told.live
        ? `Stale: the newest figures are ${said} old. See whether the schedule runs with \`actuals status\`, or run \`actuals sync\`.`
        : `This file's newest figures are ${said} old. Make a new one with \`actuals report\`.`;
    }
  };

  const begin = () => {
    all.currency = busiest();
    chosen.currency = all.currency;
    offer("account", told.accounts.map(([id, name], place) => [place, name ? `${name} (${id})` : id]), "All");
    offerCampaigns();
    offer("model", told.models.map((name, place) => [place, name]), "All");
    offer("currency", told.currencies.map(([code], place) => [place, code]));
    for (const name of ["since", "until"]) {
      form.elements[name].value = told[name];
      form.elements[name].min = told.since;
      form.elements[name].max = told.until;
    }
    form.elements.currency.value = chosen.currency;
    form.hidden = false;
    form.addEventListener("change", chose);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      clear();
    });
    const table = byId("table-ads");
    if (table) {
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
    }
    document.addEventListener("click", (event) => {
      const kind = event.target.dataset?.export;
      if (kind === "ads") {
        const rows = adRows().map((row) => ({ ...row, currency: told.currencies[row.currency][0] }));
        saveCsv("ads", ["id", "currency", ...AD_COLUMNS], rows);
      } else if (kind) {
        const figure = event.target.closest("figure");
        if (kind === "png") savePng(figure.dataset.chart);
        else saveCsv(figure.dataset.chart, COLUMNS[figure.exported.name], figure.exported.rows);
      }
    });
    for (const figure of figures) {
      figure.querySelector("details").addEventListener("toggle", () => fill(figure, DATASETS[figure.dataset.chart]()));
      seen.observe(figure);
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    tellAge();
    setInterval(tellAge, 60000);
    listAds();
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
})();
