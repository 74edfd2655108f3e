// Deliveries by every filter that the API has, and acts on all that match, or on chosen rows.
import { ApiError, getRows, idPath, orRefused, send } from "./api.js";
import { batchFilter, startBatch } from "./batch_dialog.js";
import { ask, say, show as showDialog } from "./dialog.js";
import { el } from "./dom.js";
import { count, plural } from "./format.js";
import { badge, button, endpointLink, errorBox, filters, foreign, idLink, pager, table, waitingText, when } from "./parts.js";

const kRows = 50;
const kEvery = 5;  // seconds; only the first page, because what is on a deeper one is what somebody is reading

const choices = (any, words) => [["", any], ...words.map((word) => [word, word])];
const kFields = [
  { name: "state", label: "State", options: choices("any", ["pending", "delivered", "dead", "discarded"]) },
  { name: "endpoint", label: "Endpoint", hint: "name or id" },
  { name: "type", label: "Type", hint: "order.paid" },
  { name: "error", label: "Last error", options: choices("any or none",
    ["any", "http_4xx", "http_5xx", "redirect", "timeout", "connect", "dns", "tls", "blocked", "protocol"]) },
  { name: "status", label: "HTTP status", hint: "503" },
  { name: "waiting", label: "Waits for", options: choices("anything",
    ["due", "slot", "breaker", "retry_after", "rate_limit", "order", "paused", "disabled"]) },
  { name: "reason", label: "Dead because", options: choices("any",
    ["exhausted", "expired", "gone", "blocked", "too_large", "skipped", "damaged"]) },
  { name: "since", label: "Since", hint: "1h, or a time" },
  { name: "until", label: "Until", hint: "10m, or a time" },
  { name: "event", label: "Event", hint: "evt_…" },
  { name: "tenant", label: "Tenant", hint: "exactly" },
];

export function show(view) {
  view.title("Deliveries");
  const fields = kFields.filter((field) => field.name !== "tenant" || view.session.tenant === null);
  const query = Object.fromEntries([...fields.map((field) => field.name), "cursor"].map((name) => [name, view.query.get(name)]));
  const page = { view, fields, query, selected: new Set(), answer: null };
  page.redraw = () => page.answer && view.render(...draw(page));
  page.again = view.refresh(query.cursor ? Infinity : kEvery,
    (signal) => orRefused(getRows("/v1/deliveries", { ...query, limit: kRows }, signal)),
    (answer) => {
      page.answer = answer;
      return draw(page);
    });
}

function draw(page) {
  const { view, fields, query, answer } = page;
  const head = [
    el("div", { class: "head", "data-key": "head" }, el("h1", {}, "Deliveries"),
      query.cursor ? button("Refresh", page.again, { title: "Only the first page is refreshed by itself" }) : null),
    filters(view, fields)];
  if (answer.refused) return [...head, errorBox(answer.refused)];
  const rows = answer.data;
  for (const id of page.selected) if (!rows.some((row) => row.id === id)) page.selected.delete(id);
  return [...head, view.mayChange ? acts(page, rows) : null,
    table("Deliveries, the newest first", columns(page, rows), rows,
      { empty: answer.next_cursor ? "None among those looked at so far; the next page goes on from there." : "No delivery matches." }),
    pager(view, answer.next_cursor, rows.length)];
}

function columns(page, rows) {
  const known = [
    { name: "Delivery", cell: (row) => idLink("deliveries", row.id) },
    { name: "Type", cell: (row) => foreign(row.type, 60), wide: true },
    { name: "Endpoint", cell: (row) => endpointLink(row.endpoint, row.endpoint_name) },
    { name: "State", cell: (row) => [badge(row.state), row.reason ? ` ${row.reason}` : null] },
    { name: "Attempts", cell: (row) => count(row.attempts), number: true, wide: true },
    { name: "Waits for, or ended", cell: next },
    { name: "Last error", cell: (row) => (row.error ? badge(row.error) : "–") },
    { name: "Created", cell: (row) => when(row.created_at), wide: true },
  ];
  return page.view.mayChange ? [selection(page, rows), ...known] : known;
}

function next(row) {
  if (row.state !== "pending") return when(row.finished_at);
  if (row.in_flight) return badge("in flight");
  return row.waiting ? waitingText(row.waiting) : "not known";
}

function selection(page, rows) {
  const set = (ids, on) => {
    for (const id of ids) on ? page.selected.add(id) : page.selected.delete(id);
    page.redraw();
  };
  const box = (label, ids) => el("input", { type: "checkbox", "aria-label": label,
    checked: ids.length > 0 && ids.every((id) => page.selected.has(id)), onchange: (event) => set(ids, event.target.checked) });
  return {
    name: [el("span", { class: "unseen" }, "Selected"), box("Select all on this page", rows.map((row) => row.id))],
    cell: (row) => box(`Select ${row.id}`, [row.id]) };
}

