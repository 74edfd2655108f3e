// What a page asks again and again. Nothing is asked while the tab is hidden or the reader has paused, and a daemon that
// takes long is asked less often: a viewer must not be a part of its trouble.
import { connection } from "./api.js";

const kPatience = 5;  // between two questions there are at least so many times the time of an answer
const kLongestWait = 30;
const kStreamAgain = 10;  // seconds until a stream that was refused is asked for again

export const live = { paused: false, changed: () => {} };
const views = new Set();

export function setPaused(paused) {
  live.paused = paused;
  live.changed();
  for (const view of views) view.resume();
}

document.addEventListener("visibilitychange", () => {
  for (const view of views) view.resume();
});

const resting = () => live.paused || document.hidden;

// Ends with the page's signal.
export class Live {
  constructor(signal) {
    this.signal = signal;
    this.tasks = [];
    this.streams = [];
    views.add(this);
    signal.addEventListener("abort", () => {
      views.delete(this);
      for (const task of this.tasks) clearTimeout(task.timer);
      for (const stream of this.streams) stream.close();
    });
  }

  // Runs `ask` at once, then `seconds` after each end; a function says it anew each time, Infinity: only when told to.
  // Returns a function that runs it now.
  every(seconds, ask) {
    const task = { seconds, ask, timer: null, running: false, again: false };
    this.tasks.push(task);
    this.run(task);
    return () => this.run(task);
  }

  async run(task) {
    if (this.signal.aborted) return;
    if (task.running) {
      task.again = true;
      return;
    }
    clearTimeout(task.timer);
    task.running = true;
    const began = performance.now();
    try {
      await task.ask();
    } finally {
      task.running = false;
    }
    if (task.again) {
      task.again = false;
      return this.run(task);
    }
    const took = (performance.now() - began) / 1000;
    const seconds = typeof task.seconds === "function" ? task.seconds() : task.seconds;
    task.wait = Math.min(Math.max(seconds, took * kPatience), Math.max(kLongestWait, seconds));
    if (connection.lostSince) task.wait = Math.min(task.wait, 2);
    this.schedule(task);
  }

  schedule(task) {
    clearTimeout(task.timer);
    if (this.signal.aborted || resting() || task.wait === Infinity) return;
    task.timer = setTimeout(() => this.run(task), task.wait * 1000);
  }

  resume() {
    for (const task of this.tasks) {
      if (task.running || task.wait === Infinity) continue;
      resting() ? clearTimeout(task.timer) : this.run(task);
    }
    for (const stream of this.streams) stream.resume();
  }

  // Server-sent attempts. `heard` is given the newest of each quarter of a second, at most `keep` of them, and how many
  // came in all, first when the stream has begun, be there none; `lostSome` what the daemon dropped for us. When no stream is to
  // be had, `unavailable` is called, and it is tried again later; `available` when there is one.
  attempts(path, keep, callbacks) {
    const stream = new AttemptStream(path, keep, callbacks);
    this.streams.push(stream);
    stream.resume();
    return stream;
  }
}

class AttemptStream {
  constructor(path, keep, callbacks) {
    Object.assign(this, { path, keep, ...callbacks });
    this.waiting = [];
    this.came = 0;
    this.source = null;
  }

  resume() {
    if (resting()) return this.close();
    if (this.source) return;
    clearTimeout(this.later);
    this.source = new EventSource(this.path);
    this.source.addEventListener("open", () => {
      this.available?.();
      this.tellSoon();
    });
    this.source.addEventListener("attempt", (event) => this.take(event.data));
    this.source.addEventListener("dropped", (event) => this.lostSome?.(JSON.parse(event.data).dropped));
    this.source.addEventListener("error", () => {
      if (this.source?.readyState !== EventSource.CLOSED) return;
      this.close();
      this.later = setTimeout(() => this.resume(), kStreamAgain * 1000);
      this.unavailable?.();
    });
  }

  // As text: of thousands a second, only those that are shown are parsed.
  take(text) {
    this.waiting.push(text);
    ++this.came;
    if (this.waiting.length > 2 * this.keep) this.waiting.splice(0, this.waiting.length - this.keep);
    this.tellSoon();
  }

  tellSoon() {
    this.timer ??= setTimeout(() => this.tell(), 250);
  }

  tell() {
    this.timer = null;
    const newest = this.waiting.slice(-this.keep).map((text) => JSON.parse(text)).reverse();
    const came = this.came;
    this.waiting = [];
    this.came = 0;
    this.heard(newest, came);
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.later);
    this.timer = null;
    this.source?.close();
    this.source = null;
  }
}
