// Acts on everything that matches a filter: counted first, agreed to, then done by the daemon, whether somebody watches or not.
import { send } from "./api.js";
import { ask, say } from "./dialog.js";
import { el } from "./dom.js";
import { count } from "./format.js";
import { facts } from "./parts.js";

const kWords = {
  retry: ["Retry", "Each is due at once, with its schedule from the beginning."],
  discard: ["Discard", "They will not be sent. What is discarded can be replayed later."],
  replay: ["Replay", "Their events are sent once more, to the endpoints that match them now."],
  replay_missing: ["Send missing", "Events that the endpoint wants and never got."],
};

// What a batch can filter by; a page's other parameters are its own.
const kFilters = ["state", "endpoint", "tenant", "type", "event", "error", "reason", "status", "since", "until"];

export function batchFilter(query) {
  const filter = {};
  for (const name of kFilters) if (query[name]) filter[name] = query[name];
  return filter;
}

export async function startBatch(view, action, filter) {
  const [verb, meaning] = kWords[action];
  let counted;
  try {
    counted = await send("POST", "/v1/batches", { action, filter, dry_run: true });
  } catch (error) {
    await ask({ title: verb, body: el("p", {}, error.message), agree: "Try again", act: () => startBatch(view, action, filter) });
    return;
  }
  const matched = `${counted.exact ? "" : "at least "}${count(counted.matched)}`;
  if (counted.matched === 0) {
    say("Nothing matches any more.");
    return;
  }
  const made = await ask({
    title: `${verb} ${matched} ${counted.matched === 1 ? "delivery" : "deliveries"}?`,
    agree: `${verb} ${matched}`,
    danger: action === "discard",
    body: [
      el("p", {}, meaning),
      facts(Object.entries(filter).map(([name, value]) => [name, String(value)])),
      el("div", { class: "field" }, el("label", { for: "batch-rate" }, "At most"),
        el("input", { id: "batch-rate", name: "rate", value: "1000/s", required: true, pattern: "[0-9]+/[smhd]", title: "such as 200/s" })),
      el("div", { class: "field" }, el("label", { for: "batch-reason" }, "Why (for the record)"),
        el("input", { id: "batch-reason", name: "reason", maxlength: 512, value: "" })),
    ],
    act: (form) => send("POST", "/v1/batches", { action, filter, rate: form.get("rate"), reason: form.get("reason") }),
  });
  if (made) view.open(`/batches/${made.id}`);
}