// Either of all that match, by a batch, or of the rows that are chosen.
function acts(page, rows) {
  const chosen = rows.filter((row) => page.selected.has(row.id));
  if (chosen.length > 0) return chosenActs(page, chosen);
  const filter = batchFilter(page.query);
  const noChange = whyNoChange(page.query, filter);
  const noReplay = whyNoReplay(page.query, filter);
  const start = (action) => () => startBatch(page.view, action, filter);
  return el("div", { "data-key": "acts" },
    el("div", { class: "acts page-acts" },
      button("Retry all that match", start("retry"), { disabled: noChange !== null, "aria-describedby": "why-no-batch" }),
      button("Discard all that match", start("discard"), { disabled: noChange !== null, "aria-describedby": "why-no-batch" }),
      button("Replay", start("replay"), { disabled: noReplay !== null, "aria-describedby": "why-no-batch",
        title: "Send the events of all that match once more" })),
    el("p", { class: "empty", id: "why-no-batch" }, [...new Set([noChange, noReplay])].filter(Boolean).join(" ") ||
      "Retry and discard act on the pending and dead ones of all that match, replay sends the events of all of them again."));
}

// A pending one is due by its schedule already, and what has come to its end cannot be discarded.
function chosenActs(page, chosen) {
  const act = (verb, action, rows) =>
    button(`${verb} ${count(rows.length)} selected`, () => changeChosen(page, action, rows), { disabled: rows.length === 0 });
  const ended = chosen.filter((row) => row.state !== "pending");
  const stoppable = chosen.filter((row) => row.state === "pending" || row.state === "dead");
  return el("div", { "data-key": "acts" },
    el("div", { class: "acts page-acts" }, act("Retry", "retry", ended), act("Discard", "discard", stoppable),
      button("Select none", () => {
        page.selected.clear();
        page.redraw();
      })),
    ended.length < chosen.length ? el("p", { class: "empty" }, `Pending: ${count(chosen.length - ended.length)} of the selected. `,
      "What is pending is tried at once from its own page, or by “Retry all that match”.") : null);
}

function whyNoBatch(query, filter) {
  if (query.waiting) {
    return "What a delivery waits for changes from one moment to the next, so nothing acts on all of these: filter by the endpoint instead, " +
      "or select rows.";
  }
  if (Object.keys(filter).length === 0) return "Filter by something first: what acts on many acts on what matches.";
  return null;
}

function whyNoChange(query, filter) {
  const why = whyNoBatch(query, filter);
  if (why || !["delivered", "discarded"].includes(query.state)) return why;
  return "Retry and discard are for pending and dead deliveries.";
}

function whyNoReplay(query, filter) {
  const why = whyNoBatch(query, filter);
  if (why) return why;
  const ofDeliveries = ["state", "error", "reason", "status"].filter((name) => filter[name]);
  return ofDeliveries.length === 0 ? null : `A replay is of events, whatever became of their deliveries: for one, clear ${ofDeliveries.join(", ")}.`;
}

function changeChosen(page, action, rows) {
  const verb = action === "retry" ? "Retry" : "Discard";
  const left = rows.map((row) => row.id);
  const refused = [];
  let done = 0;
  // What was done before the daemon failed is not asked for again.
  const act = async () => {
    while (left.length > 0) {
      try {
        await send("POST", `${idPath("deliveries", left[0])}/${action}`);
        ++done;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status >= 500 || error.status === 429) throw error;
        refused.push([left[0], error.message]);
      }
      left.shift();
    }
  };
  return ask({
    title: `${verb} ${plural(rows.length, "selected delivery", "selected deliveries")}?`, agree: verb, danger: action === "discard", act,
    body: el("p", {}, action === "retry" ? "Each is due at once, with its schedule from the beginning. What was delivered is sent again."
      : "They will not be sent. What is discarded can be retried later."),
  }).then((agreed) => {
    if (done > 0) say(`${count(done)} ${action === "retry" ? "retried" : "discarded"}.`);
    if (agreed && refused.length > 0) tellRefused(refused);
    if (agreed) page.selected.clear();
    if (agreed || done > 0) page.again();
  });
}

function tellRefused(refused) {
  const columns = [
    { name: "Delivery", cell: ([id]) => el("span", { class: "id" }, id) },
    { name: "Why", cell: ([, why]) => foreign(why) },
  ];
  showDialog(`${plural(refused.length, "delivery", "deliveries")} refused`, table("What was refused", columns, refused, { key: ([id]) => id }));
}
