// Pages are functions from data to a tree of elements; update() changes the document to that tree and keeps what is alike,
// so that focus, selection, scrolling and what a person is typing survive every refresh. Everything is made as text and
// properties, never as markup: whatever a producer or subscriber sent stays text.

const kListeners = Symbol("listeners");
const kReal = Symbol("real");
const kTyped = Symbol("typed");

// el("button", {class: "danger", onclick: discard, disabled: busy}, "Discard"). A property that is null, undefined or
// false is left out; onX is a listener; `value` and `checked` are what a field begins with.
export function el(tag, properties, ...children) {
  return filled(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function filled(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) listen(node, name.slice(2), value);
    else if (name === "value" || name === "checked") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
    if (name === "value" && node.nodeName === "INPUT") node.setAttribute("value", String(value));
  }
  node.append(...flat(children));
  return node;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? standIn(child) : document.createTextNode(String(child))));
}

// An own element (see update) that is on the page must not be taken out of it into a new tree, where it would lose the focus
// and what is typed: something empty stands for it there, and real() puts it where there is none yet.
function standIn(node) {
  if (!node.isConnected || !node.dataset?.own) return node;
  const empty = node.cloneNode(false);
  empty[kReal] = node;
  return empty;
}

function real(node) {
  for (const empty of node.querySelectorAll?.("[data-own]") ?? []) if (empty[kReal]) empty.replaceWith(empty[kReal]);
  return node[kReal] ?? node;
}

function listen(node, type, handler) {
  const known = (node[kListeners] ??= {});
  if (!(type in known)) node.addEventListener(type, (event) => node[kListeners][type]?.call(node, event));
  known[type] = handler;
}

// Makes `root` hold `children`. Elements are matched by their `data-key` among siblings, others by their place. An element
// with `data-own` belongs to itself (a chart): it is kept as it is while the new tree has one of the same `data-own`.
export function update(root, ...children) {
  morphChildren(root, flat(children));
}

const keyOf = (node) => node.dataset?.key;

function morphChildren(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
  let place = parent.firstChild;
  for (const node of wanted) {
    const key = keyOf(node);
    let old = key ? keyed.get(key) : place;
    while (!key && old && keyOf(old)) old = old.nextSibling;
    if (!old || !alike(old, node)) {
      parent.insertBefore(real(node), place);
      continue;
    }
    if (old === place) place = place.nextSibling;
    else parent.insertBefore(old, place);
    morph(old, node);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function alike(a, b) {
  return a.nodeName === b.nodeName && keyOf(a) === keyOf(b) && a.dataset?.own === b.dataset?.own && a.type === b.type;
}

function morph(old, wanted) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.nodeValue !== wanted.nodeValue) old.nodeValue = wanted.nodeValue;
    return;
  }
  if (wanted.dataset?.own) return;
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const type of new Set([...Object.keys(old[kListeners] ?? {}), ...Object.keys(wanted[kListeners] ?? {})]))
    listen(old, type, wanted[kListeners]?.[type]);
  const field = old instanceof HTMLInputElement || old instanceof HTMLSelectElement || old instanceof HTMLTextAreaElement;
  morphChildren(old, [...wanted.childNodes]);
  if (!field || old === document.activeElement || old[kTyped]) return;
  if (old.value !== wanted.value) old.value = wanted.value;
  if (old.checked !== wanted.checked) old.checked = wanted.checked;
}

// A listener for fields that keep what was typed into them, whatever the page shows anew, until their form drops it.
export function keepTyped(event) {
  event.target[kTyped] = true;
}

export function dropTyped(form) {
  for (const field of form.elements) field[kTyped] = false;
}
