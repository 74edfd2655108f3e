// The request that an attempt would be now, asked for only when somebody wants to see it.
import { get, idPath } from "./api.js";
import { bytesOf, curlCommand } from "./curl.js";
import { copy } from "./dialog.js";
import { el } from "./dom.js";
import { bytes } from "./format.js";
import { block, button, errorBox, facts, foreign, table } from "./parts.js";

const kShownBytes = 65536;

export class PreparedRequest {
  constructor(view, changed) {
    Object.assign(this, { view, changed, request: null, error: null });
  }

  draw(delivery) {
    if (this.view.session.payloads === false) {
      return el("p", { class: "empty" }, "The daemon's configuration keeps payloads from these pages. On its machine: ",
        el("code", {}, `outboxctl delivery curl ${delivery.id}`));
    }
    if (!this.request) {
      return [this.error ? errorBox(this.error) : null,
        el("p", {}, "Made as for an attempt, of the endpoint as it is now. Nothing is sent."),
        button("Show the request", () => this.load(delivery.id))];
    }
    return [
      el("div", { class: "acts page-acts" },
        button("Copy as curl", () => copy(curlCommand(this.request), "The curl command")),
        button("Make it anew", () => this.load(delivery.id)), button("Hide", () => this.hide())),
      ...shown(this.request, delivery)];
  }

  async load(id) {
    try {
      this.error = null;
      this.request = await get(`${idPath("deliveries", id)}/request`, {}, this.view.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.request = null;
      this.error = error;
    }
    this.changed();
  }

  hide() {
    this.request = null;
    this.changed();
  }
}

function shown(request, delivery) {
  const hidden = request.headers.filter(({ value }) => value === null).map(({ name }) => name);
  return [
    facts([["Request", [`${request.method} `, foreign(request.url, 500)]],
      ...Object.entries(request.tls ?? {}).map(([name, file]) => [`TLS ${name}`, foreign(file, 300)])]),
    table("Headers of the request", [{ name: "Header", cell: ({ name }) => foreign(name, 100) },
      { name: "Value", cell: ({ value }) => (value === null ? el("em", {}, "not shown") : foreign(value, 500)) }],
    request.headers, { key: (header) => String(request.headers.indexOf(header)) }),
    hidden.length > 0 ? el("p", { class: "empty" },
      `Not shown, nor in the curl command: ${hidden.join(", ")}. A receiver that verifies refuses it without. With them: `,
      el("code", {}, `outboxctl delivery curl ${delivery.id} --reveal`)) : null,
    el("h3", {}, "Body"), body(bytesOf(request.body_base64))];
}

function body(content) {
  if (content.length === 0) return el("p", { class: "empty" }, "It is empty.");
  const text = textOf(content.subarray(0, kShownBytes), content.length > kShownBytes);
  if (text === null) return el("p", {}, `${bytes(content.length)} that are no UTF-8 text. The curl command has them as base64.`);
  return [block(text, "Body of the request"),
    content.length > kShownBytes ? el("p", { class: "empty" }, `The first ${bytes(kShownBytes)} of ${bytes(content.length)}.`) : null];
}

// Null: it is no text. A character that is cut at the end is left out.
function textOf(content, cut) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content, { stream: cut });
  } catch {
    return null;
  }
}
