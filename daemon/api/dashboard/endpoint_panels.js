// The parts of an endpoint's page that ask for themselves: how it went, what waits, what was attempted last, its secrets.
import { connection, get, idPath, send } from "./api.js";
import { Chart, rowsOf } from "./chart.js";
import { ask } from "./dialog.js";
import { el, update } from "./dom.js";
import { absolute, count, millis, plural } from "./format.js";
import { dialogField, revealSecrets, showSecret } from "./endpoint_acts.js";
import { live } from "./live.js";
import { badge, button, errorBox, foreign, idLink, table, waitingText, waitingWords, when } from "./parts.js";

const kShown = 20;
const kAttempts = 30;
const kStreamed = "As they are recorded.";
const kPeriods = {
  "2h": { step: "1m", words: "2 hours", seconds: 20 },
  "24h": { step: "15m", words: "24 hours", seconds: 60 },
  "7d": { step: "1h", words: "7 days", seconds: 60 },
};
let made = 0;

// A section that is drawn apart from the page around it. Returns its node and what draws into it.
function panel(title) {
  const body = el("div", {});
  const node = el("section", { "aria-label": title, "data-key": title, "data-own": `panel ${++made}` }, el("h2", {}, title), body);
  return { node, draw: (...children) => update(body, ...children) };
}

// Asks again and again; what went wrong stands above what was known last. Of a lost daemon the frame tells.
function keepAsking(view, seconds, { draw }, load, tree) {
  let known = null;
  return view.live.every(seconds, async () => {
    try {
      known = await load(view.signal);
      draw(tree(known));
    } catch (error) {
      if (error.name !== "AbortError") draw(known && connection.lostSince ? null : errorBox(error), known ? tree(known) : null);
    }
  });
}

export const periodOf = (view) => (view.query.get("period") in kPeriods ? view.query.get("period") : "2h");

export function periodChoice(view) {
  return el("div", { class: "acts", role: "group", "aria-label": "Period of the charts", "data-key": "period" }, "The last",
    Object.entries(kPeriods).map(([period, { words }]) => button(words, () => view.filter({ period: period === "2h" ? "" : period }, true),
      { "aria-pressed": String(period === periodOf(view)) })));
}

export function charts(view, endpoint) {
  const { step, words, seconds } = kPeriods[periodOf(view)];
  const work = new Chart(view, "Attempts and what came of them", [{ label: "attempts", tone: "link" }, { label: "failed", tone: "warn" },
    { label: "delivered", tone: "good" }, { label: "dead", tone: "bad" }], `in each ${step}`);
  const latency = new Chart(view, "Accepted to delivered", [{ label: "p50", tone: "link" }, { label: "p95", tone: "warn" }], "ms");
  const [left, right] = [panel(`Work in the last ${words}`), panel(`Latency in the last ${words}`)];
  left.draw(work.node);
  right.draw(latency.node);
  const since = periodOf(view);
  view.live.every(seconds, async () => {
    try {
      const answers = await Promise.all(["attempts", "failed", "delivered", "dead", "latency_p50", "latency_p95"]
        .map((name) => get("/v1/series", { name, endpoint: endpoint.id, since, step }, view.signal)));
      left.draw(work.node);
      work.set(rowsOf(answers.slice(0, 4)));
      latency.set(rowsOf(answers.slice(4)));
    } catch (error) {
      if (error.name !== "AbortError" && !connection.lostSince) left.draw(errorBox(error), work.node);
    }
  });
  return [left.node, right.node];
}

export function waitingPanel(view, endpoint) {
  const part = panel("What is waiting");
  const query = { endpoint: endpoint.id, state: "pending", limit: kShown };
  keepAsking(view, 5, part, (signal) => get("/v1/deliveries", query, signal), ({ data, next_cursor: next }) => [
    table("Pending deliveries", [
      { name: "Delivery", cell: (row) => idLink("deliveries", row.id) },
      { name: "Type", cell: (row) => el("span", { class: "line" }, foreign(row.type, 40)) },
      { name: "Accepted", cell: (row) => when(row.created_at), wide: true },
      { name: "Attempts", cell: (row) => count(row.attempts), number: true, wide: true },
      { name: "Waits for", cell: waitsFor },
      { name: "Last error", cell: (row) => (row.error ? badge(row.error) : "–"), wide: true },
    ], data, { empty: "Nothing waits." }),
    next ? el("p", { "data-key": "all" }, el("a", { href: `#/deliveries?state=pending&endpoint=${endpoint.id}` }, "All that wait")) : null,
  ]);
  return part.node;
}

