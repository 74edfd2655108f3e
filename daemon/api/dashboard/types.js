// Which event types were seen, and who wants them; first those that nobody wants.
import { get, orRefused, pathOf } from "./api.js";
import { el } from "./dom.js";
import { count } from "./format.js";
import { badge, errorBox, filters, foreign, link, pager, pageSeconds, section, table, when } from "./parts.js";

const kFirst = 50;

export function show(view) {
  view.title("Types");
  const query = { tenant: view.query.get("tenant"), limit: kFirst };
  const onlyUnmatched = view.query.get("unmatched") === "true";
  const cursor = view.query.get("cursor");
  const load = async (signal) => {
    const [unmatched, all] = await Promise.all([
      onlyUnmatched || !cursor ? orRefused(get("/v1/types", { ...query, unmatched: "true", cursor }, signal)) : null,
      onlyUnmatched ? null : orRefused(get("/v1/types", { ...query, cursor }, signal))]);
    return { unmatched, all };
  };
  view.refresh(pageSeconds(view, 10), load, ({ unmatched, all }) => [
    el("h1", {}, "Event types"),
    filters(view, [
      view.session.tenant === null ? { name: "tenant", label: "Tenant" } : null,
      { name: "unmatched", label: "Wanted", options: [["", "all"], ["true", "by no endpoint"]] },
    ].filter(Boolean)),
    (unmatched ?? all).refused ? errorBox((unmatched ?? all).refused) : [
      unmatched ? section("Nobody wants", unmatchedPart(view, unmatched, onlyUnmatched)) : null,
      all && !all.refused ? section("All types",
        typeTable(view, "All event types", all.data, "No event was ever accepted."), pager(view, all.next_cursor)) : null]]);
}

function unmatchedPart(view, page, alone) {
  const tenant = view.query.get("tenant");
  return [
    el("p", { class: "empty" }, "The next event of these types is delivered to nobody."),
    typeTable(view, "Event types that no endpoint wants", page.data, "None: every type is wanted by an endpoint."),
    alone ? pager(view, page.next_cursor) : null,
    !alone && page.next_cursor ? el("p", {}, link(pathOf("#/types", { unmatched: "true", tenant }), "All that nobody wants")) : null,
  ];
}

function typeTable(view, caption, rows, empty) {
  return table(caption, [
    { name: "Type", cell: (row) => (row.type === "*" ? "all others" : foreign(row.type)) },
    view.session.tenant === null ? { name: "Tenant", cell: (row) => (row.tenant ? foreign(row.tenant, 40) : "–") } : null,
    { name: "Endpoints", cell: (row) => (row.endpoints === 0 ? badge("nobody") : count(row.endpoints)), number: true },
    { name: "Events", cell: (row) => count(row.events), number: true },
    { name: "Last", cell: (row) => when(row.last_at) },
    { name: "Show", cell: links },
  ].filter(Boolean), rows, { key: (row) => `${row.tenant}~${row.type}`, empty });
}

// "*" stands for the types beyond those that are counted by name, and cannot be asked for.
function links(row) {
  if (row.type === "*") return "–";
  const query = { type: row.type, tenant: row.tenant };
  return [link(pathOf("#/events", query), "events"), " ", link(pathOf("#/deliveries", query), "deliveries")];
}
