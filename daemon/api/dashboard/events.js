// What producers handed over, the newest first; and replaying all of it that the filter matches.
import { getRows, orRefused } from "./api.js";
import { batchFilter, startBatch } from "./batch_dialog.js";
import { el } from "./dom.js";
import { bytes, count } from "./format.js";
import { button, errorBox, filters, foreign, idLink, pager, pageSeconds, table, when } from "./parts.js";

const kTimeHint = "1h, or 2026-01-31T09:00:00Z";

export function show(view) {
  view.title("Events");
  const asked = queryOf(view);
  view.refresh(pageSeconds(view, 5), (signal) => orRefused(getRows("/v1/events", asked, signal)), (page) => [
    el("div", { class: "head", "data-key": "head" }, el("h1", {}, "Events"), view.mayChange ? replaying(view, asked) : null),
    filters(view, fieldsOf(view)),
    page.refused ? errorBox(page.refused) : [eventTable(view, page.data), pager(view, page.next_cursor)],
    view.session.tenant === null ? el("p", { class: "empty", "data-key": "rejected" }, "Rows of the SQL outbox that could not become events: ",
      el("a", { href: "#/system" }, "System"), ".") : null]);
}

function queryOf(view) {
  const asked = { limit: 50 };
  for (const name of ["tenant", "type", "since", "until", "cursor"]) asked[name] = view.query.get(name);
  if (view.query.get("unmatched") === "true") asked.unmatched = "true";
  return asked;
}

function fieldsOf(view) {
  return [
    view.session.tenant === null ? { name: "tenant", label: "Tenant" } : null,
    { name: "type", label: "Type", hint: "order.paid" },
    { name: "since", label: "Since", hint: kTimeHint },
    { name: "until", label: "Until", hint: kTimeHint },
    { name: "unmatched", label: "Wanted", options: [["", "all"], ["true", "by no endpoint"]] },
  ].filter(Boolean);
}

// A batch can filter by all that this page filters by, but not by "wanted by no endpoint", and by nothing at all it refuses.
function replaying(view, asked) {
  const filter = batchFilter({ tenant: asked.tenant, type: asked.type, since: asked.since, until: asked.until });
  const why = asked.unmatched ? "A replay of all cannot be limited to what no endpoint wanted."
    : Object.keys(filter).length === 0 ? "To replay all that match, filter by tenant, type or time." : null;
  return el("div", { class: "acts" }, why ? el("span", { class: "empty", id: "replay-why" }, why) : null,
    button("Replay all that match", () => startBatch(view, "replay", filter),
      { disabled: why !== null, "aria-describedby": why ? "replay-why" : null }));
}

function eventTable(view, rows) {
  return table("Events", [
    { name: "Event", cell: (row) => idLink("events", row.id) },
    { name: "Type", cell: (row) => foreign(row.type) },
    view.session.tenant === null ? { name: "Tenant", cell: (row) => (row.tenant ? foreign(row.tenant, 40) : "–"), wide: true } : null,
    { name: "Created", cell: (row) => when(row.created_at) },
    { name: "Ordering key", cell: (row) => (row.ordering_key === null ? "–" : foreign(row.ordering_key, 40)), wide: true },
    { name: "Payload", cell: (row) => (row.payload_erased_at ? "erased" : bytes(row.payload_bytes)), number: true, wide: true },
    { name: "Deliveries", cell: deliveriesLink, number: true },
  ].filter(Boolean), rows, { empty: "No event matches." });
}

function deliveriesLink(row) {
  return row.deliveries === 0 ? "none" : el("a", { href: `#/deliveries?event=${encodeURIComponent(row.id)}` }, count(row.deliveries));
}
