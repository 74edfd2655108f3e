// The settings of an endpoint: all of them to read, the common ones to change.
import { idPath, send } from "./api.js";
import { ask, say } from "./dialog.js";
import { el } from "./dom.js";
import { oneLine } from "./format.js";
import { bodyOf, dialogField, jsonOf, listOf, nameOf, testFilter } from "./endpoint_acts.js";
import { badge, block, bothTimes, button, facts, foreign } from "./parts.js";

// `json`: from what was typed to a JSON text. `text`: from the setting, and its JSON text, to what is typed.
const asText = { text: (value) => value ?? "", json: (text) => JSON.stringify(text.trim()) };
const orNull = { text: (value) => value ?? "", json: (text) => (text.trim() ? JSON.stringify(text.trim()) : "null") };
const asNumber = { text: (value) => (value === null ? "" : String(value)), json: (text) => (text.trim() ? String(Number(text)) : "null") };
const asList = { text: (value) => (value ?? []).join("\n"), json: (text) => JSON.stringify(listOf(text)) };
const listOrNull = { ...asList, json: (text) => (text.trim() ? JSON.stringify(listOf(text)) : "null") };
const asObject = (empty) => ({
  text: (value, text) => (value === null || (empty === "{}" && Object.keys(value).length === 0) ? "" : text),
  json: (text, label) => (text.trim() ? jsonOf(text, label) : empty),
});
const asIs = { text: (value) => value ?? "", json: (text) => (text.trim() ? JSON.stringify(text) : "null") };
const kInherited = "Empty: as configured for all.";

const kFields = [
  ["url", "URL", asText, { required: true, maxlength: 2048 }],
  ["name", "Name", asText, { maxlength: 128 }],
  ["types", "Event types", asList, { control: "textarea", rows: 3 }, "Patterns, one a line."],
  ["filter", "Filter (JSON)", asObject("null"), { control: "textarea", rows: 4, placeholder: '{"/amount": {"gte": 100}}' },
    "All conditions must hold. Empty: none."],
  ["max_in_flight", "Requests at a time", asNumber, { type: "number", min: 1, max: 1000 }, kInherited],
  ["rate_limit", "Rate limit", orNull, { maxlength: 16, placeholder: "100/s" }, "Empty: none."],
  ["timeout", "Timeout of an attempt", orNull, { maxlength: 32, placeholder: "15s" }, kInherited],
  ["retry_schedule", "Waits before each attempt", listOrNull, { control: "textarea", rows: 3, placeholder: "0s\n5s\n5m" },
    `One a line, the first attempt's included. ${kInherited}`],
  ["ordering", "Ordering", asText, { options: [["none", "none"], ["key", "by ordering key"], ["endpoint", "all, one at a time"]] }],
  ["on_failure_in_order", "What a failure does to those behind it", asText,
    { options: [["block", "block: they wait"], ["skip", "skip: it is dead, and they go on"]] }],
  ["disable_after", "Disable when all fails for", asText, { maxlength: 32, placeholder: "5d" }, "1m to 365d, or never."],
  ["headers", "Headers (JSON)", asObject("{}"), { control: "textarea", rows: 3, placeholder: '{"X-Region": "eu"}' }],
  ["body_template", "Body template", asIs, { control: "textarea", rows: 4, placeholder: '{"text": "Order {{/id}}"}' },
    "With the format raw. Empty: the payload as it came."],
  ["metadata", "Metadata (JSON)", asObject("{}"), { control: "textarea", rows: 3 }],
];

const typedOf = (endpoint, name, kind) => kind.text(endpoint[name], endpoint.texts[name]);

// A textarea's lines end as forms send them.
const plain = (text) => String(text).replaceAll("\r\n", "\n");

// Only what was changed is sent, so that two people do not undo each other's work.
function changesOf(endpoint, form) {
  const members = [];
  for (const [name, label, kind] of kFields) {
    const typed = plain(form.get(name));
    if (typed !== plain(typedOf(endpoint, name, kind))) members.push([name, kind.json(typed, label)]);
  }
  return members;
}

