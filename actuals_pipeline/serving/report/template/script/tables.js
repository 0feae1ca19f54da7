// The tables that the server wrote, reduced to what was chosen.

const tables = [...document.querySelectorAll("table[data-filtered]")];
const filterTables = () => {
  for (const table of tables) {
    for (const row of table.tBodies[0].rows) {
      row.hidden = ["account", "campaign", "model"].some(
        (name) => chosen[name] >= 0 && name in row.dataset && Number(row.dataset[name]) !== chosen[name],
      );
    }
    sayNothing(table);
  }
  for (const table of [byId("table-reconciled"), byId("table-gaps")]) if (table) reconcile(table);
};

const sayNothing = (table) => {
  const isNothing = ![...table.tBodies[0].rows].some((row) => !row.hidden);
  const place = table.closest(".scroll");
  place.hidden = isNothing;
  if (!place.nextElementSibling?.matches(".nothing")) {
    const note = paragraph(NOTHING_CHOSEN);
    note.className = "empty nothing";
    place.after(note);
  }
  place.nextElementSibling.hidden = !isNothing;
};

// These are of days, which are added up anew; what the server wrote is exact and comes back.
const writtenBodies = new Map();
const reconcile = (table) => {
  const body = table.tBodies[0];
  if (!writtenBodies.has(table)) writtenBodies.set(table, body.innerHTML);
  if (!isAnyChosen("account", "since", "until")) body.innerHTML = writtenBodies.get(table);
  else if (table.id === "table-gaps") rowsInto(body, gapRows(), [2, 3, 4]);
  else rowsInto(body, accountRows(), [1, 2, 3, 4, 5]);
  sayNothing(table);
};
const accountSaid = (place) => {
  if (place < 0) return "unknown account";
  const [id, name] = told.accounts[place];
  return name ? `${name} (${id})` : id;
};
const accountRows = () => {
  const rows = told.reconciled;
  const byAccount = new Map();
  for (const each of reconciledPlaces()) {
    const key = `${rows.account[each]} ${rows.code[each]}`;
    if (!byAccount.has(key)) byAccount.set(key, []);
    byAccount.get(key).push(each);
  }
  return [...byAccount.values()].map((kept) => {
    const [account, code] = [rows.account[kept[0]], rows.code[kept[0]]];
    const sum = (name) => money(total(kept.map((each) => rows[name][each])), code);
    const exact = kept.filter((each) => rows.verdict[each] === "exact").length;
    return [accountSaid(account), sum("meta"), sum("ours"), sum("gap"), `${shown(exact, 0)} of ${shown(kept.length, 0)}`, shown(kept.length - exact, 0)];
  });
};
const MOST_GAPS = 50;
const gapRows = () => {
  const rows = told.reconciled;
  return reconciledPlaces()
    .filter((each) => rows.verdict[each] !== "exact")
    .sort((a, b) => Math.abs(rows.gap[b]) - Math.abs(rows.gap[a]) || rows.day[b] - rows.day[a])
    .slice(0, MOST_GAPS)
    .map((each) => {
      const of = (name) => money(rows[name][each], rows.code[each]);
      return [isoAt(rows.day[each]), accountSaid(rows.account[each]), of("meta"), of("ours"), of("gap"), rows.verdict[each].replace("_", " ")];
    });
};
const rowsInto = (body, rows, numbers) => {
  body.replaceChildren();
  for (const texts of rows) {
    const line = body.insertRow();
    texts.forEach((text, place) => {
      const cell = place ? line.insertCell() : line.appendChild(document.createElement("th"));
      if (!place) cell.scope = "row";
      if (numbers.includes(place)) cell.className = "number";
      cell.textContent = text;
    });
  }
};
// A sentence whose commands, between backticks, are set as code.
const coded = (text) =>
  text.split("`").map((part, place) => {
    if (place % 2 === 0) return part;
    const code = document.createElement("code");
    code.textContent = part;
    return code;
  });
const paragraph = (text) => {
  const made = document.createElement("p");
  made.append(...coded(text));
  return made;
};
