// Charts, drawn when they come near, in the colours of the style sheet.

const NOTHING_CHOSEN = "Nothing of what you chose has such figures. Choose more, or Clear.";

const inkOf = (styles) => (value) =>
  typeof value === "string" ? value.replace(/^var\((--[\w-]+)\)$/, (_, name) => styles.getPropertyValue(name).trim()) : value;
const inked = (spec, ink) => {
  if (Array.isArray(spec)) return spec.map((each) => inked(each, ink));
  if (spec === null || typeof spec !== "object") return ink(spec);
  return Object.fromEntries(Object.entries(spec).map(([name, value]) => [name, inked(value, ink)]));
};
// Keys stand in two columns where four would not fit.
const NARROW = 480;
const theme = (ink, width) => {
  const [soft, line] = [ink("var(--soft)"), ink("var(--line)")];
  const font = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
  return {
    background: "transparent",
    font,
    view: { stroke: null },
    axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 11, titleFontSize: 11, titleFontWeight: 400, labelPadding: 6, ticks: false },
    axisX: { grid: false, titleAnchor: "end" },
    axisY: { domain: false, titleAnchor: "end", titleAngle: 0, titleAlign: "left", titleX: 0, titleY: -8 },
    legend: { labelColor: soft, titleColor: soft, labelFontSize: 11, titleFontSize: 11, titleFontWeight: 400, labelLimit: 220, rowPadding: 2, columns: width < NARROW ? 2 : 4 },
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
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = said;
    list.append(term, detail);
  }
  tooltip.replaceChildren(list);
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  tooltip.style.left = `${Math.max(4, Math.min(event.clientX + 14, window.innerWidth - width - 4))}px`;
  tooltip.style.top = `${Math.max(4, Math.min(event.clientY + 14, window.innerHeight - height - 4))}px`;
};

// Vega warns of each row set that is empty.
const ERRORS = 1;
const views = new Map();
const figures = [...document.querySelectorAll("figure[data-chart]")];
const drawn = new Set();

const rowsOf = (figure) => DATASETS[figure.dataset.chart](figure.querySelector(".drawing").clientWidth);

// One drawing of a figure after the other: the newest choice is drawn last.
const drawings = new Map();
const draw = (figure) => {
  drawings.set(figure, (drawings.get(figure) ?? Promise.resolve()).then(() => drawNow(figure)));
};
const drawNow = async (figure) => {
  const name = figure.dataset.chart;
  const [place, title] = [figure.querySelector(".drawing"), figure.querySelector("h3")];
  const datasets = rowsOf(figure);
  const [rows] = Object.values(datasets);
  figure.querySelector(".tools").hidden = !rows.length;
  fill(figure, datasets);
  place.classList.toggle("nothing", !rows.length);
  if (!rows.length) {
    views.get(name)?.finalize();
    views.delete(name);
    place.textContent = NOTHING_CHOSEN;
    title.textContent = title.dataset.plain;
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
      config: theme(ink, place.clientWidth), logLevel: ERRORS,
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
  title.textContent = STATEMENTS[name](rows);
  if (name in CAPTIONS) figure.querySelector("figcaption p").textContent = CAPTIONS[name](place.clientWidth);
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
const asGiven = (name, value) => {
  const text = plain(name, value);
  return typeof text === "number" ? [String(Number(text.toPrecision(6))), "number"] : [text, DAYS.has(name) ? "unbroken" : ""];
};
// `toldAs` gives a cell's text and its class.
const tableOf = (columns, rows, toldAs = asGiven) => {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of columns) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = LABELS[name] || name.replaceAll("_", " ");
    if (rows.length) [, cell.className] = toldAs(name, rows[0][name], rows[0]);
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const name of columns) {
      const cell = line.insertCell();
      [cell.textContent, cell.className] = toldAs(name, row[name], row);
    }
  }
  return table;
};

// With the width comes what is drawn: days where there is room, weeks where there is not.
let width = window.innerWidth;
const resized = () => {
  if (window.innerWidth === width) return;
  width = window.innerWidth;
  redraw();
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
