// Why a delivery is not delivered, and what helps, in the words of `outboxctl why`. Pure but for the elements it makes.
import { duration, plural, relative, secondsSince } from "./format.js";
import { endpointLink, foreign, link } from "./parts.js";

const kEndpointHolds = ["slot", "breaker", "retry_after"];

export function needsStats({ state, waiting }) {
  return state === "pending" && waiting !== null && kEndpointHolds.includes(waiting.for);
}

const kDead = {
  exhausted: ["every attempt of its schedule failed", "When the cause is mended: retry it, or all that died of it."],
  expired: ["its next attempt would have been later than it may be delivered", "Retry it if it is still of use."],
  gone: ["the endpoint answered 410 Gone, which says that it wants no more; the endpoint was disabled",
    "Enable the endpoint when it is there again, then retry."],
  blocked: ["the address policy refuses where the endpoint's name leads to",
    "Mend the endpoint's URL, or [policy] of the daemon's configuration, then retry."],
  too_large: ["its body would have had more than 64 MiB by the endpoint's template", "Change the endpoint's body_template, then retry."],
  skipped: ["it failed, and those behind it in their order must not wait for it", "Retry it when the receiver can take it out of order."],
  damaged: ["the event's stored bytes no longer match their checksum", "Nothing: it is never sent. The producer has to send it again."],
};

// {text: nodes, helps: [nodes]}
export function explain(delivery, stats, removed) {
  if (delivery.state === "pending") return pending(delivery, stats);
  const ago = duration(Math.max(0, Math.floor(secondsSince(delivery.finished_at))));
  if (delivery.state !== "dead") return { text: [`It has been ${delivery.state} for ${ago}. `, lastAttempt(delivery)], helps: [] };
  const nothing = removed ? "" : " Nothing is sent until somebody retries it.";
  const [why, help] = kDead[delivery.reason] ?? [delivery.reason ?? "for a reason that is not known", null];
  const page = ["The endpoint: ", endpointLink(delivery.endpoint, delivery.endpoint_name), "; ",
    link(`#/failures?endpoint=${encodeURIComponent(delivery.endpoint)}`, "all that fails there"), "."];
  return {
    text: [`It has been dead for ${ago} (${delivery.reason}): ${why}. `, lastAttempt(delivery), nothing],
    helps: removed ? [afterRemoval(delivery)] : delivery.reason === "damaged" ? [help] : [help, page].filter(Boolean) };
}

function afterRemoval({ event }) {
  return ["The endpoint was removed: nothing is sent to it any more. ", link(`#/events/${encodeURIComponent(event)}`, "The event"),
    " can be replayed to those that want it now."];
}

function pending(delivery, stats) {
  const last = lastAttempt(delivery);
  if (delivery.in_flight) return { text: ["It is being sent to ", nameOf(delivery), " right now. ", last], helps: [] };
  const what = delivery.waiting?.for;
  const age = duration(Math.max(0, Math.floor(secondsSince(delivery.created_at))));
  const held = [`It has waited for ${age}: `, heldBy(delivery, stats), ". ", last];
  if (what === "breaker" || what === "retry_after") held.push(" ", lastFailure(stats));
  return { text: held, helps: helps(what, delivery) };
}

const nameOf = (delivery) => (delivery.endpoint_name ? foreign(delivery.endpoint_name, 60) : "the endpoint");
const soon = (time) => (!time ? "" : Date.parse(time) > Date.now() ? ` ${relative(time)}` : " at any moment");

// The end of a sentence.
function heldBy(delivery, stats) {
  const name = nameOf(delivery);
  const until = soon(delivery.waiting?.until);
  const failures = stats?.consecutive_failures ?? 0;
  const inFlight = stats?.in_flight ?? 0;
  switch (delivery.waiting?.for) {
    case "due": return `its next attempt is due${until}, by the retry schedule`;
    case "slot": return [`it is due and waits for its turn; ${plural(inFlight, "request")} to `, name, inFlight === 1 ? " is" : " are", " under way"];
    case "breaker": return [name, " fails", failures > 0 ? `, ${plural(failures, "time")} in a row by now,` : "",
      ` and is tried with one request at a time${until ? `; the next one${until}` : inFlight > 0 ? "; one is under way" : ""}`];
    case "retry_after": return [name, ` asked for a pause (Retry-After)${until ? `, which ends${until}` : ""}`];
    case "rate_limit": return ["the rate limit of ", name, " is used up"];
    case "order": return "another delivery goes first, in their order";
    case "paused": return [name, " is paused"];
    case "disabled": return [name, " is disabled"];
    default: return "what holds it is not known: the delivery loop did not answer in time";
  }
}

function helps(what, delivery) {
  const page = endpointLink(delivery.endpoint, delivery.endpoint_name);
  switch (what) {
    case "due": return ["Try it at once (above), or wait."];
    case "slot": return [["More requests at a time (max_in_flight) to ", page, ", if it can take them."]];
    case "breaker":
    case "retry_after": return [["Look at ", page, " and test it. It is tried again by itself, and all that waits follows."]];
    case "rate_limit": return [["A higher rate limit for ", page, "."]];
    case "order": return [[
      link(`#/deliveries?state=pending&endpoint=${encodeURIComponent(delivery.endpoint)}`, "What is pending to the same endpoint"),
      ": the oldest goes first. One that cannot be delivered can be discarded."]];
    case "paused": return [["Resume ", page, "."]];
    case "disabled": return [["Enable ", page, "."]];
    default: return [];
  }
}

function lastAttempt({ attempts, attempt_list: list }) {
  const last = list.at(-1);
  if (!last) return "It was not attempted yet.";
  const made = `${plural(Math.max(attempts, 1), "attempt was", "attempts were")} made; the last one, ${relative(last.started_at)}, `;
  if (last.outcome === "success") return `${made}was accepted${last.status ? ` (${last.status})` : ""}.`;
  return [made, `failed: ${last.outcome}${last.status ? ` (${last.status})` : ""}`, last.error ? [", ", foreign(last.error, 200)] : null, "."];
}

function lastFailure(stats) {
  const last = stats?.last_error;
  if (!last) return null;
  return [`The last failure of the endpoint, ${relative(last.at)}, was: `,
    last.status && !last.error.includes(String(last.status)) ? `${last.status}, ` : null, foreign(last.error, 200), "."];
}
