// Acts on everything that matches a filter: counted first, agreed to, then done by the daemon, whether somebody watches or not.
import { get, idPath, orRefused, send } from "./api.js";
import { ask, say, show } from "./dialog.js";
import { el } from "./dom.js";
import { count } from "./format.js";
import { errorBox, facts, foreign } from "./parts.js";

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

// {counted: how many match, endpoint: the one of the filter}
export async function countBatch(action, filter) {
  const [counted, endpoint] = await Promise.all([
    send("POST", "/v1/batches", { action, filter, dry_run: true }),
    filter.endpoint ? orRefused(get(idPath("endpoints", filter.endpoint))) : null]);
  if (endpoint?.refused) return { counted, endpoint: endpoint.refused.status === 404 ? { state: "removed" } : null };
  return { counted, endpoint };
}

function filterFacts(filter, endpoint) {
  return facts(Object.entries(filter).map(([name, value]) =>
    [name, name === "endpoint" && endpoint?.name ? foreign(endpoint.name, 128) : foreign(value, 300)]));
}

function notActive(state) {
  if (state === "active") return null;
  return el("p", {}, el("strong", {}, state === "removed" ? "The endpoint was removed: nothing is sent to it any more."
    : `The endpoint is ${state}: nothing is sent to it until it is active again.`));
}

// `known`: what countBatch() has said already.
export async function startBatch(view, action, filter, known = null) {
  const [verb, meaning] = kWords[action];
  try {
    known ??= await countBatch(action, filter);
  } catch (error) {
    show(`${verb}: that cannot be counted`, errorBox(error));
    return;
  }
  const { counted, endpoint } = known;
  const matched = `${counted.exact ? "" : "at least "}${count(counted.matched)}`;
  if (counted.matched === 0) {
    say("Nothing matches.");
    return;
  }
  const made = await ask({
    title: `${verb} ${matched} ${counted.matched === 1 ? "delivery" : "deliveries"}?`,
    agree: `${verb} ${matched}`,
    danger: action === "discard",
    body: [
      el("p", {}, meaning),
      endpoint && action !== "discard" ? notActive(endpoint.state) : null,
      filterFacts(filter, endpoint),
      el("div", { class: "field" }, el("label", { for: "batch-rate" }, "At most"),
        el("input", { id: "batch-rate", name: "rate", value: "1000/s", required: true, pattern: "[0-9]+/[smhd]", title: "such as 200/s" })),
      el("div", { class: "field" }, el("label", { for: "batch-reason" }, "Why (for the record)"),
        el("input", { id: "batch-reason", name: "reason", maxlength: 512, value: "" })),
    ],
    act: (form) => send("POST", "/v1/batches", { action, filter, rate: form.get("rate"), reason: form.get("reason") }),
  });
  if (made) view.open(`/batches/${made.id}`);
}
