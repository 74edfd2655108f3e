// The schemas of openapi.json as trees that are drawn a level at a time, when somebody opens it.
import { el } from "./dom.js";
import { count, visible } from "./format.js";

// Text in which `code` stands in backquotes; nothing else in it means anything.
export function prose(text) {
  return text ? visible(text).split(/`([^`]+)`/).map((part, place) => (place % 2 ? el("code", {}, part) : part)) : null;
}

// Details that are filled when they are opened for the first time. They keep themselves, filled or not, from one drawing
// of the page to the next.
export function lazy(key, summary, fill, properties) {
  const node = el("details", { "data-own": key, ...properties, ontoggle: () => filled(node, fill) }, el("summary", {}, summary));
  node.fillNow = () => filled(node, fill);
  return node;
}

function filled(node, fill) {
  if (!node.open || node.childElementCount > 1) return;
  node.append(...[fill()].flat(Infinity).filter(Boolean));
}

// "#/components/schemas/Event" → what stands there.
export function resolve(document_, thing) {
  let found = thing;
  for (let steps = 0; found?.$ref && steps < 8; ++steps) {
    const { $ref: reference, ...beside } = found;
    found = { ...reference.slice(2).split("/").reduce((at, part) => at?.[part], document_), ...beside };
  }
  return found ?? {};
}

const nameOf = (schema) => schema?.$ref?.split("/").pop() ?? null;

// What it is in a few words: "array of Event", "string (date-time) or null".
export function typeText(document_, schema, depth = 0) {
  const name = nameOf(schema);
  const whole = resolve(document_, schema);
  if (depth > 4) return name ?? "…";
  const variants = whole.oneOf ?? whole.anyOf;
  if (variants) return [...new Set(variants.map((one) => typeText(document_, one, depth + 1)))].join(" or ");
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  const kinds = [whole.type ?? (whole.properties ? "object" : whole.enum ? "string" : "anything")].flat();
  return kinds.map((kind) => {
    if (kind === "array") return `array of ${typeText(document_, whole.items ?? {}, depth + 1)}`;
    if (kind === "object") return name ?? "object";
    return whole.format && kind === "string" ? `string (${whole.format})` : kind;
  }).join(" or ");
}

const kRanges = [
  ["minimum", "maximum", ""], ["minLength", "maxLength", " characters"],
  ["minItems", "maxItems", " items"], ["minProperties", "maxProperties", " members"],
];

// "1 to 128 characters", "at most 9"
function range(whole, [from, to, unit]) {
  const least = whole[from];
  const most = whole[to];
  if (least === undefined && most === undefined) return null;
  if (most === undefined) return `at least ${count(least)}${unit}`;
  return least === undefined ? `at most ${count(most)}${unit}` : `${count(least)} to ${count(most)}${unit}`;
}

// Enumerations, limits, pattern, default.
export function limits(document_, schema) {
  const whole = resolve(document_, schema);
  const said = kRanges.map((one) => range(whole, one)).filter(Boolean);
  if (whole.contentEncoding) said.push(whole.contentEncoding);
  if (whole.default !== undefined) said.push(["default ", el("code", {}, visible(JSON.stringify(whole.default)))]);
  if (whole.pattern) said.push(["pattern ", el("code", {}, visible(whole.pattern))]);
  const values = whole.enum ?? whole.items?.enum;
  if (values) said.push(["one of ", values.map((value, place) => [place ? ", " : "", el("code", {}, visible(String(value)))])]);
  const examples = whole.examples?.filter((one) => typeof one !== "object");
  if (examples?.length) said.push(["such as ", examples.map((one, place) => [place ? ", " : "", el("code", {}, visible(String(one)))])]);
  return said.length === 0 ? null : el("div", { class: "limits" }, said.map((one, place) => [place ? "; " : "", one]));
}

// The members of an object, the items of an array, the alternatives: what can be opened below a schema. `above` are the
// names of those it is in, at which a cycle is cut.
export function branches(document_, schema, above = []) {
  const whole = resolve(document_, schema);
  const name = nameOf(schema);
  if (name && above.includes(name)) return [];
  const inside = name ? [...above, name] : above;
  const required = new Set(whole.required ?? []);
  const rows = Object.entries(whole.properties ?? {})
    .map(([member, one]) => ({ label: member, schema: one, required: required.has(member), inside }));
  if (typeof whole.additionalProperties === "object") rows.push({ label: "any other member", schema: whole.additionalProperties, inside });
  if (whole.items) rows.push(...branches(document_, whole.items, inside));
  for (const one of whole.allOf ?? []) rows.push(...branches(document_, one, inside));
  const opening = (whole.oneOf ?? whole.anyOf ?? []).filter((one) => branches(document_, one, inside).length > 0);
  if (opening.length === 1) rows.push(...branches(document_, opening[0], inside));
  else rows.push(...opening.map((one) => ({ alternative: true, schema: one, inside })));
  return rows;
}

export function tree(document_, schema, above = []) {
  return el("ul", { class: "tree" }, branches(document_, schema, above).map((row) => {
    const head = [row.alternative ? "either" : el("code", {}, visible(row.label)), " ",
      el("span", { class: "kind" }, typeText(document_, row.schema)), row.required ? el("strong", {}, " required") : null];
    const described = resolve(document_, row.schema).description;
    const about = [described ? el("div", {}, prose(described)) : null, limits(document_, row.schema)];
    const more = branches(document_, row.schema, row.inside).length > 0;
    return el("li", {}, more ? lazy("member", head, () => tree(document_, row.schema, row.inside)) : head, about);
  }));
}
