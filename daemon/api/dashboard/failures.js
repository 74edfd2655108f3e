// What failed, in groups, the worst first; each is one click from its deliveries and from a batch.
import { get, orRefused } from "./api.js";
import { batchFilter, startBatch } from "./batch_dialog.js";
import { el } from "./dom.js";
import { absolute, count, plural } from "./format.js";
import { badge, button, endpointLink, errorBox, filters, foreign, link, table, when } from "./parts.js";

const kEvery = 5;  // seconds
const kGroups = 100;
const kShownEndpoints = 3;

const kFields = [
  { name: "by", label: "By",
    options: [["", "error"], ["endpoint", "endpoint"], ["type", "type"], ["status", "HTTP status"], ["reason", "dead because"]] },
  { name: "since", label: "Of the last", options: [["1h", "hour"], ["", "24 hours"], ["7d", "7 days"], ["30d", "30 days"]] },
  { name: "endpoint", label: "Endpoint", hint: "name or id" },
  { name: "tenant", label: "Tenant", hint: "exactly" },
];
const kTitles = { error: "Error", endpoint: "Endpoint", type: "Type", status: "HTTP status", reason: "Dead because" };

export function show(view) {
  view.title("Failures");
  const fields = kFields.filter((field) => field.name !== "tenant" || view.session.tenant === null);
  const query = { by: view.query.get("by") || "error", since: view.query.get("since") || "24h", endpoint: view.query.get("endpoint") };
  if (view.session.tenant === null) query.tenant = view.query.get("tenant");
  view.refresh(kEvery, (signal) => orRefused(get("/v1/failures", { ...query, limit: kGroups }, signal)), (answer) => [
    el("h1", {}, "Failures"), filters(view, fields),
    answer.refused ? errorBox(answer.refused) : groups(view, query, answer)]);
}

function groups(view, query, answer) {
  const total = `${plural(answer.attempts, "failed attempt")}, ${plural(answer.dead, "dead delivery", "dead deliveries")}`;
  return [
    el("p", { "data-key": "total" }, answer.groups === 0 ? "Nothing has failed " : `${total}, in ${plural(answer.groups, "group")}, `,
      "since ", absolute(answer.since), "."),
    table("Groups of failures, the worst first", columns(view, query), answer.data,
      { key: (group) => group.group || "empty", empty: "No failures." }),
    answer.groups > answer.data.length
      ? el("p", { class: "empty", "data-key": "more" }, `The worst ${count(answer.data.length)} of ${count(answer.groups)} groups.`) : null,
    answer.dead > 0 ? el("p", { class: "empty", "data-key": "since" }, "Failures are counted when they happen; deliveries and batches go by when ",
      "the event was accepted. What died of older events is found over a longer time.") : null];
}

function columns(view, query) {
  const { by } = query;
  const known = [
    { name: kTitles[by], cell: (group) => title(group, query) },
    { name: "Failed", cell: (group) => count(group.attempts), number: true },
    { name: "Dead", cell: (group) => dead(group, query), number: true },
    view.mayChange ? { name: "What is dead", cell: (group) => acts(view, group, query) } : null,
    by === "endpoint" ? null : { name: "At", cell: endpoints },
    by === "error" ? null : { name: "Error", cell: (group) => (group.error ? badge(group.error) : "–"), wide: true },
    by === "type" ? null : { name: "Type", cell: (group) => (group.type === null ? "several" : foreign(group.type, 60)), wide: true },
    { name: "First", cell: (group) => when(group.first_at), wide: true },
    { name: "Last", cell: (group) => when(group.last_at) },
    { name: "Last error", cell: (group) => (group.last_error ? foreign(group.last_error, 90) : "–") },
  ];
  return known.filter(Boolean);
}

// The deliveries of a group, as a filter of their list: all of them, or those that are dead.
function placeOf(group, query, state) {
  const filter = new URLSearchParams({ ...group.filter, ...narrowed(query), since: query.since });
  if (!state) filter.delete("state");
  return `#/deliveries?${filter}`;
}

// What the page itself is narrowed to holds for what is opened from it.
function narrowed(query) {
  return Object.fromEntries(["endpoint", "tenant"].filter((name) => query[name]).map((name) => [name, query[name]]));
}

function title(group, query) {
  const text = query.by === "endpoint" && group.endpoints.length === 1 ? foreign(group.endpoints[0].name ?? group.group, 60)
    : query.by === "status" && group.group === "none" ? "no response" : foreign(group.group || "(empty)", 60);
  return group.filter ? link(placeOf(group, query, false), text) : text;
}

function dead(group, query) {
  return group.dead > 0 && group.filter ? link(placeOf(group, query, true), count(group.dead)) : count(group.dead);
}

function endpoints(group) {
  const shown = group.endpoints.slice(0, kShownEndpoints);
  const rest = group.endpoint_count - shown.length;
  return [shown.map((one, index) => [index > 0 ? ", " : null, endpointLink(one.id, one.name)]),
    rest > 0 ? `${shown.length > 0 ? " and " : ""}${count(rest)} more` : null];
}

function acts(view, group, query) {
  if (group.dead === 0) return "nothing";
  if (!group.filter) return "no filter selects these";
  const filter = batchFilter({ ...group.filter, ...narrowed(query), since: query.since });
  const of = `what is dead of ${group.group}`;
  return el("div", { class: "acts" },
    button("Retry", () => startBatch(view, "retry", filter), { "aria-label": `Retry ${of}` }),
    button("Discard", () => startBatch(view, "discard", filter), { "aria-label": `Discard ${of}` }));
}