function waitsFor(row) {
  if (row.in_flight) return badge("in flight");
  if (!row.waiting) return "–";
  return el("span", { title: waitingWords[row.waiting.for] ?? null }, waitingText(row.waiting));
}

// By the stream; where none is to be had (16 are open, a proxy in between), by asking.
export function attemptsPanel(view, endpoint) {
  const part = panel("Last attempts");
  let rows = null;
  let note = kStreamed;
  let streams = true;
  let again = null;
  const draw = () => part.draw(el("p", { class: "empty", "data-key": "note" }, note), attemptTable(rows));
  const take = (newest) => {
    const known = new Set(newest.map((row) => row.id));
    rows = [...newest, ...(rows ?? []).filter((row) => !known.has(row.id))].slice(0, kAttempts);
    draw();
  };
  view.live.attempts(`/v1/attempts/stream?endpoint=${endpoint.id}&last=${kShown}`, kAttempts, {
    heard: (newest) => take(newest),
    lostSome: (dropped) => {
      note = dropped === null ? "The daemon was started again."
        : `${plural(dropped, "attempt")} of all endpoints came faster than they could be shown.`;
      draw();
    },
    available: () => {
      streams = true;
      note = kStreamed;
    },
    unavailable: () => {
      streams = false;
      note = "Asked for every 3 s: no stream is to be had.";
      if (again) return again();
      again = view.live.every(() => (streams ? Infinity : 3), async () => {
        try {
          const page = await get("/v1/attempts", { endpoint: endpoint.id, limit: kAttempts }, view.signal);
          take(page.data.reverse());
        } catch (error) {
          if (error.name !== "AbortError" && !connection.lostSince) part.draw(errorBox(error), attemptTable(rows));
        }
      });
    },
  });
  view.live.every(5, async () => draw());  // relative times go on
  return part.node;
}

// `known` is null until the first answer.
function attemptTable(known) {
  return table("Last attempts", [
    { name: "Recorded", cell: (row) => when(row.recorded_at) },
    { name: "Outcome", cell: (row) => [badge(row.outcome), row.status ? ` ${row.status}` : null] },
    { name: "Took", cell: (row) => millis(row.total_ms), number: true },
    { name: "Delivery", cell: (row) => idLink("deliveries", row.delivery) },
    { name: "Attempt", cell: (row) => count(row.number), number: true, wide: true },
    { name: "Type", cell: (row) => el("span", { class: "line" }, foreign(row.type, 40)), wide: true },
    { name: "Now", cell: (row) => [badge(row.state), row.due_at ? [" due ", when(row.due_at)] : row.reason ? ` ${row.reason}` : null], wide: true },
    { name: "Error", cell: (row) => (row.error ? foreign(row.error, 80) : "–"), wide: true },
  ], known ?? [], { empty: known !== null ? "None since the daemon started." : live.paused ? "Not followed while paused." : "…" });
}

export function secretsPanel(view, endpoint) {
  const part = panel("Secrets");
  const path = `${idPath("endpoints", endpoint.id)}/secrets`;
  const again = keepAsking(view, 60, part, (signal) => get(path, {}, signal), ({ data }) => [
    table("Secrets that sign", [
      { name: "Secret", cell: (row) => el("code", {}, row.hint) },
      { name: "Kind", cell: (row) => row.kind },
      { name: "Made", cell: (row) => when(row.created_at) },
      { name: "Signs until", cell: (row) => when(row.expires_at, "it is replaced") },
    ], data, { key: (row) => `${row.hint}${row.created_at}` }),
    el("div", { class: "acts", "data-key": "acts" }, button("Rotate", () => rotate(endpoint, path, again)),
      button("Reveal", () => revealSecrets(endpoint))),
  ]);
  return part.node;
}

async function rotate(endpoint, path, changed) {
  const answer = await ask({
    title: "Make a new secret?", agree: "Make it",
    body: [
      el("p", {}, "From now on the new one signs. The ones before sign along for a while, so that the subscriber can change over."),
      dialogField("overlap", "They sign along for", { required: true, value: "24h", maxlength: 32 }, "Such as 24h; at most 30d."),
      dialogField("secret", "Use this one", { maxlength: 256, placeholder: "made by the daemon" },
        "whsec_… or whsk_…; required where the newest is of the kind v1a."),
    ],
    act: (form) => {
      const body = { overlap: form.get("overlap").trim() };
      if (form.get("secret").trim()) body.secret = form.get("secret").trim();
      return send("POST", `${path}/rotate`, body);
    },
  });
  if (!answer) return;
  changed();
  showSecret("The new secret", answer.secret, el("p", {}, "The ones before sign along until ", absolute(answer.expires_previous_at), "."));
}
