// The counters at the top of the page: a number, a detail, and a sparkline of the
// last minutes.

import { byID, element, setText } from "./dom.js";
import { bytes, count, rate } from "./format.js";
import { ratesBetween, restarted, sampleOf, samplesOf, Series, Timeline } from "./series.js";
import { Sparkline } from "./sparkline.js";

const refusals = { duplicate: "ID in use", full: "full", unclaimed: "ID not given by the directory", closed: "closing down", per_ip: "too many from one address" };

// Each counter: its name, the key of its points, whether to show it, its number
// and its detail. Rates are undefined at the first event.
const kinds = [
  {
    name: "Open sessions", key: "open", floating: true,
    number: ({ sessions }) => count(sessions.open),
    detail: ({ sessions }) => `${count(sessions.registered)} since the start`,
  },
  {
    name: "Opened", key: "opened", unit: "/ s",
    number: (_, { opened }) => perSecond(opened),
    detail: ({ sessions }) => `${count(sessions.registered)} in all`,
  },
  {
    name: "Closed", key: "closed", unit: "/ s",
    number: (_, { closed }) => perSecond(closed),
    detail: ({ sessions }) => `${count(sessions.closed)} in all`,
  },
  {
    name: "Refused", key: "refused",
    number: ({ sessions }) => count(Object.values(sessions.refused).reduce((sum, n) => sum + n, 0)),
    detail: ({ sessions, traffic }) => {
      const causes = Object.entries(sessions.refused).filter(([, n]) => n > 0).map(([name, n]) => `${count(n)} ${refusals[name] ?? name}`);
      if (traffic?.accept_errors) causes.push(`${count(traffic.accept_errors)} failed to be accepted`);
      return causes.join(", ") || "none since the start";
    },
  },
  {
    name: "Received", key: "bytesIn", unit: "/ s", shown: ({ traffic }) => traffic,
    number: (_, { bytesIn }) => (bytesIn === undefined ? "–" : bytes(bytesIn)),
    detail: (_, { framesIn }) => (framesIn === undefined ? "" : `${rate(framesIn)} frames / s`),
  },
  {
    name: "Sent", key: "bytesOut", unit: "/ s", shown: ({ traffic }) => traffic,
    number: (_, { bytesOut }) => (bytesOut === undefined ? "–" : bytes(bytesOut)),
    detail: ({ traffic }, { framesOut }) => {
      const parts = framesOut === undefined ? [] : [`${rate(framesOut)} frames / s`];
      if (traffic.outbound) parts.push(`${bytes(traffic.outbound)} waiting`);
      return parts.join(", ");
    },
  },
  {
    name: "Pending timers", key: "pending", floating: true, shown: ({ wheel }) => wheel,
    number: ({ wheel }) => count(wheel.pending),
    detail: ({ wheel }) => `${count(wheel.fired)} fired, ${count(wheel.moved)} moved on`,
  },
  {
    name: "Callbacks running", key: "callbacks", shown: ({ wheel }) => wheel,
    number: ({ wheel }) => count(wheel.running),
    detail: ({ wheel }) => `${count(wheel.waiting)} waiting`,
  },
];

function perSecond(n) {
  return n === undefined ? "–" : rate(n);
}

class Counter {
  #kind;
  #series = new Series();
  #number = element("b");
  #detail = element("span", { class: "detail" });
  #sparkline = new Sparkline();
  node;

  constructor(kind) {
    this.#kind = kind;
    const number = element("span", { class: "number" }, this.#number);
    if (kind.unit) number.append(" ", element("span", { class: "unit" }, kind.unit));
    this.node = element("li", { class: "card counter", hidden: "" },
      element("span", { class: "name" }, kind.name), number, this.#detail, this.#sparkline.node);
  }

  clear() {
    this.#series.clear();
  }

  add(point) {
    this.#series.add(point?.[this.#kind.key] ?? null);
  }

  update(stats, rates) {
    const { shown, number, detail } = this.#kind;
    this.node.hidden = shown ? !shown(stats) : false;
    if (this.node.hidden) return;
    setText(this.#number, number(stats, rates));
    setText(this.#detail, detail(stats, rates));
  }

  draw() {
    if (!this.node.hidden) this.#sparkline.draw(this.#series.values(), this.#kind.floating);
  }
}

export class Counters {
  #counters = kinds.map((kind) => new Counter(kind));
  #timeline = new Timeline();
  #last = null; // the sample of the last event

  constructor() {
    byID("counters").append(...this.#counters.map((c) => c.node));
  }

  // update shows the statistics of an event. It reports whether the server has
  // restarted, which empties the sparklines.
  update(stats) {
    const sample = sampleOf(stats);
    const last = this.#last;
    this.#last = sample;
    const again = last !== null && restarted(last, sample);
    if (again) this.#clear();
    const rates = last && !again && sample.uptime > last.uptime ? ratesBetween(last, sample) : {};
    this.#add(sample, stats.interval_seconds);
    for (const c of this.#counters) {
      c.update(stats, rates);
      c.draw();
    }
    // The grid has no hole at its end: see the stylesheet.
    byID("counters").dataset.count = this.#counters.filter((c) => !c.node.hidden).length;
    return again;
  }

  // load replaces the points of the sparklines by those of the server's history.
  load(history) {
    this.#clear(history.interval_seconds);
    for (const sample of samplesOf(history)) this.#add(sample, history.interval_seconds);
    for (const c of this.#counters) c.draw();
  }

  #clear(interval) {
    this.#timeline.reset(interval);
    for (const c of this.#counters) c.clear();
  }

  #add(sample, interval) {
    this.#timeline.add(sample, interval, (point) => {
      for (const c of this.#counters) c.add(point);
    });
  }
}
