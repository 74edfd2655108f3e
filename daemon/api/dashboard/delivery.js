// One delivery: what it waits for or what became of it, every attempt, and the request as it would be now.
import { get, idPath, orRefused, send } from "./api.js";
import { timeline } from "./attempts.js";
import { startBatch } from "./batch_dialog.js";
import { explain, needsStats } from "./delivery_words.js";
import { ask, change } from "./dialog.js";
import { el } from "./dom.js";
import { count } from "./format.js";
import { badge, bothTimes, button, endpointLink, errorBox, facts, foreign, idLink, link, section, waitingText } from "./parts.js";
import { PreparedRequest } from "./prepared_request.js";

const kWhilePending = 2;  // seconds
const kOtherwise = 10;
const kMoreAttempts = 20;

export function show(view) {
  view.title("Delivery");
  const page = { view, known: null, open: new Set(), shown: kMoreAttempts };
  page.request = new PreparedRequest(view, () => page.redraw());
  page.redraw = () => page.known && view.render(...draw(page));
  const pending = () => page.known?.delivery?.state === "pending";
  page.again = view.refresh(() => (pending() ? kWhilePending : kOtherwise), (signal) => load(view.id, page.known, signal), (known) => {
    page.known = known;
    return draw(page);
  });
}

// What is said of a delivery that its endpoint holds up takes the endpoint's figures. An endpoint that is not named has no
// name, or was removed, and then it stays so.
async function load(id, before, signal) {
  const delivery = await orRefused(get(idPath("deliveries", id), {}, signal));
  if (delivery.refused) return delivery;
  const unnamed = delivery.endpoint_name === null && !before?.removed && delivery.state !== "pending";
  const endpoint = unnamed ? await orRefused(get(idPath("endpoints", delivery.endpoint), {}, signal)) : null;
  const removed = before?.removed || endpoint?.refused?.status === 404;
  const stats = needsStats(delivery) ? await orRefused(get(`${idPath("endpoints", delivery.endpoint)}/stats`, {}, signal)) : null;
  return { delivery, removed, stats: stats?.refused ? null : stats };
}

function draw(page) {
  const { view, known } = page;
  if (known.refused) return [el("h1", {}, "Delivery"), errorBox(known.refused), el("p", {}, link("#/deliveries", "All deliveries"))];
  const { delivery, removed, stats } = known;
  const { text, helps } = explain(delivery, stats, removed);
  return [
    el("div", { class: "head", "data-key": "head" },
      el("h1", {}, foreign(delivery.type, 80), " to ",
        delivery.endpoint_name ? foreign(delivery.endpoint_name, 60) : removed ? "a removed endpoint" : "an endpoint without a name"),
      view.mayChange ? acts(page, delivery, removed) : null),
    section("What it waits for, or what became of it", el("p", {}, text),
      helps.length > 0 ? [el("h3", {}, "What helps"), el("ul", {}, helps.map((help) => el("li", {}, help)))] : null),
    section("Delivery", facts([
      ["State", [badge(delivery.state), delivery.reason ? ` ${delivery.reason}` : null]],
      ["Waits for", delivery.state === "pending" ? waitsFor(delivery) : null],
      ["Endpoint", removed ? [el("span", { class: "id" }, delivery.endpoint), ", removed"] : endpointLink(delivery.endpoint, delivery.endpoint_name)],
      ["Event", idLink("events", delivery.event)],
      ["Tenant", delivery.tenant ? foreign(delivery.tenant) : null],
      ["Attempts", count(delivery.attempts)],
      ["Due", delivery.due_at ? bothTimes(delivery.due_at) : null],
      ["Accepted", bothTimes(delivery.created_at)],
      ["Ended", delivery.finished_at ? bothTimes(delivery.finished_at) : null],
      ["Id", el("span", { class: "id" }, delivery.id)]])),
    view.mayChange && !removed ? section("What would be sent now", page.request.draw(delivery)) : null,
    section("Attempts, the newest first", attempts(page, delivery.attempt_list)),
    el("p", { "data-key": "back" }, link(`#/deliveries?event=${encodeURIComponent(delivery.event)}`, "All deliveries of this event"), ", ",
      link(`#/deliveries?endpoint=${encodeURIComponent(delivery.endpoint)}`, "all to this endpoint"), "."),
  ];
}

function waitsFor({ in_flight: inFlight, waiting }) {
  if (inFlight) return badge("in flight");
  return waiting ? waitingText(waiting) : "not known";
}

function acts(page, delivery, removed) {
  const pending = delivery.state === "pending";
  const { view } = page;
  return el("div", { class: "acts" },
    // A pending one is tried at once by the act on many, which can take pending ones.
    pending ? button("Try at once", () => startBatch(view, "retry", { state: "pending", event: delivery.event, endpoint: delivery.endpoint }))
      : removed ? null : button("Retry", () => retry(page, delivery)),
    pending || delivery.state === "dead" ? button("Discard", () => discard(page, delivery), { class: "danger" }) : null);
}

async function retry(page, delivery) {
  const act = () => send("POST", `${idPath("deliveries", delivery.id)}/retry`);
  const done = delivery.state === "delivered"
    ? await ask({ title: "Send it once more?", agree: "Send it again", act,
      body: el("p", {}, "It was delivered. The receiver gets it a second time, with the same webhook-id.") })
    : await change("Retried: it is due now, with its schedule from the beginning.", act);
  if (done) page.again();
}

async function discard(page, delivery) {
  const done = await ask({ title: "Discard this delivery?", agree: "Discard", danger: true,
    body: el("p", {}, "It will not be sent. It can be retried later."),
    act: () => send("POST", `${idPath("deliveries", delivery.id)}/discard`) });
  if (done) page.again();
}

function attempts(page, list) {
  const newest = list.slice(-page.shown).reverse();
  const toggle = (id, open) => {
    if (page.open.has(id) === open) return;
    open ? page.open.add(id) : page.open.delete(id);
    page.redraw();
  };
  const more = () => {
    page.shown += kMoreAttempts;
    page.redraw();
  };
  return [timeline(newest, { open: page.open, toggle, bodies: page.view.session.payloads !== false }),
    list.length > newest.length ? button(`Show older ones (${count(list.length - newest.length)})`, more) : null];
}
