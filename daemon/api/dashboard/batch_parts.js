// What the list of batches and the page of one have in common.
import { idPath, send } from "./api.js";
import { ask, say } from "./dialog.js";
import { el } from "./dom.js";
import { count, plural } from "./format.js";
import { foreign } from "./parts.js";

const kDid = { retry: "retried", discard: "discarded", replay: "replayed", replay_missing: "replayed" };

export const handled = (batch) => batch.done + batch.skipped;
export const atLeast = (batch) => `${batch.exact ? "" : "at least "}${count(batch.matched)}`;

// "3 retried, 1 skipped (had changed, or can no longer be sent)"
export function whatItDid(batch) {
  const why = batch.action === "discard" ? "had changed" : "had changed, or can no longer be sent";
  const skipped = batch.skipped > 0 ? `, ${count(batch.skipped)} skipped (${why})` : "";
  return `${count(batch.done)} ${kDid[batch.action] ?? "done"}${skipped}${batch.state === "cancelled" ? "; then it was cancelled" : ""}`;
}

// "state dead, endpoint shop"
export function filterWords(batch) {
  const words = Object.entries(batch.filter).map(([name, value]) =>
    [name, " ", foreign(name === "endpoint" && batch.endpoint_name ? batch.endpoint_name : value, 60)]);
  return words.map((word, index) => [index > 0 ? ", " : null, word]);
}

export function bar(batch) {
  return el("progress", { max: Math.max(1, batch.matched), value: Math.min(handled(batch), Math.max(1, batch.matched)),
    "aria-label": `${count(handled(batch))} of ${atLeast(batch)}` });
}

// The batch as it is then, or null.
export async function cancelBatch(batch) {
  const left = Math.max(0, batch.matched - handled(batch));
  const cancelled = await ask({
    title: "Cancel this batch?", agree: "Cancel the batch", leave: "Let it go on", danger: true,
    body: el("p", {}, `What it has done stays done (${count(handled(batch))}); the other ${count(left)} are left as they are.`),
    act: () => send("POST", `${idPath("batches", batch.id)}/cancel`),
  });
  if (cancelled) say(`Cancelled: ${plural(cancelled.done, "delivery", "deliveries")} ${kDid[batch.action] ?? "done"}.`);
  return cancelled;
}
