// One event: what it is, its payload on demand, and what became of it.
import { get, idPath, orRefused, send } from "./api.js";
import { ask, say } from "./dialog.js";
import { el } from "./dom.js";
import { bytes, count, plural, visible } from "./format.js";
import { badge, block, bothTimes, button, endpointLink, errorBox, facts, foreign, idLink, link, section, table, waitingText, when } from "./parts.js";
import { payloadNode } from "./payload.js";

const kLongValue = 200;
const kMaxValue = 16 * 1024;

export function show(view) {
  view.title("Event");
  let payload = null;
  const reload = view.refresh(5, (signal) => orRefused(get(idPath("events", view.id), {}, signal)), (event) => {
    if (event.refused) return [el("h1", {}, "Event"), errorBox(event.refused), el("p", {}, link("#/events", "All events"))];
    const readable = view.session.payloads && !event.payload_erased_at;
    payload = readable ? payload ?? payloadNode(view, event) : null;
    return [
      el("div", { class: "head", "data-key": "head" }, el("h1", {}, "Event ", foreign(event.type)),
        view.mayChange ? acts(event, () => reload()) : null),
      section("What it is", about(event)),
      headers(event), cloudEvent(event),
      section("Payload", payload ?? el("p", { class: "empty" }, whyNoPayload(event))),
      section("Deliveries", deliveries(event)),
    ];
  });
}

function whyNoPayload(event) {
  if (event.payload_erased_at) return ["It was erased ", when(event.payload_erased_at), "."];
  return "The daemon's configuration does not let the dashboard show payloads.";
}

function about(event) {
  return facts([
    ["Id", el("span", { class: "id" }, event.id)],
    ["Type", link(`#/events?type=${encodeURIComponent(event.type)}`, foreign(event.type))],
    ["Tenant", event.tenant ? foreign(event.tenant) : "none"],
    ["Created", bothTimes(event.created_at)],
    ["Content type", foreign(event.content_type)],
    ["Payload", event.payload_erased_at ? "erased" : size(event.payload_bytes)],
    ["Payload erased", bothTimes(event.payload_erased_at, null)],
    ["Ordering key", event.ordering_key === null ? "none" : foreign(event.ordering_key, 256)],
    ["Priority", String(event.priority)],
    ["Not delivered before", bothTimes(event.deliver_at, null)],
    ["Expires", bothTimes(event.expires_at, "never")],
    ["Trace", event.traceparent === null ? null : foreign(event.traceparent)],
  ]);
}

const size = (number) => (number < 1024 ? plural(number, "byte") : `${plural(number, "byte")} (${bytes(number)})`);

function named(object) {
  return facts(Object.entries(object).map(([name, value]) => {
    const text = String(value);
    return [visible(name), text.length > kLongValue ? block(text.slice(0, kMaxValue), visible(name)) : foreign(text, kLongValue)];
  }));
}

function headers(event) {
  return Object.keys(event.headers).length === 0 ? null : section("Headers for the subscriber", named(event.headers));
}

function cloudEvent(event) {
  return event.cloud_event ? section("CloudEvents attributes", named(event.cloud_event)) : null;
}

function deliveries(event) {
  return [
    table("Deliveries of this event", [
      { name: "Delivery", cell: (row) => idLink("deliveries", row.id) },
      { name: "Endpoint", cell: (row) => endpointLink(row.endpoint, row.endpoint_name) },
      { name: "State", cell: (row) => [badge(row.state), row.reason ? [" ", badge(row.reason)] : null, row.in_flight ? " in flight" : null] },
      { name: "Attempts", cell: (row) => count(row.attempts), number: true },
      { name: "Waits for", cell: (row) => waitingText(row.waiting), wide: true },
      { name: "Next attempt", cell: (row) => when(row.due_at), wide: true },
      { name: "Last error", cell: (row) => (row.error ? badge(row.error) : "–") },
      { name: "Finished", cell: (row) => when(row.finished_at), wide: true },
    ], event.deliveries, { empty: "None: no endpoint wanted it." }),
    event.deliveries_next_cursor ? el("p", {}, `The first ${count(event.deliveries.length)}. `,
      link(`#/deliveries?event=${encodeURIComponent(event.id)}`, "All deliveries of this event")) : null,
  ];
}

function acts(event, reload) {
  if (event.payload_erased_at) return null;  // what has no payload cannot be sent again
  return el("div", { class: "acts" }, button("Replay…", () => replay(event, reload)),
    button("Erase payload…", () => erase(event, reload), { class: "danger" }));
}

// The endpoints to choose from are those that it was for.
async function replay(event, reload) {
  const known = new Map(event.deliveries.map((one) => [one.endpoint, one.endpoint_name ?? one.endpoint]));
  const made = await ask({
    title: "Replay this event?", agree: "Replay",
    body: [
      el("p", {}, "It is sent once more, also to endpoints that have it already."),
      el("div", { class: "field" }, el("label", { for: "replay-to" }, "To"),
        el("select", { id: "replay-to", name: "endpoint" }, el("option", { value: "" }, "all endpoints that match now"),
          [...known].map(([id, name]) => el("option", { value: id }, visible(name).slice(0, 80)))))],
    act: (form) => send("POST", `${idPath("events", event.id)}/replay`, form.get("endpoint") ? { endpoint: form.get("endpoint") } : undefined),
  });
  if (!made) return;
  say(made.deliveries === 0 ? "No endpoint matches it now; nothing is sent." : `Replayed: ${plural(made.deliveries, "delivery", "deliveries")}.`);
  reload();
}

async function erase(event, reload) {
  const erased = await ask({
    title: "Erase its payload?", agree: "Erase payload", danger: true,
    body: el("p", {}, "The bytes are overwritten and cannot be brought back. What is pending is discarded, and the event can never be replayed. " +
      "Backups, and what subscribers have received, are not touched."),
    act: () => send("DELETE", `${idPath("events", event.id)}/payload`),
  });
  if (!erased) return;
  say(`The payload is erased; ${plural(erased.discarded, "pending delivery", "pending deliveries")} discarded.`);
  reload();
}
