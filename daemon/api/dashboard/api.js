// The daemon's API, as pages ask it. Says when the daemon is lost and when it is there again.

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.title = problem.title ?? "";
    this.errors = problem.errors ?? [];
  }
}

export class Unreachable extends Error {}

const kSearch = 1000;  // milliseconds

export const connection = { lostSince: null, signedOut: () => {}, changed: () => {} };
let csrf = null;

export function setCsrf(proof) {
  csrf = proof;
}

export function pathOf(path, query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, value);
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

// JSON that somebody wrote, sent as it was written: JSON.parse would round its large numbers.
export class JsonText {
  constructor(text) {
    this.text = text;
  }
}

async function ask(method, path, body, signal) {
  const headers = {};
  if (method !== "GET") headers["content-type"] = "application/json";  // without a body too: no page of another site can say so
  if (method !== "GET" && csrf) headers["outboxd-csrf"] = csrf;
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: textOf(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    lost();
    throw new Unreachable("The daemon does not answer.");
  }
  if (answer.status === 502 || answer.status === 504) {
    lost();
    throw new Unreachable("The daemon does not answer.");
  }
  found();
  return answer;
}

function textOf(body) {
  if (body instanceof JsonText) return body.text;
  return body === undefined ? undefined : JSON.stringify(body);
}

function lost() {
  if (connection.lostSince) return;
  connection.lostSince = new Date();
  connection.changed();
}

function found() {
  if (!connection.lostSince) return;
  connection.lostSince = null;
  connection.changed();
}

async function checked(answer) {
  if (answer.ok) return answer;
  let problem = {};
  let atTheDoor = answer.status === 401;
  try {
    problem = await answer.json();
  } catch {
    // Something else than outboxd may be answering; the status says enough. A 403 is outboxctl dashboard's: this browser is
    // not in, or not any more.
    atTheDoor ||= answer.status === 403;
  }
  const error = new ApiError(answer.status, problem);
  if (atTheDoor) connection.signedOut();
  throw error;
}

export async function get(path, query, signal) {
  return JSON.parse(await getText(path, query, signal));
}

export async function getText(path, query, signal) {
  return (await checked(await ask("GET", pathOf(path, query), undefined, signal))).text();
}

// The next page of a list that has rows. The daemon looks at so many rows for a page and no more, so pages of a filter that
// few match come empty; they are gone through here for as long as nobody minds, and no longer: it is work for the daemon.
export async function getRows(path, query, signal) {
  const end = performance.now() + kSearch;
  let page = await get(path, query, signal);
  while (page.data.length === 0 && page.next_cursor && performance.now() < end)
    page = await get(path, { ...query, cursor: page.next_cursor }, signal);
  return page;
}

// What the daemon answered, or {refused: error} when it refuses what was asked (an unknown id, a filter that cannot be), so
// that the page stays what it is around that. Failures of the daemon itself stay failures.
export async function orRefused(asked) {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && error.status < 500 && error.status !== 401) return { refused: error };
    throw error;
  }
}

// The bytes, and their type.
export async function getBytes(path, signal) {
  const answer = await checked(await ask("GET", path, undefined, signal));
  return { bytes: new Uint8Array(await answer.arrayBuffer()), type: answer.headers.get("content-type") ?? "" };
}

export async function send(method, path, body) {
  const answer = await checked(await ask(method, path, body));
  return answer.status === 204 ? null : answer.json();
}

export const idPath = (kind, id) => `/v1/${kind}/${encodeURIComponent(id)}`;
