// The attempts of a delivery: what each came to, where its time went, and what came back.
import { el, svg } from "./dom.js";
import { millis, plural } from "./format.js";
import { badge, block, bothTimes, facts, foreign, table } from "./parts.js";

const kWidth = 1000;  // of the drawing's own units
const kPhases = [
  ["dns", "dns_ms", "name"], ["connect", "connect_ms", "connection"], ["tls", "tls_ms", "TLS"],
  ["first", "first_byte_ms", "waiting for the first byte"], ["body", "total_ms", "body"],
];

// `open`: the ids of those whose answer is shown. `bodies`: may they be shown?
export function timeline(attempts, { open, toggle, bodies }) {
  if (attempts.length === 0) return el("p", { class: "empty" }, "None was made yet.");
  return el("ol", { class: "timeline" }, attempts.map((attempt) => el("li", { "data-key": attempt.id },
    el("h3", {}, `Attempt ${attempt.number}`, badge(attempt.outcome), attempt.status ? `HTTP ${attempt.status}` : "no response",
      bothTimes(attempt.started_at)),
    attempt.error ? el("p", {}, foreign(attempt.error, 500)) : null,
    timing(attempt),
    facts([
      ["Request", foreign(attempt.request_line, 300)],
      ["Connected to", attempt.remote_address ? foreign(attempt.remote_address) : "nothing"],
      ["Sent", attempt.resent ? "twice: the kept connection ended before any answer" : null]]),
    cameBack(attempt, open.has(attempt.id), toggle, bodies))));
}

// [[class, name, from, to]]: where the time went, by the last phase that was reached; what failed is a phase that did not end.
function phasesOf({ timings, request_line: line }) {
  const total = timings.total_ms;
  const wanted = kPhases.filter(([kind]) => kind !== "tls" || timings.tls_ms !== null || line.includes(" https:"));
  const phases = [];
  let from = 0;
  for (const [kind, member, name] of wanted) {
    const to = timings[member];
    if (to === null) {
      phases.push([kind, `${name}, which did not end`, from, total]);
      return phases;
    }
    phases.push([kind, name, from, Math.max(from, to)]);
    from = Math.max(from, to);
  }
  return phases;
}

function timing(attempt) {
  const phases = phasesOf(attempt);
  const total = Math.max(attempt.timings.total_ms, 1);
  const words = phases.map(([, name, from, to]) => `${name} ${millis(to - from)}`);
  const at = (ms) => (kWidth * Math.min(ms, total)) / total;
  return [
    svg("svg", { class: "timing", viewBox: `0 0 ${kWidth} 10`, preserveAspectRatio: "none", role: "img",
      "aria-label": `${millis(attempt.timings.total_ms)}: ${words.join(", ")}` },
    phases.filter(([, , from, to]) => to > from).map(([kind, , from, to]) =>
      svg("rect", { class: kind, x: at(from).toFixed(1), y: 0, width: Math.max(2, at(to) - at(from)).toFixed(1), height: 10 }))),
    el("p", { class: "legend" }, phases.map(([kind], index) => el("span", { class: `mark ${kind}` }, words[index])),
      el("span", {}, `total ${millis(attempt.timings.total_ms)}`))];
}

// Only what somebody has opened is in the page.
function cameBack(attempt, isOpen, toggle, bodies) {
  if (attempt.status === null && attempt.response_headers.length === 0) return null;
  const headers = attempt.response_headers;
  return el("details", { ontoggle: (event) => toggle(attempt.id, event.currentTarget.open) },
    el("summary", {}, `What came back: ${plural(headers.length, "header")}, ${plural(attempt.response_body_bytes, "byte")} kept of the body`),
    isOpen ? [
      table(`Headers of the answer to attempt ${attempt.number}`,
        [{ name: "Header", cell: (header) => foreign(header.name, 100) }, { name: "Value", cell: (header) => foreign(header.value, 500) }],
        headers, { key: (header) => String(headers.indexOf(header)), empty: "No headers." }),
      body(attempt, bodies)] : null);
}

function body(attempt, shown) {
  if (!shown) return el("p", { class: "empty" }, "The daemon's configuration keeps bodies from these pages.");
  if (!attempt.response_body) return el("p", { class: "empty" }, "No body.");
  return block(attempt.response_body, `Body of the answer to attempt ${attempt.number}`);
}
