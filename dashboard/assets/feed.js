// The figures, each second, over a connection that may break and comes back.

const silence = 10_000; // ms without an event after which a stream counts as dead
const wait = 4_000; // ms until a stream that was refused is asked for again

export class Feed {
  #hear;
  #tell;
  #source = null;
  #heard = 0;
  #lost = null; // since when, while there is no stream
  #why = "";
  #retry = 0;
  #paused = false;

  // hear is called with the figures of each event; tell with the state, one of
  // connecting, live, lost (with since, a Date, and why, in words or "") and
  // paused, whenever it changes.
  constructor(hear, tell) {
    this.#hear = hear;
    this.#tell = tell;
    setInterval(() => this.#watch(), 1000);
    this.#open();
  }

  pause(paused) {
    this.#paused = paused;
    this.#close();
    if (!paused) return this.#open();
    this.#lost = null;
    this.#tell({ name: "paused" });
  }

  #open() {
    this.#close();
    this.#heard = performance.now();
    if (!this.#lost) this.#tell({ name: "connecting" });
    const source = (this.#source = new EventSource("api/events"));
    source.addEventListener("stats", ({ data }) => {
      if (this.#source !== source) return;
      this.#heard = performance.now();
      this.#lost = null;
      this.#tell({ name: "live" });
      this.#hear(JSON.parse(data));
    });
    source.addEventListener("error", () => {
      if (this.#source !== source) return;
      this.#lose(this.#why);
      if (source.readyState === EventSource.CLOSED) this.#refused();
    });
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #lose(why) {
    const before = this.#lost;
    this.#lost ??= new Date();
    if (before && why === this.#why) return;
    this.#why = why;
    this.#tell({ name: "lost", since: this.#lost, why });
  }

  // refused asks why there is no stream, which an EventSource does not tell and
  // after which it gives up. The figures go on meanwhile if they are to be had.
  async #refused() {
    this.#close();
    let why = "";
    let stats = null;
    try {
      const stream = new AbortController();
      const answer = await fetch("api/events", { signal: AbortSignal.any([stream.signal, AbortSignal.timeout(wait)]) });
      if (!answer.ok) why = await refusal(answer);
      stream.abort();
      const figures = await fetch("api/stats", { signal: AbortSignal.timeout(wait) });
      if (figures.ok) stats = await figures.json();
    } catch {
      // Nobody answers: that is what "lost" says.
    }
    if (this.#paused || this.#source) return;
    this.#lose(why);
    if (stats) this.#hear(stats);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), wait);
  }

  // watch opens a new stream in place of one that fell silent, as after the
  // machine slept.
  #watch() {
    if (this.#paused || !this.#source || performance.now() - this.#heard < silence) return;
    this.#lose("");
    this.#open();
  }
}

// refusal is what an answer that is no success says, in words.
export async function refusal(answer) {
  try {
    const { error } = await answer.json();
    if (error) return String(error);
  } catch {
    // Something else than the server answered, such as a proxy.
  }
  return `the server answered ${answer.status}${answer.statusText ? ` ${answer.statusText}` : ""}`;
}
