// A curl command that sends a prepared request, as `outboxctl delivery curl` writes it. Pure.
import { visible } from "./format.js";

const kMaxArgument = 65536;  // bytes; Linux takes 128 KiB
const kBase64Line = 76;
const kNextOption = " \\\n  ";
const kNotShown = "<shown by delivery curl --reveal>";

export const bytesOf = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

// As one word of a POSIX shell. Control characters, which a terminal would act upon, are written as in visible text: none
// is ever in what outboxd sends.
export function shellQuoted(text) {
  const word = visible(text);
  return /^[\w\-./:@%+=,]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

// The body as text that can stand between quotes, or null: it is no UTF-8, too long, or has characters that do not show.
function plainText(content) {
  if (content.length > kMaxArgument) return null;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
    return visible(text) === text ? text : null;
  } catch {
    return null;
  }
}

export function curlCommand(request) {
  const text = plainText(bytesOf(request.body_base64));
  let command = `${text === null ? "base64 -d <<'END' | curl" : "curl"} --globoff --include --http1.1`;
  for (const { name, value } of request.headers) command += `${kNextOption}--header ${shellQuoted(`${name}: ${value ?? kNotShown}`)}`;
  for (const [option, name] of [["--cacert", "ca_file"], ["--cert", "client_cert"], ["--key", "client_key"]]) {
    if (request.tls?.[name]) command += `${kNextOption}${option} ${shellQuoted(request.tls[name])}`;
  }
  // --data-raw takes a leading @ as it is; --data-binary keeps the line breaks of what it reads.
  command += `${kNextOption}${text === null ? "--data-binary @-" : `--data-raw ${shellQuoted(text)}`}`;
  command += `${kNextOption}${shellQuoted(request.url)}\n`;
  return text === null ? `${command}${inLines(request.body_base64)}END\n` : command;
}

function inLines(base64) {
  let lines = "";
  for (let at = 0; at < base64.length; at += kBase64Line) lines += `${base64.slice(at, at + kBase64Line)}\n`;
  return lines;
}
