// What is shown, as files.

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
// Drawn anew with its title and its key, without which nobody knows what a picture shows.
const PICTURE = 760;
const savePng = async (figure) => {
  const name = figure.dataset.chart;
  const ink = inkOf(getComputedStyle(document.documentElement));
  const title = {
    text: wrapped(figure.querySelector("h3").textContent),
    subtitle: wrapped(`${figure.querySelector("figcaption p").textContent} ${isoAt(chosen.since)} to ${isoAt(chosen.until)}.`),
    anchor: "start", frame: "group", fontSize: 15, fontWeight: 600, subtitleFontSize: 11, offset: 14,
    color: ink("var(--ink)"), subtitleColor: ink("var(--soft)"),
  };
  const spec = { ...inked(told.charts[name], ink), title, width: PICTURE, padding: 16, datasets: DATASETS[name](PICTURE) };
  const config = { ...theme(ink, PICTURE), background: ink("var(--paper)") };
  const { view, finalize } = await window.vegaEmbed(document.createElement("div"), spec, {
    mode: "vega-lite", actions: false, ast: true, defaultStyle: false, config, logLevel: ERRORS,
  });
  save(`${name}.png`, await view.toImageURL("png", 2));
  finalize();
};
const wrapped = (text, length = 100) =>
  text.split(" ").reduce((lines, word) => {
    const line = lines[lines.length - 1];
    if (line.length + word.length > length) return [...lines, word];
    return [...lines.slice(0, -1), line ? `${line} ${word}` : word];
  }, [""]);

const beginExports = () => {
  document.addEventListener("click", (event) => {
    const kind = event.target.dataset?.export;
    if (kind === "ads") {
      const rows = adRows().map((row) => ({ ...row, currency: told.currencies[row.currency][0] }));
      saveCsv("ads", ["id", "currency", ...AD_COLUMNS], rows);
    } else if (kind) {
      const figure = event.target.closest("figure");
      if (kind === "png") savePng(figure);
      else saveCsv(figure.dataset.chart, COLUMNS[figure.exported.name], figure.exported.rows);
    }
  });
};
