// What holds the deliveries of an endpoint, in the words of `outboxctl why`.
import { el } from "./dom.js";
import { count, duration, oneLine, plural, relative, secondsSince } from "./format.js";
import { foreign } from "./parts.js";

// "12.3", of what happens in a second.
export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return "–";
  if (perSecond > 0 && perSecond < 0.05) return "< 0.1";
  return perSecond < 100 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

const named = (endpoint) => foreign(endpoint.name || endpoint.id, 60);
const longFor = (time) => (time ? ` for ${duration(Math.max(0, Math.floor(secondsSince(time))))}` : "");
const inTime = (time) => (!time ? "" : secondsSince(time) < 0 ? ` ${relative(time)}` : " at any moment");

// The end of a sentence about the deliveries that wait for `what`.
function heldBy(what, endpoint, stats) {
  const until = stats.retry_after_until ?? stats.next_probe_at;
  const words = {
    due: () => "not due yet, by the retry schedule.",
    slot: () => ["due, and waiting for a turn; ", plural(stats.in_flight ?? 0, "request"), " to ", named(endpoint),
      stats.in_flight === 1 ? " is" : " are", " under way."],
    breaker: () => [named(endpoint), ` fails, ${plural(stats.consecutive_failures ?? 0, "time")} in a row by now, ` +
      `and is tried with one request at a time; the next one${inTime(until) || " when that is over"}.`],
    retry_after: () => [named(endpoint), ` asked for a pause (Retry-After), which ends${inTime(until)}.`],
    rate_limit: () => ["the rate limit of ", named(endpoint), " is used up."],
    order: () => "another delivery goes first, in their order.",
    paused: () => [named(endpoint), " is paused."],
    disabled: () => [named(endpoint), " is disabled."],
  };
  return words[what]?.() ?? "what holds them is not known: the delivery loop did not answer in time.";
}

export function lastFailure(stats) {
  const last = stats.last_error;
  if (!last) return null;
  const status = last.status > 0 && !last.error.includes(String(last.status)) ? `${last.status}: ` : "";
  return [`The last failure, ${relative(last.at)}, was ${status}`, foreign(last.error, 300), "."];
}

// Sentences; what waits is told with the number first, each with a link to these deliveries.
export function explain(endpoint, stats) {
  const reason = endpoint.disabled_reason ? ` (${oneLine(endpoint.disabled_reason, 40)})` : "";
  const head = [named(endpoint), ` is ${endpoint.state}${reason}; `];
  head.push(stats.pending === 0 ? "nothing waits for it"
    : `${count(stats.pending)} ${stats.pending === 1 ? "delivery waits" : "deliveries wait"} for it`);
  if (stats.oldest_due_at) head.push(`, the oldest one${longFor(stats.oldest_due_at)}`);
  head.push(".");
  const then = [
    stats.in_flight > 0 ? `${plural(stats.in_flight, "request")} ${stats.in_flight === 1 ? "is" : "are"} under way. ` : null,
    endpoint.failing_since ? `Every attempt has failed${longFor(endpoint.failing_since)}. ` : null,
    lastFailure(stats),
    stats.dead > 0 ? ` ${plural(stats.dead, "delivery is", "deliveries are")} dead.` : null,
  ].filter(Boolean);
  const waiting = Object.entries(stats.waiting ?? {});
  return [
    el("p", { "data-key": "head" }, head),
    el("ul", { class: "alarms", "data-key": "held" }, waiting.map(([what, number]) => held(what, number, endpoint, stats))),
    stats.complete === false
      ? el("p", { class: "empty", "data-key": "incomplete" }, "Not all were counted: more wait for “due” or “order” than is said.")
      : null,
    then.length > 0 ? el("p", { "data-key": "then" }, then) : null,
  ];
}

const kTone = { breaker: null, disabled: null, paused: "warn", retry_after: "warn", rate_limit: "warn" };

function held(what, number, endpoint, stats) {
  const tone = what in kTone ? kTone[what] : "calm";
  return el("li", { class: tone, "data-key": what },
    el("a", { href: `#/deliveries?state=pending&endpoint=${endpoint.id}&waiting=${what}` }, `${count(number)} ${what.replace("_", " ")}`), ": ",
    heldBy(what, endpoint, stats));
}
