// The statistics, as the server streams them, over a connection that may break and
// is opened again.

import { visible } from "./foreign.js";

const maxSilence = 10_000; // ms without an event after which a stream counts as dead
const retryAfter = 4_000; // ms until a refused stream is requested again

export class Feed {
  #onStats;
  #onState;
  #source = null;
  #lastEvent = 0;
  #lostSince = null; // a Date while there is no stream
  #reason = "";
  #retry = 0;
  #paused = false;

  // onStats is called with the statistics of each event. onState is called when the
  // state changes, with its name: connecting, live, paused, or lost; the latter with
  // since, a Date, and reason, a text that may be empty.
  constructor(onStats, onState) {
    this.#onStats = onStats;
    this.#onState = onState;
    setInterval(() => this.#check(), 1000);
    this.#open();
  }

  pause(paused) {
    this.#paused = paused;
    this.#close();
    if (!paused) return this.#open();
    this.#lostSince = null;
    this.#onState({ name: "paused" });
  }

  #open() {
    this.#close();
    this.#lastEvent = performance.now();
    if (!this.#lostSince) this.#onState({ name: "connecting" });
    const source = (this.#source = new EventSource("api/events"));
    source.addEventListener("stats", ({ data }) => {
      if (this.#source !== source) return;
      this.#lastEvent = performance.now();
      this.#lostSince = null;
      this.#onState({ name: "live" });
      this.#onStats(JSON.parse(data));
    });
    source.addEventListener("error", () => {
      if (this.#source !== source) return;
      this.#lose(this.#reason);
      if (source.readyState === EventSource.CLOSED) this.#refused();
    });
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #lose(reason) {
    const before = this.#lostSince;
    this.#lostSince ??= new Date();
    if (before && reason === this.#reason) return;
    this.#reason = reason;
    this.#onState({ name: "lost", since: this.#lostSince, reason });
  }

  // #refused is called when the server has refused the stream. An EventSource does
  // not say why, and does not try again, so this does both. Until there is a stream,
  // it requests the statistics by themselves.
  async #refused() {
    this.#close();
    let reason = "";
    let stats = null;
    try {
      const stream = new AbortController();
      const response = await fetch("api/events", { signal: AbortSignal.any([stream.signal, AbortSignal.timeout(retryAfter)]) });
      if (!response.ok) reason = await errorText(response);
      stream.abort();
      const polled = await fetch("api/stats", { signal: AbortSignal.timeout(retryAfter) });
      if (polled.ok) stats = await polled.json();
    } catch {
      // The server does not answer. That is what the state "lost" means.
    }
    if (this.#paused || this.#source) return;
    this.#lose(reason);
    if (stats) this.#onStats(stats);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), retryAfter);
  }

  // #check replaces a stream that has fallen silent, as after the machine slept.
  #check() {
    if (this.#paused || !this.#source || performance.now() - this.#lastEvent < maxSilence) return;
    this.#lose("");
    this.#open();
  }
}

// errorText returns what the response to a failed request says, in words.
export async function errorText(response) {
  try {
    const { error } = await response.json();
    if (error) return visible(String(error)).slice(0, 300);
  } catch {
    // The response is not the server's own; a proxy may have sent it.
  }
  return `the server answered ${response.status}${response.statusText ? ` ${response.statusText}` : ""}`;
}

// failureText returns why a request got no response within seconds, in words.
export function failureText(error, seconds) {
  return error.name === "TimeoutError" ? `no answer within ${seconds} seconds` : "the server cannot be reached";
}
