// One endpoint: what holds its deliveries, how it went, how it is set, and all that can be done to it.
import { get, getText, idPath } from "./api.js";
import { startBatch } from "./batch_dialog.js";
import { el } from "./dom.js";
import { count, duration, millis, oneLine, secondsSince } from "./format.js";
import { holdButton, nameOf, removeEndpoint, sendMissing, testEndpoint } from "./endpoint_acts.js";
import { attemptsPanel, charts, periodChoice, secretsPanel, waitingPanel } from "./endpoint_panels.js";
import { settings } from "./endpoint_settings.js";
import { explain, rate } from "./endpoint_words.js";
import { memberTexts } from "./json_text.js";
import { Live } from "./live.js";
import { badge, button, errorBox, figure, foreign, link, section, when } from "./parts.js";

const kLate = 60;  // seconds
const kSoon = 14 * 86400;  // a certificate that ends within so long is said with a colour

export async function show(view) {
  view.title("Endpoint");
  let id = view.id;  // or a name, until it is known which endpoint that is: it stays the same one under another name
  let panels = null;
  const parts = new AbortController();  // ends what the panels ask for: with the page, or with the endpoint
  view.signal.addEventListener("abort", () => parts.abort());
  const again = view.refresh(2, async (signal) => {
    try {
      const path = idPath("endpoints", id);
      const [text, stats] = await Promise.all([getText(path, {}, signal), get(`${path}/stats`, {}, signal)]);
      const endpoint = { ...JSON.parse(text), texts: memberTexts(text) };
      id = endpoint.id;
      return { endpoint, stats };
    } catch (error) {
      if (error.status === 404) return { missing: true };
      if (error.status === 400) return { refused: error };  // a name that cannot stand in a path
      throw error;
    }
  }, ({ missing, refused, endpoint, stats }) => {
    if (missing) {
      if (panels) parts.abort();
      return gone(view);
    }
    if (refused) return [el("h1", {}, "Endpoint"), errorBox(refused), el("p", {}, link("#/endpoints", "All endpoints"))];
    view.title(oneLine(nameOf(endpoint), 60));
    panels ??= panelsOf({ ...view, signal: parts.signal, live: new Live(parts.signal) }, endpoint);
    return page(view, endpoint, stats, panels, () => again());
  });
}

function gone(view) {
  return [el("h1", {}, "There is no endpoint ", foreign(view.id, 80)),
    el("p", {}, "It was removed or has another name. ", link("#/endpoints", "All endpoints"))];
}

// Made once, when it is known which endpoint it is: a name may be given for the id.
function panelsOf(view, endpoint) {
  return {
    charts: charts(view, endpoint), waiting: waitingPanel(view, endpoint), attempts: attemptsPanel(view, endpoint),
    secrets: view.mayChange ? secretsPanel(view, endpoint) : null,
  };
}

function page(view, endpoint, stats, panels, changed) {
  return [
    el("div", { class: "head", "data-key": "head" }, el("h1", {}, foreign(nameOf(endpoint), 128), " ", badge(endpoint.state)),
      view.mayChange ? acts(view, endpoint, changed) : null),
    el("p", { class: "id", "data-key": "url" }, foreign(endpoint.url, 300)),
    section("What holds it", explain(endpoint, stats), view.mayChange ? batchActs(view, endpoint, stats) : null),
    figures(endpoint, stats),
    periodChoice(view),
    el("div", { class: "columns", "data-key": "charts" }, panels.charts),
    el("div", { class: "columns roomy", "data-key": "lists" }, panels.waiting, panels.attempts),
    section("Settings", settings(view, endpoint, changed)),
    panels.secrets,
  ];
}

function acts(view, endpoint, changed) {
  return el("div", { class: "acts" }, holdButton(endpoint, changed), button("Test", () => testEndpoint(endpoint)),
    button("Send missing", () => sendMissing(view, endpoint)), button("Remove", () => removeEndpoint(view, endpoint)));
}

function batchActs(view, endpoint, stats) {
  const filter = { endpoint: endpoint.id, state: "dead" };
  if (stats.dead === 0) return null;
  return el("div", { class: "acts", "data-key": "batches" },
    button("Retry all dead letters", () => startBatch(view, "retry", filter), { class: "primary" }),
    button("Discard all dead letters", () => startBatch(view, "discard", filter)),
    link(`#/failures?endpoint=${endpoint.id}`, "What failed"));
}

function figures(endpoint, stats) {
  const due = stats.oldest_due_at ? Math.max(0, secondsSince(stats.oldest_due_at)) : null;
  const ofState = (state, tone) => figure(state === "dead" ? "dead letters" : state, count(stats[state]),
    stats[state] > 0 ? link(`#/deliveries?state=${state}&endpoint=${endpoint.id}`, "show") : null, tone);
  return el("div", { class: "figures", "data-key": "figures" },
    ofState("pending"),
    figure("oldest due", due === null ? "none" : duration(due), due === null ? null : "waiting since it was due", due > kLate ? "bad" : null),
    figure("in flight", count(stats.in_flight), endpoint.max_in_flight ? `at most ${count(endpoint.max_in_flight)}` : null),
    breaker(stats),
    figure("accepted /s", rate(stats.rates?.in_per_second), "over five minutes"),
    figure("attempts /s", rate(stats.rates?.out_per_second), "over five minutes"),
    figure("latency p50 / p95", latency(stats.latency_ms), "over five minutes"),
    ofState("dead", stats.dead > 0 ? "warn" : null),
    ofState("delivered"),
    ofState("discarded"),
    certificate(stats.certificate_expires_at));
}

function latency(ms) {
  return ms && ms.p95 !== null ? `${millis(ms.p50)} / ${millis(ms.p95)}` : "–";
}

function breaker(stats) {
  if (!stats.breaker) return figure("breaker", "not known");
  const failures = stats.consecutive_failures > 0 ? `${count(stats.consecutive_failures)} failed in a row` : null;
  const probe = stats.next_probe_at ? ["next probe ", when(stats.next_probe_at)] : null;
  return figure("breaker", stats.breaker, [failures, failures && probe ? ", " : null, probe], stats.breaker === "open" ? "bad" : null);
}

function certificate(expires) {
  if (!expires) return null;
  return figure("certificate", when(expires), "expires", secondsSince(expires) > -kSoon ? "warn" : null);
}
