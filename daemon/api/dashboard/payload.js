// The bytes of a payload, fetched only when asked for, shown as text if they are text, otherwise in hexadecimal.
import { getBytes, idPath } from "./api.js";
import { el, update } from "./dom.js";
import { count, plural } from "./format.js";
import { block, button, errorBox } from "./parts.js";

const kTextBytes = 64 * 1024;
const kHexBytes = 4 * 1024;

// A node that keeps itself: it asks for nothing until its button is pressed.
export function payloadNode(view, event) {
  const label = `Show payload (${plural(event.payload_bytes, "byte")})`;
  const node = el("div", { "data-own": `payload ${event.id}` });
  const fetchIt = async (pressed) => {
    pressed.currentTarget.disabled = true;
    try {
      const { bytes } = await getBytes(`${idPath("events", event.id)}/payload`, view.signal);
      update(node, shown(view, event, bytes), button("Hide payload", offer));
    } catch (error) {
      if (error.name === "AbortError") return;
      update(node, errorBox(error), button(label, fetchIt));
    }
  };
  const offer = () => update(node, button(label, fetchIt));
  offer();
  return node;
}

function shown(view, event, bytes) {
  const text = textOf(bytes);
  const most = text === null ? kHexBytes : kTextBytes;
  return [
    bytes.length > most ? el("p", {}, `The first ${count(most)} of ${plural(bytes.length, "byte")}; the download has all of them.`) : null,
    text === null ? el("p", {}, "Not text (UTF-8), so in hexadecimal.") : null,
    bytes.length === 0 ? el("p", { class: "empty" }, "It is empty.") : text === null ? hexBlock(bytes) : block(text, "Text of the payload"),
    el("p", {}, download(view, event, bytes)),
  ];
}

// The beginning of it, or null if the whole of it is not UTF-8. A character that the limit cuts in two is left out.
function textOf(bytes) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, kTextBytes), { stream: true });
}

const hexBlock = (bytes) => el("div", { class: "hex" }, block(hexDump(bytes.subarray(0, kHexBytes)), "Payload in hexadecimal"));

// "00000010  7b 22 69 64 …  {"id…", 16 bytes a line.
function hexDump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const text = part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${hex}  ${text}`);
  }
  return lines.join("\n");
}

// The file's name is made of the id, which the daemon made; its type never lets a browser show it as a page.
function download(view, event, bytes) {
  const href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  view.signal.addEventListener("abort", () => URL.revokeObjectURL(href));
  const name = `${event.id}.${/^application\/([\w.-]+\+)?json *(;|$)/i.test(event.content_type) ? "json" : "bin"}`;
  return el("a", { href, download: name }, `Download as ${name}`);
}
