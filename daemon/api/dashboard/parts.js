// The pieces that pages are made of.
import { dropTyped, el, keepTyped } from "./dom.js";
import { absolute, count, oneLine, relative, shortId, visible } from "./format.js";

// Relative, and absolute when pointed at or focused.
export function when(time, nothing = "–") {
  if (!time) return nothing;
  return el("time", { datetime: time, title: absolute(time) }, relative(time));
}

export function bothTimes(time, nothing = "–") {
  if (!time) return nothing;
  return el("time", { datetime: time }, `${relative(time)} (${absolute(time)})`);
}

// Foreign text in one line; the whole of it when pointed at.
export function foreign(text, limit = 120) {
  return el("bdi", { title: visible(text).slice(0, 2000) }, oneLine(text, limit));
}

// Foreign text as it is, line by line, in a box that scrolls.
export function block(text, label) {
  return el("pre", { class: "block", tabindex: 0, role: "region", "aria-label": label }, visible(text));
}

export function link(href, ...children) {
  return el("a", { href }, ...children);
}

export function idLink(page, id, text) {
  return el("a", { href: `#/${page}/${encodeURIComponent(id)}`, title: id, class: text ? "" : "id" }, text ?? shortId(id));
}

export function endpointLink(id, name) {
  return idLink("endpoints", id, name ? foreign(name, 40) : null);
}

// Words with a colour; the word alone says it all.
const kTones = {
  active: "good", healthy: "good", delivered: "good", success: "good", finished: "good", closed: "good",
  pending: "calm", running: "calm", paused: "warn", due: "calm", slot: "calm", order: "calm",
  breaker: "bad", retry_after: "warn", rate_limit: "warn", failing: "bad", open: "bad",
  dead: "bad", disabled: "bad", discarded: "calm", cancelled: "calm",
};
const kFailures = /^[45]\d\d$|^http_|timeout|connect|dns|tls|blocked|redirect|protocol/;

export function badge(word) {
  return el("span", { class: `badge ${kTones[word] ?? (kFailures.test(word) ? "bad" : "calm")}` }, word);
}

export const waitingWords = {
  due: "its next attempt, by its schedule",
  slot: "its turn",
  breaker: "the endpoint to recover (one request at a time)",
  retry_after: "the end of the pause that the endpoint asked for",
  rate_limit: "the rate limit",
  order: "an earlier delivery, in order",
  paused: "somebody to resume the endpoint",
  disabled: "somebody to enable the endpoint",
};

// "breaker, until in 12 s"
export function waitingText(waiting) {
  if (!waiting) return "–";
  return [badge(waiting.for), waiting.until ? [" ", when(waiting.until)] : null];
}

// [["URL", node], ...]; what is null is left out.
export function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined)
    .map(([name, value]) => el("div", { "data-key": name }, el("dt", {}, name), el("dd", {}, value))));
}

export function figure(name, value, note, tone) {
  return el("div", { class: `figure ${tone ?? ""}`, "data-key": name },
    el("div", { class: "name" }, name), el("div", { class: "value" }, value), note ? el("div", { class: "note" }, note) : null);
}

export function section(title, ...children) {
  return el("section", { "data-key": title, "aria-label": title }, el("h2", {}, title), ...children);
}

// columns: [{name, cell: (row) => node, number: true, wide: true}]; `wide` ones are left out on narrow screens.
export function table(caption, columns, rows, { key = (row) => row.id, empty = "Nothing." } = {}) {
  if (rows.length === 0) return el("p", { class: "empty", "data-key": caption }, empty);
  const kind = (column) => [column.number && "number", column.wide && "wide"].filter(Boolean).join(" ") || null;
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption, "data-key": caption },
    el("table", {},
      el("caption", { class: "unseen" }, caption),
      el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col", class: kind(column) }, column.name)))),
      el("tbody", {}, rows.map((row) => el("tr", { "data-key": key(row) },
        columns.map((column) => el("td", { class: kind(column) }, column.cell(row))))))));
}

export function button(text, onclick, properties) {
  return el("button", { type: "button", onclick, ...properties }, text);
}

export function errorBox(error) {
  return el("div", { class: "problem", role: "alert", "data-key": "problem" }, el("strong", {}, error.title || "That did not work"),
    el("p", {}, visible(error.message)),
    error.errors?.length > 1 ? el("ul", {}, error.errors.map((one) => el("li", {}, visible(`${one.pointer}: ${one.detail}`)))) : null);
}

// A form whose fields are the page's query. fields: [{name, label, options: [[value, text]] | undefined, hint}]
export function filters(view, fields) {
  const submit = (event) => {
    event.preventDefault();
    dropTyped(event.currentTarget);
    const chosen = {};
    for (const field of fields) chosen[field.name] = event.currentTarget.elements[field.name].value.trim();
    view.filter({ ...chosen, cursor: "" });
  };
  const control = (field) => {
    const id = `filter-${field.name}`;
    const value = view.query.get(field.name) ?? "";
    const options = field.options?.some(([option]) => option === value) === false ? [...field.options, [value, value]] : field.options;
    const input = options
      ? el("select", { id, name: field.name, onchange: (event) => event.target.form.requestSubmit() },
        options.map(([option, text]) => el("option", { value: option, selected: option === value }, text)))
      : el("input", { id, name: field.name, value, placeholder: field.hint, maxlength: 512, autocomplete: "off", spellcheck: "false",
        oninput: keepTyped });
    return el("div", { class: "field", "data-key": field.name }, el("label", { for: id }, field.label), input);
  };
  const set = fields.some((field) => view.query.get(field.name));
  const clear = (event) => {
    dropTyped(event.currentTarget.form);
    view.filter(Object.fromEntries(["cursor", ...fields.map((field) => field.name)].map((name) => [name, ""])));
  };
  return el("form", { class: "filters", role: "search", onsubmit: submit, "data-key": "filters" }, fields.map(control),
    el("div", { class: "field acts" }, el("button", { type: "submit" }, "Show"),
      set ? button("Clear", clear) : null));
}

// Pages of a list are walked with the API's cursors, which are in the URL; "back" is the browser's.
export function pager(view, next, shown) {
  const cursor = view.query.get("cursor");
  if (!next && !cursor) return !shown ? null : el("p", { class: "pager", "data-key": "pager" }, `${count(shown)} shown, that is all.`);
  return el("p", { class: "pager", "data-key": "pager" },
    cursor ? button("First page", () => view.filter({ cursor: "" })) : null,
    next ? button("Next page", () => view.filter({ cursor: next }, true)) : " That is the last page.");
}

// Lists are looked at again every `seconds` where new rows come, on the first page; later pages stay as they are.
export const pageSeconds = (view, seconds) => (view.query.get("cursor") ? Infinity : seconds);
