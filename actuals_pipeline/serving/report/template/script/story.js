// An ad's story: what was predicted, what came, what was revised, what Meta answered.

const RATES = new Set(["ctr", "predicted_ctr", "actual_ctr"]);
const MULTIPLES = new Set(["roas", "predicted_roas", "actual_roas"]);
const COUNTS = new Set(["impressions", "clicks", "conversions"]);
const STORY_VERDICTS = { within_tolerance: VERDICTS[0], over: VERDICTS[1], under: VERDICTS[2], unresolved: VERDICTS[3] };
// The version stands beside the model's name, the currency beside each amount.
const storyColumns = (names) => names.filter((name) => name !== "model_version" && name !== "currency");
const inStory = (name, value, row) => {
  const unless = (form) => (value === "" ? "unknown" : form(Number(value)));
  if (RATES.has(name)) return [unless((number) => share(number, 2)), "number"];
  if (MULTIPLES.has(name)) return [unless(multiple), "number"];
  if (COUNTS.has(name)) return [unless((number) => shown(number, 0)), "number"];
  if (MONEY.has(name)) return [unless((number) => (row.currency ? money(number, row.currency) : shown(number, 2))), "number"];
  if (name === "model_name") return [`${value} ${row.model_version}`, "unbroken"];
  if (name.endsWith("_verdict")) return [STORY_VERDICTS[value] || value, "unbroken"];
  if (name === "protocol") return [told.standings[value] || value, ""];
  if (name.endsWith("_at")) return [value && `${value.slice(0, 16).replace("T", " ")} UTC`, "unbroken"];
  return [String(value), name.endsWith("_date") || name.endsWith("_on") ? "unbroken" : ""];
};

const openStory = async (id) => {
  const [dialog, body] = [byId("story"), byId("story-body")];
  byId("story-title").textContent = adNames.get(id) || id;
  body.replaceChildren(paragraph(`Ad ${id}`));
  dialog.dataset.ad = id;
  if (!dialog.open) dialog.showModal();
  const said = await storySaid(id);
  // Another may have been opened since.
  if (dialog.dataset.ad === id) body.append(...said);
};
const storySaid = async (id) => {
  if (told.stories[id]) return storyTold(told.stories[id]);
  if (!told.live) {
    const held = Object.keys(told.stories).length;
    return [paragraph(
      `This file has the stories of ${held} ads, those with most spend. For this one: \`actuals report --ad ${id}\`, or open the page of \`actuals serve\`.`,
    )];
  }
  try {
    const answer = await fetch(`api/ml/ads/${encodeURIComponent(id)}/story`);
    const story = await answer.json();
    return answer.ok ? storyTold(story) : [paragraph(`${story.error.message} ${story.error.what_to_do}`)];
  } catch {
    return [paragraph("The service does not answer: is `actuals serve` running?")];
  }
};
const storyTold = (story) => {
  const said = [];
  for (const part of story.parts) {
    const title = document.createElement("h3");
    title.textContent = part.title;
    said.push(title);
    if (!part.rows.length) {
      said.push(paragraph(part.empty));
      continue;
    }
    const place = document.createElement("div");
    place.className = "scroll";
    place.tabIndex = 0;
    place.role = "region";
    place.ariaLabel = part.title;
    place.append(tableOf(storyColumns(part.columns), part.rows, inStory));
    said.push(place);
    if (part.note) said.push(paragraph(part.note));
  }
  const title = document.createElement("h3");
  title.textContent = story.payload ? `As Meta answered, ${story.payload_day}` : "As Meta answered";
  const text = document.createElement("pre");
  text.tabIndex = 0;
  text.textContent = story.payload ? JSON.stringify(story.payload, null, 2) : "Nothing of it is kept.";
  return [...said, title, text];
};
