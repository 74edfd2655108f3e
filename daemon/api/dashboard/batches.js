// What was done, and is being done, to everything that matched a filter.
import { get, orRefused } from "./api.js";
import { atLeast, bar, cancelBatch, filterWords, handled } from "./batch_parts.js";
import { el } from "./dom.js";
import { count, duration } from "./format.js";
import { badge, button, errorBox, filters, foreign, idLink, link, pager, table, when } from "./parts.js";

const kRows = 50;
const kWhileRunning = 2;  // seconds
const kOtherwise = 10;

export function show(view) {
  view.title("Batches");
  const query = { tenant: view.query.get("tenant"), cursor: view.query.get("cursor"), limit: kRows };
  let running = true;
  const again = view.refresh(() => (running ? kWhileRunning : kOtherwise), async (signal) => {
    const answer = await orRefused(get("/v1/batches", query, signal));
    running = answer.data?.some((batch) => batch.state === "running") ?? false;
    return answer;
  }, (answer) => [
    el("h1", {}, "Batches"),
    view.session.tenant === null ? filters(view, [{ name: "tenant", label: "Tenant", hint: "exactly" }]) : null,
    answer.refused ? errorBox(answer.refused) : list(view, answer, () => again())]);
}

function list(view, answer, again) {
  const columns = [
    { name: "Batch", cell: (batch) => idLink("batches", batch.id) },
    { name: "Action", cell: (batch) => batch.action },
    { name: "State", cell: (batch) => badge(batch.state) },
    { name: "Done", cell: progress, number: true },
    { name: "Time left", cell: (batch) => (batch.state === "running" ? duration(batch.seconds_left) : "–"), number: true },
    { name: "Of", cell: filterWords },
    { name: "Rate", cell: (batch) => batch.rate, wide: true },
    { name: "Who", cell: (batch) => foreign(batch.who, 40), wide: true },
    { name: "Why", cell: (batch) => (batch.reason ? foreign(batch.reason, 80) : "–"), wide: true },
    { name: "Made", cell: (batch) => when(batch.created_at), wide: true },
  ];
  if (view.mayChange && answer.data.some((batch) => batch.state === "running"))
    columns.splice(5, 0, { name: "Act", cell: (batch) => cancel(batch, again) });
  const empty = ["There is none. A batch is made on ", link("#/failures", "Failures"), " or ", link("#/deliveries?state=dead", "Deliveries"), "."];
  return [
    table("Batches, the newest first", columns, answer.data, { empty }),
    pager(view, answer.next_cursor, answer.data.length)];
}

function progress(batch) {
  return [`${count(handled(batch))} of ${atLeast(batch)}`, batch.state === "running" ? bar(batch) : null];
}

function cancel(batch, again) {
  if (batch.state !== "running") return null;
  return button("Cancel", async () => {
    if (await cancelBatch(batch)) again();
  }, { "aria-label": `Cancel the batch ${batch.id}` });
}
