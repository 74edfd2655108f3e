// What is stuck, and why, in words first.
import { get } from "./api.js";
import { Chart, rowsOf } from "./chart.js";
import { el } from "./dom.js";
import { count, duration, millis, oneLine, plural, secondsSince } from "./format.js";
import { badge, endpointLink, figure, foreign, section, table, when } from "./parts.js";

const kSeries = ["delivered", "failed", "dead", "latency_p50", "latency_p95"];
const kLate = 60;  // seconds: what has been due for longer is said first

export function show(view) {
  view.title("Overview");
  if (view.session.tenant === null) return showAll(view);
  view.refresh(2, (signal) => get("/v1/status", {}, signal), (status) => [el("h1", {}, "Overview"), ...parts(view, status, null)]);
}

function showAll(view) {
  const ends = [{ label: "delivered", tone: "good" }, { label: "failed", tone: "warn" }, { label: "dead", tone: "bad" }];
  const work = new Chart(view, "Attempts", ends, "a minute");
  const latency = new Chart(view, "Accepted to delivered", [{ label: "p50", tone: "link" }, { label: "p95", tone: "warn" }], "ms");
  let minutes = null;
  view.live.every(20, async () => {
    try {
      const answers = await Promise.all(kSeries.map((name) => get("/v1/series", { name, since: "2h", step: "1m" }, view.signal)));
      minutes = answers.map((answer) => answer.data.at(-2)?.value ?? null);
      work.set(rowsOf(answers.slice(0, 3)));
      latency.set(rowsOf(answers.slice(3)));
    } catch {
      // The figures above say that the daemon is lost.
    }
  });
  view.refresh(2, (signal) => get("/v1/status", {}, signal), (status) => [
    el("h1", {}, "Overview"), ...parts(view, status, minutes),
    el("div", { class: "columns", "data-key": "charts" }, section("Work", work.node), section("Latency", latency.node))]);
}

function parts(view, status, minutes) {
  const late = status.oldest_due_age_seconds;
  const failing = status.failing_endpoints ?? status.worst_endpoints.filter((one) => one.consecutive_failures > 0);
  return [
    section("Now", alarms(status, failing)),
    el("div", { class: "figures", "data-key": "figures" },
      figure("oldest due", late === null ? "none" : duration(late), "waiting since it was due", late > kLate ? "bad" : null),
      figure("pending", count(status.deliveries?.pending)),
      figure("in flight", count(status.in_flight)),
      figure("dead letters", count(status.deliveries?.dead), el("a", { href: "#/failures" }, "what failed")),
      minutes ? figure("delivered", count(minutes[0]), "in the last whole minute") : null,
      minutes ? figure("failed attempts", count(minutes[1]), "in the last whole minute", minutes[1] > 0 ? "warn" : null) : null,
      minutes ? figure("latency p50 / p95", `${millis(minutes[3])} / ${millis(minutes[4])}`, "in the last whole minute") : null),
    waiting(status),
    el("div", { class: "columns broad", "data-key": "worst" },
      section("Longest due", worstTable("Endpoints with the oldest due deliveries",
        status.worst_endpoints.filter((one) => one.oldest_due_age_seconds !== null))),
      section("Failing", worstTable("Endpoints that fail", failing))),
  ];
}

// A sentence for each thing that somebody may have to do something about.
function alarms(status, failing) {
  const said = [];
  const seen = new Set();
  for (const one of [...failing, ...status.worst_endpoints]) {
    if (seen.has(one.endpoint)) continue;
    seen.add(one.endpoint);
    const held = ["breaker", "retry_after", "paused", "disabled"].includes(one.waiting_for);
    // Of what belongs to another daemon, only since when it has been failing is known.
    const fails = one.consecutive_failures === null ? one.failing_since !== null : one.consecutive_failures > 0;
    if (!fails && !held && !(one.oldest_due_age_seconds > kLate)) continue;
    said.push(el("li", { class: fails || one.state === "disabled" ? null : "warn", "data-key": one.endpoint },
      endpointLink(one.endpoint, one.name), ": ", sentence(one)));
  }
  if (status.outbox_rejected > 0)
    said.push(el("li", { class: "warn", "data-key": "rejected" },
      `${plural(status.outbox_rejected, "row")} of the SQL outbox can never become events: `, el("a", { href: "#/system" }, "System"), "."));
  if (said.length === 0) said.push(el("li", { class: "good", "data-key": "fine" }, "Nothing is stuck, and no endpoint is failing."));
  return el("ul", { class: "alarms" }, said);
}

// "820 waiting for 2 min; 25 failures in a row within 2 min, the last: HTTP 500; next probe in 5 s"
function sentence(one) {
  const { backlog, consecutive_failures: failures, oldest_due_age_seconds: due, waiting_for: hold, until } = one;
  const clauses = [];
  if (backlog > 0) clauses.push(`${count(backlog)} waiting${due === null ? "" : ` for ${duration(due)}`}`);
  if (failures > 0) clauses.push(failuresOf(one));
  if (failures === null && one.failing_since)
    clauses.push(`every attempt has failed for ${duration(Math.max(0, secondsSince(one.failing_since)))}`);
  if (backlog === 0) clauses.push("nothing waits for it");
  if (one.state !== "active" && one.state) clauses.push(one.state);
  if (hold === "breaker" && until) clauses.push(["next probe ", when(until)]);
  else if (until) clauses.push([`held by ${hold} until `, when(until)]);
  else if (backlog > 0 && hold && hold !== "due" && hold !== one.state) clauses.push(`held by ${hold}`);
  return clauses.map((clause, index) => [index > 0 ? "; " : null, clause]);
}

function failuresOf({ consecutive_failures: failures, failing_since: since, last_status: status, last_error: error }) {
  const within = since ? ` within ${duration(Math.max(0, secondsSince(since)))}` : "";
  const last = status ? `HTTP ${status}` : error ? oneLine(error, 200) : null;
  return `${plural(failures, "failure")} in a row${within}${last ? `, the last: ${last}` : ""}`;
}

function waiting(status) {
  if (!status.waiting) return null;
  const rows = Object.entries(status.waiting).filter(([, number]) => number > 0);
  return section("What pending deliveries wait for",
    rows.length === 0 ? el("p", { class: "empty" }, "Nothing waits.") : el("div", { class: "figures" }, rows.map(([what, number]) =>
      figure(what, count(number), el("a", { href: `#/deliveries?state=pending&waiting=${what}` }, "show"),
        what === "breaker" || what === "disabled" ? "bad" : null))),
    status.waiting_complete === false ? el("p", { class: "empty" }, "At least so many: not all could be counted.") : null);
}

function worstTable(caption, rows) {
  return table(caption, [
    { name: "Endpoint", cell: (row) => endpointLink(row.endpoint, row.name) },
    { name: "State", cell: (row) => (row.state ? badge(row.state) : "removed"), wide: true },
    { name: "Waiting", cell: (row) => count(row.backlog), number: true },
    { name: "Oldest due", cell: (row) => duration(row.oldest_due_age_seconds), number: true },
    { name: "Held by", cell: (row) => (row.waiting_for ? badge(row.waiting_for) : "–"), wide: true },
    { name: "Failures", cell: (row) => count(row.consecutive_failures), number: true },
    { name: "Last error", cell: (row) => (row.last_error ? foreign(row.last_status ? `HTTP ${row.last_status}` : row.last_error, 60) : "–") },
  ], rows, { key: (row) => row.endpoint, empty: "None." });
}
