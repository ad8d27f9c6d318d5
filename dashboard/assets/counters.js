// The live counters: a figure, what belongs to it, and its last two minutes.

import { byID, element, show } from "./dom.js";
import { bytes, count, rate } from "./format.js";
import { Rates, Series } from "./series.js";
import { Sparkline } from "./sparkline.js";

const refusals = { duplicate: "ID in use", full: "full", closed: "closing down", per_ip: "too many from one address" };

// Each counter: its name, whether there is something to show, the value of the
// sparkline, and the texts. A rate is undefined at the first event.
const kinds = [
  {
    name: "Open sessions", floats: true,
    point: ({ sessions }) => sessions.open,
    text: ({ sessions }) => count(sessions.open),
    more: ({ sessions }) => `${count(sessions.registered)} since the start`,
  },
  {
    name: "Opened", unit: "/ s",
    point: (_, { opened }) => opened,
    text: (_, { opened }) => perSecond(opened),
    more: ({ sessions }) => `${count(sessions.registered)} in all`,
  },
  {
    name: "Closed", unit: "/ s",
    point: (_, { closed }) => closed,
    text: (_, { closed }) => perSecond(closed),
    more: ({ sessions }) => `${count(sessions.closed)} in all`,
  },
  {
    name: "Refused",
    point: (_, { refused }) => refused,
    text: ({ sessions }) => count(Object.values(sessions.refused).reduce((sum, n) => sum + n, 0)),
    more: ({ sessions, traffic }) => {
      const why = Object.entries(sessions.refused).filter(([, n]) => n > 0).map(([name, n]) => `${count(n)} ${refusals[name] ?? name}`);
      if (traffic?.accept_errors) why.push(`${count(traffic.accept_errors)} failed to be accepted`);
      return why.join(", ") || "none since the start";
    },
  },
  {
    name: "Received", unit: "/ s", shown: ({ traffic }) => traffic,
    point: (_, { bytesIn }) => bytesIn,
    text: (_, { bytesIn }) => (bytesIn === undefined ? "–" : bytes(bytesIn)),
    more: (_, { framesIn }) => (framesIn === undefined ? "" : `${rate(framesIn)} frames / s`),
  },
  {
    name: "Sent", unit: "/ s", shown: ({ traffic }) => traffic,
    point: (_, { bytesOut }) => bytesOut,
    text: (_, { bytesOut }) => (bytesOut === undefined ? "–" : bytes(bytesOut)),
    more: (_, { framesOut }) => (framesOut === undefined ? "" : `${rate(framesOut)} frames / s`),
  },
  {
    name: "Pending timers", floats: true, shown: ({ wheel }) => wheel,
    point: ({ wheel }) => wheel.pending,
    text: ({ wheel }) => count(wheel.pending),
    more: ({ wheel }) => `${count(wheel.fired)} fired, ${count(wheel.moved)} moved on`,
  },
  {
    name: "Callbacks running", shown: ({ wheel }) => wheel,
    point: ({ wheel }) => wheel.running + wheel.waiting,
    text: ({ wheel }) => count(wheel.running),
    more: ({ wheel }) => `${count(wheel.waiting)} waiting`,
  },
];

function perSecond(n) {
  return n === undefined ? "–" : rate(n);
}

class Counter {
  #kind;
  #series = new Series();
  #value = element("b");
  #more = element("span", { class: "more" });
  #sparkline = new Sparkline();
  node;

  constructor(kind) {
    this.#kind = kind;
    const figure = element("span", { class: "figure" }, this.#value);
    if (kind.unit) figure.append(" ", element("span", { class: "unit" }, kind.unit));
    this.node = element("li", { class: "card counter" },
      element("span", { class: "name" }, kind.name), figure, this.#more, this.#sparkline.node);
  }

  clear() {
    this.#series.clear();
  }

  gap() {
    this.#series.add(null);
  }

  update(stats, rates) {
    const { shown, point, text, more, floats } = this.#kind;
    this.node.hidden = shown ? !shown(stats) : false;
    if (this.node.hidden) return;
    const value = point(stats, rates);
    if (value !== undefined) this.#series.add(value);
    show(this.#value, text(stats, rates));
    show(this.#more, more(stats, rates));
    this.#sparkline.draw(this.#series.values(), floats);
  }
}

// counters makes them and reports what updates them with each event's stats.
export function counters() {
  const all = kinds.map((kind) => new Counter(kind));
  byID("counters").append(...all.map((c) => c.node));
  const meter = new Rates();
  return (stats) => {
    const { rates, gap, fresh } = meter.next(stats);
    for (const c of all) {
      if (fresh) c.clear();
      if (gap) c.gap();
      c.update(stats, rates);
    }
  };
}
