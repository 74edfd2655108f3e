// All endpoints: how each one is doing, and holding one or letting it go on.
import { get } from "./api.js";
import { el } from "./dom.js";
import { count, duration, millis, oneLine, secondsSince } from "./format.js";
import { addEndpoint, holdButton, nameOf, testEndpoint } from "./endpoint_acts.js";
import { rate } from "./endpoint_words.js";
import { badge, button, endpointLink, errorBox, filters, foreign, pager, table, when } from "./parts.js";

const kPage = 50;
const kFields = [
  { name: "search", label: "Name or URL has", hint: "shop" },
  { name: "state", label: "State", options: [["", "any"], ["active", "active"], ["paused", "paused"], ["disabled", "disabled"]] },
  { name: "health", label: "Health", options: [["", "any"], ["failing", "failing"]] },
  { name: "sort", label: "First comes the", options: [["", "oldest"], ["backlog", "largest backlog"]] },
];

export function show(view) {
  view.title("Endpoints");
  const fields = view.session.tenant === null ? [...kFields, { name: "tenant", label: "Tenant", hint: "any" }] : kFields;
  const query = { stats: "true", limit: kPage };
  for (const name of [...fields.map((field) => field.name), "cursor"]) query[name] = view.query.get(name);
  const largest = query.sort === "backlog";
  if (largest) query.cursor = null;  // the largest ones come without further pages
  const again = view.refresh(4, (signal) => listed(query, signal), (page) => [
    el("div", { class: "head", "data-key": "head" }, el("h1", {}, "Endpoints"),
      view.mayChange ? button("Add an endpoint", () => addEndpoint(view), { class: "primary" }) : null),
    filters(view, fields),
    page.refused ? errorBox(page.refused) : [endpointTable(view, page.data, () => again()), pages(view, page, largest)],
  ]);
}

// A filter that the daemon refuses is shown beside the fields where it can be mended.
async function listed(query, signal) {
  try {
    return await get("/v1/endpoints", query, signal);
  } catch (error) {
    if (error.status === 400 || error.status === 422) return { refused: error };
    throw error;
  }
}

function pages(view, page, largest) {
  const shown = page.data.length;
  if (!largest || shown < kPage) return pager(view, largest ? null : page.next_cursor, shown);
  return el("p", { class: "pager", "data-key": "pager" }, `The ${count(shown)} with the largest backlogs; a search finds the others.`);
}

function endpointTable(view, rows, changed) {
  const columns = [
    { name: "Endpoint", cell: (row) => [endpointLink(row.id, row.name), el("div", { class: "note wide line" }, foreign(row.url, 40))] },
    { name: "State", cell: (row) => [badge(row.state), " ", health(row.stats)] },
    { name: "Pending", cell: (row) => pending(row), number: true },
    { name: "Oldest due", cell: (row) => oldest(row.stats?.oldest_due_at), number: true, wide: true },
    { name: "Attempts/s", cell: (row) => rate(row.stats?.rates?.out_per_second), number: true, wide: true },
    { name: "p95", cell: (row) => millis(row.stats?.latency_ms?.p95), number: true, wide: true },
    { name: "Last error", cell: (row) => lastError(row.stats?.last_error), wide: true },
  ];
  if (rows.some((row) => row.tenant)) columns.splice(1, 0, { name: "Tenant", cell: (row) => foreign(row.tenant || "–", 40), wide: true });
  if (view.mayChange) columns.push({ name: "Act", cell: (row) => el("div", { class: "acts together" }, holdButton(row, changed), testButton(row)) });
  return table("Endpoints", columns, rows, { empty: [...view.query].length > 0 ? "No endpoint is like that." : "No endpoint was added yet." });
}

function testButton(row) {
  return button("Test", () => testEndpoint(row), { "aria-label": `Test ${oneLine(nameOf(row), 60)}`, class: "wide" });
}

function health(stats) {
  if (!stats || stats.consecutive_failures === null) return "health not known";
  if (stats.breaker !== "open" && stats.consecutive_failures === 0) return badge("healthy");
  const failures = `${count(stats.consecutive_failures)} in a row`;
  return [badge("failing"), el("div", { class: "note" }, stats.breaker === "open" ? `${failures}, breaker open` : failures)];
}

const oldest = (due) => (due ? duration(Math.max(0, secondsSince(due))) : "none");

function pending(row) {
  if (!row.stats) return "–";
  return row.stats.pending > 0 ? el("a", { href: `#/deliveries?state=pending&endpoint=${row.id}` }, count(row.stats.pending)) : "0";
}

function lastError(error) {
  if (!error) return "–";
  return [foreign(error.error, 60), el("div", { class: "note" }, when(error.at))];
}
