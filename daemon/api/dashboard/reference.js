// The API as a reference to read, drawn from the description that the daemon itself serves.
import { get } from "./api.js";
import { el } from "./dom.js";
import { plural, visible } from "./format.js";
import { block, button, link, section, table } from "./parts.js";
import { branches, lazy, limits, prose, resolve, tree, typeText } from "./schema_tree.js";

const kMethods = ["get", "post", "put", "patch", "delete"];
let description = null;
let shownOperation = null;

// It does not change while the daemon runs, and so is asked for once.
async function load() {
  description ??= await get("/openapi.json");
  return description;
}

export async function show(view) {
  view.title("API");
  const api = await load();
  const words = (view.query.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const found = operationsOf(api).filter((one) => words.every((word) => one.text.includes(word)));
  const groups = (api.tags ?? []).map((tag) => [tag, found.filter((one) => one.tag === tag.name)]).filter(([, members]) => members.length > 0);
  view.render(
    el("h1", {}, "API"),
    el("p", { "data-key": "about" }, prose(api.info.description), " As OpenAPI: ", el("a", { href: "/openapi.json" }, "openapi.json"), "."),
    lazy("tokens", "Who may call what", () => schemes(api), { "data-key": "tokens", class: "operation" }),
    filterForm(view, found.length),
    groups.length === 0 ? el("p", { class: "empty" }, "No operation has all of these words.") : null,
    groups.map(([tag, members]) => section(tag.name,
      el("p", { class: "empty" }, prose(tag.description)), members.map((one) => operationNode(api, one)))));
  openLinked(view);
}

function schemes(api) {
  return Object.entries(api.components.securitySchemes ?? {})
    .map(([name, scheme]) => el("p", {}, el("code", {}, name), ": ", prose(scheme.description)));
}

function operationsOf(api) {
  return Object.entries(api.paths).flatMap(([path, item]) => kMethods.filter((method) => item[method]).map((method) => {
    const operation = item[method];
    const tag = operation.tags?.[0] ?? "";
    const text = [method, path, operation.operationId, operation.summary, operation.description, tag].join(" ").toLowerCase();
    return { path, method: method.toUpperCase(), tag, text, operation, parameters: [...(item.parameters ?? []), ...(operation.parameters ?? [])] };
  }));
}

function filterForm(view, number) {
  const typed = (event) => view.filter({ q: event.target.value.trim(), op: "" });
  return el("form", { class: "filters", role: "search", "data-key": "filters", onsubmit: (event) => event.preventDefault() },
    el("div", { class: "field" }, el("label", { for: "filter-q" }, "Operations that contain"),
      el("input", { id: "filter-q", value: view.query.get("q") ?? "", placeholder: "retry", maxlength: 200,
        autocomplete: "off", spellcheck: "false", oninput: typed })),
    el("div", { class: "field acts" }, view.query.get("q") ? button("Clear", () => view.filter({ q: "", op: "" })) : null,
      el("span", { class: "empty", role: "status" }, plural(number, "operation"))));
}

// "#/api?op=listDeliveries" opens it and goes there, once: what a reader does after that is his.
function openLinked(view) {
  const wanted = view.query.get("op");
  const again = wanted === shownOperation && document.getElementById(idOf(wanted))?.open;
  shownOperation = wanted;
  const node = wanted && !again ? document.getElementById(idOf(wanted)) : null;
  if (!node) return;
  node.open = true;
  node.fillNow?.();
  node.scrollIntoView({ block: "start" });
}

const idOf = (operationId) => `operation-${operationId}`;

function operationNode(api, one) {
  const id = one.operation.operationId;
  const summary = [el("span", { class: "badge method" }, one.method), " ", el("code", {}, one.path), " ",
    el("span", { class: "kind" }, visible(one.operation.summary ?? ""))];
  return lazy(idOf(id), summary, () => operationBody(api, one), { id: idOf(id), "data-key": id, class: "operation" });
}

function operationBody(api, { operation, parameters }) {
  return el("div", { class: "inside" },
    operation.description ? el("p", {}, prose(operation.description)) : null,
    el("p", {}, caller(operation.security), " ", link(`#/api?op=${encodeURIComponent(operation.operationId)}`, "Link to this"), "."),
    parameters.length > 0 ? [el("h3", {}, "Parameters"), parameterTable(api, `Parameters of ${operation.operationId}`, parameters)] : null,
    operation.requestBody ? [el("h3", {}, "Request body"), body(api, operation.operationId, resolve(api, operation.requestBody))] : null,
    el("h3", {}, "Answers"),
    Object.entries(operation.responses)
      .map(([status, answer]) => answerNode(api, `${operation.operationId} ${status}`, status, resolve(api, answer))));
}

function caller(security) {
  if (!security || security.length === 0) return "Whoever can connect may call it.";
  const scopes = security.flatMap((one) => one.token ?? []).map((scope) => (scope === "admin" ? ["admin"] : [scope, "admin"])).flat();
  const others = [...new Set(security.flatMap(Object.keys))].filter((name) => name !== "token");
  const named = [...new Set(scopes)].map((scope, place) => [place ? " or " : "", el("code", {}, scope)]);
  return ["Needs a token of scope ", named, others.length > 0 ? [", or ", others.join(", ")] : null,
    security.some((one) => Object.keys(one).length === 0) ? "; on the Unix sockets, none." : "."];
}

function parameterTable(api, caption, parameters) {
  return table(caption, [
    { name: "Name", cell: (row) => [el("code", {}, visible(row.name)), row.required ? el("strong", {}, " required") : null] },
    { name: "In", cell: (row) => row.in },
    { name: "Type", cell: (row) => typeText(api, row.schema ?? {}) },
    { name: "What it does", cell: (row) => [prose(row.description), " ", limits(api, row.schema ?? {})] },
  ], parameters.map((one) => resolve(api, one)), { key: (row) => `${row.in} ${row.name}` });
}

function body(api, place, request) {
  return [request.description ? el("p", {}, prose(request.description)) : null, contents(api, place, request.content)];
}

function answerNode(api, place, status, answer) {
  const head = [el("strong", {}, status), " ", prose(answer.description)];
  if (!answer.content && !answer.headers) return el("p", { class: "answer" }, head);
  const fill = () => [answer.headers ? headerTable(api, place, answer.headers) : null, contents(api, place, answer.content)];
  return lazy(`answer ${status}`, head, fill, { class: "answer" });
}

function headerTable(api, place, headers) {
  return table(`Headers of the answer, ${place}`, [
    { name: "Header", cell: ([name]) => el("code", {}, visible(name)) },
    { name: "Type", cell: ([, header]) => typeText(api, header.schema ?? {}) },
    { name: "What it says", cell: ([, header]) => prose(header.description) },
  ], Object.entries(headers).map(([name, header]) => [name, resolve(api, header)]), { key: ([name]) => name });
}

// `place` says whose they are: what can be scrolled has a name of its own.
function contents(api, place, content) {
  return Object.entries(content ?? {}).map(([type, media]) => {
    const schema = media.schema ?? {};
    const example = media.example ?? Object.values(media.examples ?? {})[0]?.value ?? resolve(api, schema).examples?.[0];
    return el("div", { class: "inside" },
      el("p", {}, el("code", {}, visible(type)), " ", el("span", { class: "kind" }, typeText(api, schema))),
      resolve(api, schema).description ? el("p", {}, prose(resolve(api, schema).description)) : null,
      limits(api, schema),
      branches(api, schema).length > 0 ? tree(api, schema) : null,
      example === undefined ? null : lazy("example", "Example", () => block(exampleText(example), `Example, ${place} ${type}`)));
  });
}

const exampleText = (example) => (typeof example === "string" ? example : JSON.stringify(example, null, 2));
