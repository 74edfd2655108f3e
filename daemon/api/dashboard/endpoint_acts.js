// What can be done to an endpoint, for the list of endpoints and the page of one.
import { get, idPath, JsonText, send } from "./api.js";
import { countBatch, startBatch } from "./batch_dialog.js";
import { ask, change, copy, say, show } from "./dialog.js";
import { el } from "./dom.js";
import { millis, oneLine, visible } from "./format.js";
import { badge, block, bothTimes, button, facts, foreign, table } from "./parts.js";

export const nameOf = (endpoint) => endpoint.name || endpoint.id;

// A labelled field of a dialog. `control`: the tag; `said`: what to write there.
export function dialogField(name, label, properties = {}, said = null) {
  const { control = "input", options, ...rest } = properties;
  const id = `dialog-${name}`;
  const common = { id, name, autocomplete: "off", spellcheck: "false", "aria-describedby": said ? `${id}-said` : null, ...rest };
  const input = options
    ? el("select", common, options.map(([value, text]) => el("option", { value, selected: value === properties.value }, text)))
    : el(control, common);
  return el("div", { class: "field" }, el("label", { for: id }, label), input, said ? el("p", { class: "empty", id: `${id}-said` }, said) : null);
}

// What a person wrote as JSON, checked here so that the daemon is asked only for what can be meant.
export function jsonOf(text, what) {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is not JSON: ${error.message}`);
  }
  return text;
}

// Makes a body of members whose values are JSON already.
export function bodyOf(members) {
  return new JsonText(`{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`);
}

export function showSecret(title, secret, ...more) {
  show(title, el("p", {}, "For the subscriber, who verifies signatures with it:"), el("p", {}, el("code", { class: "id" }, secret)), ...more,
    el("p", {}, button("Copy the secret", () => copy(secret, "Secret"))));
}

// The button that holds or releases the deliveries of an endpoint.
export function holdButton(endpoint, changed) {
  const path = idPath("endpoints", endpoint.id);
  const name = oneLine(nameOf(endpoint), 60);
  const act = (verb, done) => async () => {
    if (await change(`${name} ${done}.`, () => send("POST", `${path}/${verb}`, {}))) changed();
  };
  if (endpoint.state === "active") return button("Pause", act("pause", "is paused: its deliveries wait"), { "aria-label": `Pause ${name}` });
  const verb = endpoint.state === "disabled" ? "Enable" : "Resume";
  return button(verb, act("resume", "is active again"), { "aria-label": `${verb} ${name}`, class: "primary" });
}

export async function testEndpoint(endpoint) {
  const answer = await ask({
    title: `Send a test event to ${oneLine(nameOf(endpoint), 60)}?`, agree: "Send it",
    body: [
      el("p", {}, "It is signed as every other one, and nothing of it is stored. A success ends a pause of the breaker."),
      dialogField("type", "Type", { maxlength: 128, placeholder: "outboxd.test" }),
      dialogField("payload", "Payload (JSON)", { control: "textarea", rows: 5 }, "Empty: a payload that says that it is a test."),
    ],
    act: (form) => {
      const members = [];
      if (form.get("type").trim()) members.push(["type", JSON.stringify(form.get("type").trim())]);
      if (form.get("payload").trim()) members.push(["payload", jsonOf(form.get("payload"), "The payload")]);
      return send("POST", `${idPath("endpoints", endpoint.id)}/test`, bodyOf(members));
    },
  });
  if (answer) showAttempt(answer.attempt);
}

function showAttempt(attempt) {
  const timings = [["name looked up", "dns_ms"], ["connected", "connect_ms"], ["TLS agreed", "tls_ms"],
    ["first byte", "first_byte_ms"], ["all", "total_ms"]];
  show(attempt.outcome === "success" ? "The test was accepted" : "The test failed", facts([
    ["Outcome", [badge(attempt.outcome), attempt.status ? ` HTTP ${attempt.status}` : null]],
    attempt.error ? ["Error", foreign(attempt.error, 2000)] : null,
    ["Request", foreign(attempt.request_line, 2100)],
    ["Connected to", attempt.remote_address ?? "nothing"],
    ["Started", bothTimes(attempt.started_at)],
    attempt.resent ? ["Sent twice", "the kept connection had ended"] : null,
    ...timings.map(([name, key]) => (attempt.timings[key] === null ? null : [`${name} after`, millis(attempt.timings[key])])),
  ]),
  el("h3", {}, "Headers of the answer"),
  table("Headers of the answer", [
    { name: "Name", cell: (row) => foreign(row.name, 80) },
    { name: "Value", cell: (row) => foreign(row.value, 300) },
  ], attempt.response_headers.map((header, index) => ({ ...header, id: index })), { empty: "None." }),
  el("h3", {}, "Body of the answer"),
  attempt.response_body ? block(attempt.response_body, "Body of the answer") : el("p", { class: "empty" }, "Empty."));
}

// Its name must be typed, so that it is not another one that goes.
export async function removeEndpoint(view, endpoint) {
  const typable = endpoint.name && visible(endpoint.name) === endpoint.name && endpoint.name.trim() === endpoint.name;
  const expected = typable ? endpoint.name : endpoint.id.slice(-8);
  const removed = await ask({
    title: `Remove ${oneLine(nameOf(endpoint), 60)}?`, agree: "Remove it", danger: true,
    body: [
      el("p", {}, "Its pending deliveries are discarded, and no event goes to it any more. That cannot be undone."),
      dialogField("typed", typable ? `To be sure, its name: ${expected}` : `To be sure, the end of its id: ${expected}`,
        { required: true, maxlength: 512 }),
    ],
    act: (form) => {
      if (form.get("typed").trim() !== expected) throw new Error(`That is not ${expected}.`);
      return send("DELETE", idPath("endpoints", endpoint.id));
    },
  });
  if (!removed) return;
  say(`${oneLine(nameOf(endpoint), 60)} is removed.`);
  view.open("/endpoints");
}

export async function sendMissing(view, endpoint) {
  const chosen = await ask({
    title: "Send what it never got?", agree: "Count them",
    body: [
      el("p", {}, `Events that ${oneLine(nameOf(endpoint), 60)} wants, accepted since then, and never delivered to it.`),
      dialogField("since", "Since", { required: true, value: "24h", maxlength: 64 },
        "How long ago (24h, 7d), or a time such as 2026-05-01T08:00:00Z."),
    ],
    act: async (form) => {
      const filter = { endpoint: endpoint.id, since: form.get("since").trim() };
      return { filter, known: await countBatch("replay_missing", filter) };
    },
  });
  if (chosen) await startBatch(view, "replay_missing", chosen.filter, chosen.known);
}

// Opens the page of what was made.
export async function addEndpoint(view) {
  const made = await ask({
    title: "Add an endpoint", agree: "Add it",
    body: [
      dialogField("url", "URL", { required: true, maxlength: 2048, placeholder: "https://example.com/hook", inputmode: "url" }),
      dialogField("name", "Name", { maxlength: 128 }, "Unique in its tenant; it stands for the endpoint wherever its id is taken."),
      dialogField("types", "Event types", { control: "textarea", rows: 3, placeholder: "**" },
        "Patterns, one a line: order.paid, order.* (one more segment), order.** (one or more). Empty: all."),
      view.session.tenant === null ? dialogField("tenant", "Tenant", { maxlength: 128 }) : null,
    ].filter(Boolean),
    act: (form) => send("POST", "/v1/endpoints", newEndpoint(view, form)),
  });
  if (!made) return;
  view.open(`/endpoints/${made.id}`);
  showSecret("It is added", made.secret);
}

function newEndpoint(view, form) {
  const types = listOf(form.get("types"));
  const fields = { url: form.get("url").trim(), name: form.get("name").trim(), tenant: view.session.tenant ?? form.get("tenant").trim() };
  return types.length > 0 ? { ...fields, types } : fields;
}

export const listOf = (text) => text.split(/[\s,]+/).filter(Boolean);

export async function testFilter(endpoint) {
  const answer = await ask({
    title: "Does its filter let a payload pass?", agree: "Test it",
    body: [
      el("p", {}, "Nothing is sent."),
      dialogField("payload", "Payload (JSON)", { control: "textarea", rows: 8, required: true }),
    ],
    act: (form) => send("POST", `${idPath("endpoints", endpoint.id)}/filter/test`, bodyOf([["payload", jsonOf(form.get("payload"), "The payload")]])),
  });
  if (!answer) return;
  show(answer.matches ? "It passes" : "It does not pass", table("Conditions", [
    { name: "Of", cell: (row) => foreign(row.pointer || "(all of it)", 100) },
    { name: "Condition", cell: (row) => [`${row.condition} `, foreign(row.wanted, 100)] },
    { name: "Found", cell: (row) => (row.found === null ? "nothing" : foreign(row.found, 100)) },
    { name: "Holds", cell: (row) => (row.holds ? "yes" : el("strong", {}, "no")) },
  ], answer.conditions.map((one, index) => ({ ...one, id: index })), { empty: "It has no conditions: every payload passes." }));
}

export async function revealSecrets(endpoint) {
  const answer = await change("Revealed.", () => get(`${idPath("endpoints", endpoint.id)}/secrets`, { reveal: "true" }));
  if (!answer) return;
  const others = [answer.auth ? ["Authentication", answer.auth] : null,
    ...answer.signatures.map((one) => [`Signature for ${one.scheme}`, one])].filter(Boolean);
  show("Secrets", answer.data.map((one) => el("p", {}, el("code", { class: "id" }, one.secret), " ", button("Copy", () => copy(one.secret, "Secret")),
    one.public_key ? el("p", {}, "Its public key: ", el("code", { class: "id" }, one.public_key)) : null)),
  others.map(([name, value]) => [el("h3", {}, name), block(JSON.stringify(value, null, 2), name)]).flat());
}
