// Numbers, times and foreign text as people read them. Pure.

const kUnits = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

// Exact, in groups of three: 1,234,567.
export function count(number) {
  return number === null || number === undefined ? "–" : number.toLocaleString("en-US");
}

export function plural(number, one, many = one + "s") {
  return `${count(number)} ${number === 1 ? one : many}`;
}

// The two largest units: "2 d 3 h", "6 min", "0.4 s".
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${seconds < 0.05 ? 0 : seconds.toFixed(1).replace(/\.0$/, "")} s`;
  let rest = Math.round(seconds);
  const parts = [];
  for (const [unit, size] of kUnits) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole > 0 && parts.length < 2) parts.push(`${whole} ${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.join(" ");
}

export function millis(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 10000 ? `${count(ms)} ms` : duration(ms / 1000);
}

export function bytes(size) {
  if (size === null || size === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = size;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    ++unit;
  }
  return unit === 0 ? `${count(size)} B` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export const secondsSince = (time, now = Date.now()) => (now - Date.parse(time)) / 1000;

// "3 min ago", "in 12 s".
export function relative(time, now = Date.now()) {
  const age = secondsSince(time, now);
  if (Math.abs(age) < 1) return "now";
  return age > 0 ? `${duration(Math.floor(age))} ago` : `in ${duration(Math.ceil(-age))}`;
}

// In the reader's own time zone, to the millisecond, sortable.
export function absolute(time) {
  const at = new Date(time);
  const two = (number, digits = 2) => String(number).padStart(digits, "0");
  const offset = -at.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:` +
    `${two(at.getSeconds())}.${two(at.getMilliseconds(), 3)} ${zone}`;
}

// What does not show, or makes the text around it show in another order, is written as its number: controls but tab and
// newline, bidirectional marks and overrides (Unicode TR 9), zero-width and other format characters.
const kInvisible =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

export function visible(text) {
  return String(text).replace(kInvisible, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
}

// For one line: also without line breaks, and not longer than `limit`.
export function oneLine(text, limit = 200) {
  const line = visible(String(text).slice(0, limit + 1)).replace(/\s+/g, " ");
  return String(text).length > limit ? line.slice(0, limit) + "…" : line;
}

export function shortId(id) {
  return id.length > 18 ? `${id.slice(0, id.indexOf("_") + 1)}…${id.slice(-12)}` : id;
}
