// Which page is shown, and the frame around it. The page and all that it filters by are in the URL, behind the "#", which
// no server ever sees.
import { connection, get, send, setCsrf } from "./api.js";
import { closeAll } from "./dialog.js";
import { el, update } from "./dom.js";
import { absolute } from "./format.js";
import { Live, live, setPaused } from "./live.js";
import { button, errorBox } from "./parts.js";

const kPages = [
  ["", "Overview", "overview"], ["endpoints", "Endpoints", "endpoints"], ["deliveries", "Deliveries", "deliveries"],
  ["failures", "Failures", "failures"], ["batches", "Batches", "batches"], ["events", "Events", "events"],
  ["types", "Types", "types"], ["system", "System", "system"], ["api", "API", "reference"],
];
const kDetails = { endpoints: "endpoint", deliveries: "delivery", batches: "batch", events: "event" };

const main = document.getElementById("main");
let leaving = new AbortController();
let session = null;

// "#/deliveries/dlv_…?state=dead" in parts.
function parseHash(hash) {
  const [path, query = ""] = (hash.startsWith("#/") ? hash.slice(2) : "").split("?");
  const [page = "", id] = path.split("/").map(decoded);
  return { page, id, query: new URLSearchParams(query) };
}

// Whatever somebody typed into the address bar.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function hashOf(page, id, query) {
  const text = query.toString();
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}${text ? `?${text}` : ""}`;
}

function moduleOf({ page, id }) {
  if (id) return Object.hasOwn(kDetails, page) ? kDetails[page] : undefined;
  return kPages.find(([path]) => path === page)?.[2];
}

// What a page is given.
function makeView(place) {
  const view = {
    root: main, session, id: place.id, query: place.query, signal: leaving.signal, live: new Live(leaving.signal),
    title: (text) => {
      document.title = `${text} – outboxd`;
    },
    render: (...children) => {
      if (!view.signal.aborted) update(main, ...children);
    },
    open: (path) => {
      location.hash = `#${path}`;
    },
    // Changes what the page filters by. `keep`: as a step that the browser's "back" undoes.
    filter: (changes, keep = false) => {
      const query = new URLSearchParams(place.query);
      for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
      const hash = hashOf(place.page, place.id, query);
      if (hash === location.hash) return;
      if (keep) location.hash = hash;
      else {
        history.replaceState(null, "", hash);
        route();
      }
    },
    // Asks now and then, and shows what came; what went wrong stands above what was known last, but for a lost daemon, of which
    // the frame tells.
    refresh: (seconds, load, draw) => {
      let known = null;
      return view.live.every(seconds, async () => {
        try {
          known = await load(view.signal);
          view.render(...[draw(known)].flat());
        } catch (error) {
          if (error.name === "AbortError") return;
          view.render(known && connection.lostSince ? null : errorBox(error), known ? draw(known) : null);
        }
      });
    },
    mayChange: session?.scope === "admin",
  };
  return view;
}

const isIn = () => Boolean(session) && session.scope !== "none" && session.scope !== "ingest";

async function route() {
  leaving.abort();
  leaving = new AbortController();
  const place = parseHash(location.hash);
  drawFrame(place);
  if (!isIn()) return showPage("sign_in", place);
  const module = moduleOf(place);
  if (!module) {
    update(main, el("h1", {}, "There is no such page"), el("p", {}, el("a", { href: "#/" }, "Overview")));
    return;
  }
  await showPage(module, place);
}

async function showPage(module, place) {
  const view = makeView(place);
  // A page that only filters by something else is changed in place, so that whoever is at a field stays there.
  const other = main.dataset.page !== `${module} ${place.id ?? ""}`;
  main.dataset.page = `${module} ${place.id ?? ""}`;
  if (other) main.replaceChildren(el("p", { class: "empty" }, "…"));
  try {
    const page = await import(`./${module}.js`);
    if (!view.signal.aborted) await page.show(view);
  } catch (error) {
    if (error.name !== "AbortError" && !view.signal.aborted) update(main, errorBox(error));
  }
  if (other) main.focus({ preventScroll: true });
}

function drawFrame({ page }) {
  const in_ = isIn();
  update(document.getElementById("pages"), in_ ? el("ul", {}, kPages.map(([path, name]) =>
    el("li", { "data-key": name }, el("a", { href: `#/${path}`, "aria-current": path === page ? "page" : null }, name)))) : null);
  const theme = document.documentElement.dataset.theme ?? "auto";
  update(document.getElementById("controls"),
    in_ ? button(live.paused ? "Go on" : "Pause", () => setPaused(!live.paused),
      { "aria-pressed": String(live.paused), title: live.paused ? "Nothing is asked of the daemon" : "Stop asking the daemon" }) : null,
    button(`Theme: ${theme}`, nextTheme),
    in_ ? el("span", { class: "who", title: session.tenant === null ? "All tenants" : `Tenant ${session.tenant}` },
      `${session.who}, ${session.scope}${session.tenant === null ? "" : ` of ${session.tenant}`}`) : null,
    in_ ? button("Sign out", signOut) : null);
}

function nextTheme() {
  const order = ["auto", "light", "dark"];
  const now = document.documentElement.dataset.theme ?? "auto";
  useTheme(order[(order.indexOf(now) + 1) % order.length]);
  localStorage.setItem("theme", document.documentElement.dataset.theme ?? "auto");
  drawFrame(parseHash(location.hash));
}

function useTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

async function signOut() {
  try {
    await send("DELETE", "/v1/session");
  } finally {
    await begin();
  }
}

function drawPaused() {
  const paused = document.getElementById("paused");
  paused.hidden = !live.paused;
  paused.textContent = live.paused ? `Paused since ${clock(new Date())}. What is shown, and how long ago it was, is of when it was asked for.` : "";
}

const clock = (time) => absolute(time.toISOString()).slice(11, 19);

function drawLost() {
  const lost = document.getElementById("lost");
  lost.hidden = !connection.lostSince;
  lost.textContent = connection.lostSince
    ? `The daemon does not answer since ${clock(connection.lostSince)}. `
      + "What is shown is from before; it is asked again." : "";
}

// Who is asking; also after signing in and out.
export async function begin() {
  try {
    session = await get("/v1/session");
  } catch (error) {
    session = null;
    forget();
    // At `outboxctl dashboard`, whoever has not come by its link is let in to nothing.
    update(main, el("h1", {}, "outboxd"), error.status === 403
      ? el("p", {}, "This browser is not let in. The link of outboxctl dashboard works once: run it again.") : errorBox(error),
    button("Try again", begin));
    return;
  }
  if (!isIn()) forget();
  setCsrf(session.csrf);
  await route();
}

// Nobody is in any more: what was shown goes, and nothing that still asks or streams may show it again.
function forget() {
  leaving.abort();
  setCsrf(null);
  closeAll();
  delete main.dataset.page;
  document.title = "outboxd";
  drawFrame(parseHash(location.hash));
}

connection.changed = drawLost;
connection.signedOut = () => {
  if (!isIn()) return;
  session = null;
  begin();
};
live.changed = () => {
  drawPaused();
  drawFrame(parseHash(location.hash));
};
window.addEventListener("hashchange", route);
document.getElementById("skip").addEventListener("click", () => main.focus());
useTheme(localStorage.getItem("theme"));
begin();
