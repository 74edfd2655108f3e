// How far one batch has come.
import { get, idPath, orRefused } from "./api.js";
import { atLeast, bar, cancelBatch, filterWords, handled, whatItDid } from "./batch_parts.js";
import { el } from "./dom.js";
import { count, duration, secondsSince } from "./format.js";
import { badge, bothTimes, button, errorBox, facts, figure, foreign, link, section } from "./parts.js";

const kWhileRunning = 2;  // seconds
const kOtherwise = 10;
const kPaceOver = 15;  // seconds: the pace is that of so many

export function show(view) {
  view.title("Batch");
  const seen = [];
  let running = true;
  const again = view.refresh(() => (running ? kWhileRunning : kOtherwise), async (signal) => {
    const batch = await orRefused(get(idPath("batches", view.id), {}, signal));
    running = batch.state === "running";
    seen.push([performance.now() / 1000, batch.refused ? 0 : handled(batch)]);
    while (seen.length > 2 && seen.at(-1)[0] - seen[0][0] > kPaceOver) seen.shift();
    return batch;
  }, (batch) => (batch.refused ? unknown(batch.refused) : draw(view, batch, seen, () => again())));
}

function unknown(error) {
  return [el("h1", {}, "Batch"), errorBox(error), el("p", {}, link("#/batches", "All batches"))];
}

function draw(view, batch, seen, again) {
  const running = batch.state === "running";
  return [
    el("div", { class: "head", "data-key": "head" },
      el("h1", {}, `Batch: ${batch.action} `, badge(batch.state)),
      running && view.mayChange ? button("Cancel this batch", async () => {
        if (await cancelBatch(batch)) again();
      }, { class: "danger" }) : null),
    el("p", { "data-key": "id", class: "id" }, batch.id),
    section("Progress", bar(batch), el("p", {}, `${count(handled(batch))} of ${atLeast(batch)}. ${capital(whatItDid(batch))}.`),
      batch.exact ? null : el("p", { class: "empty" }, "What matched is still being counted."),
      el("div", { class: "figures" },
        figure("done", count(batch.done)),
        figure("skipped", count(batch.skipped)),
        figure("matched", atLeast(batch)),
        figure("pace", pace(batch, seen), `at most ${batch.rate}`),
        running ? figure("time left", duration(batch.seconds_left)) : figure("took", took(batch)))),
    section("What it is of", facts([
      ["Filter", filterWords(batch)],
      ["Made", bothTimes(batch.created_at)],
      ["Ended", batch.finished_at ? bothTimes(batch.finished_at) : null],
      ["By", foreign(batch.who)],
      ["Why", batch.reason ? foreign(batch.reason, 512) : "not said"]]), deliveries(batch)),
    el("p", { "data-key": "back" }, link("#/batches", "All batches")),
  ];
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

const took = (batch) => (batch.finished_at ? duration((Date.parse(batch.finished_at) - Date.parse(batch.created_at)) / 1000) : "–");

// While it runs that of the last seconds, by the clock of this browser alone; of one that has ended, that of all of it,
// unless it was over at once.
function pace(batch, seen) {
  if (batch.state !== "running") {
    const seconds = batch.finished_at ? secondsSince(batch.created_at, Date.parse(batch.finished_at)) : 0;
    return seconds >= 1 ? `${perSecond(handled(batch) / seconds)}/s` : "–";
  }
  const [from, to] = [seen[0], seen.at(-1)];
  return to[0] - from[0] > 0.5 ? `${perSecond((to[1] - from[1]) / (to[0] - from[0]))}/s` : "–";
}

const perSecond = (rate) => (rate < 10 ? rate.toFixed(1).replace(/\.0$/, "") : count(Math.round(rate)));

// A batch changes what its filter looks at: what was dead is pending, delivered or dead again afterwards.
function deliveries(batch) {
  const now = new URLSearchParams(batch.filter);
  const all = new URLSearchParams(batch.filter);
  for (const name of ["state", "reason", "error", "status"]) all.delete(name);
  all.delete("cursor");
  const more = all.toString() !== now.toString() && all.toString() !== "";
  return el("p", {}, link(`#/deliveries?${now}`, "Deliveries that match its filter now"),
    more ? [", ", link(`#/deliveries?${all}`, "those in any state")] : null, ".");
}