export async function editEndpoint(view, endpoint, changed) {
  const fields = kFields.map(([name, label, kind, properties, said]) =>
    dialogField(name, label, { ...properties, value: typedOf(endpoint, name, kind) }, said));
  const edited = await ask({
    title: `Settings of ${oneLine(nameOf(endpoint), 60)}`, agree: "Save",
    body: fields,
    act: async (form) => {
      const members = changesOf(endpoint, form);
      if (members.length === 0) return { unchanged: true };
      await send("PATCH", idPath("endpoints", endpoint.id), bodyOf(members));
      return { names: members.map(([name]) => name) };
    },
  });
  if (!edited) return;
  say(edited.unchanged ? "Nothing was changed." : `Changed: ${edited.names.join(", ")}.`);
  // Whoever came by its name would not find it under that any more.
  if (edited.names?.includes("name") && view.id !== endpoint.id) view.open(`/endpoints/${endpoint.id}`);
  else changed();
}

const inherited = (value) => (value === null ? "as configured for all" : String(value));
const object = (endpoint, name, label) => (Object.keys(endpoint[name] ?? {}).length > 0 ? block(endpoint.texts[name], label) : "none");

function authWords(auth) {
  if (!auth) return "none";
  if (auth.basic) return ["basic, user ", foreign(auth.basic.user, 80)];
  return auth.header ? ["header ", foreign(auth.header.name, 80)] : "bearer token";
}

export function settings(view, endpoint, changed) {
  return [
    facts([
      ["URL", foreign(endpoint.url, 2048)],
      ["Name", endpoint.name ? foreign(endpoint.name, 128) : "none"],
      ["Id", el("span", { class: "id" }, endpoint.id)],
      ["Tenant", endpoint.tenant ? foreign(endpoint.tenant, 128) : "none"],
      ["State", [badge(endpoint.state), endpoint.disabled_reason ? ` ${oneLine(endpoint.disabled_reason, 80)}` : null]],
      ["Event types", endpoint.types.map((type) => [el("code", {}, type), " "])],
      ["Requests at a time", inherited(endpoint.max_in_flight)],
      ["Rate limit", endpoint.rate_limit ?? "none"],
      ["Timeout of an attempt", inherited(endpoint.timeout)],
      ["Waits before each attempt", endpoint.retry_schedule === null ? inherited(null) : endpoint.retry_schedule.join(", ")],
      ["Ordering", endpoint.ordering],
      ["On failure in order", endpoint.on_failure_in_order],
      ["Disable when all fails for", endpoint.disable_after],
      ["Format", endpoint.format],
      ["Content type", endpoint.content_type === null ? "the body's own" : foreign(endpoint.content_type, 255)],
      ["Authentication", authWords(endpoint.auth)],
      ["Further signatures", endpoint.signatures.length === 0 ? "none" : endpoint.signatures.map((one) => [el("code", {}, one.scheme), " "])],
      ["Failing since", endpoint.failing_since ? bothTimes(endpoint.failing_since) : null],
      ["Added", bothTimes(endpoint.created_at)],
      ["Changed", bothTimes(endpoint.updated_at)],
    ]),
    objects(endpoint),
    view.mayChange ? el("div", { class: "acts", "data-key": "acts" }, button("Change settings", () => editEndpoint(view, endpoint, changed)),
      button("Test the filter", () => testFilter(endpoint))) : null,
  ];
}

function objects(endpoint) {
  return facts([
    ["Filter", object(endpoint, "filter", "Filter")],
    ["Headers", object(endpoint, "headers", "Headers")],
    ["Body template", endpoint.body_template ? block(endpoint.body_template, "Body template") : "none"],
    ["TLS of its own", object(endpoint, "tls", "TLS of its own")],
    ["Metadata", object(endpoint, "metadata", "Metadata")],
  ]);
}
