// The wheel as it is: a ring for each level, the finest innermost, 64 slots in
// each, and a hand in each ring at now.

import { byID, rows, element, set, shape, show } from "./dom.js";
import { count, span } from "./format.js";
import { Motion } from "./motion.js";

const slotsInRing = 64;
const leastRings = 4;
const inner = 46;
const outer = 196;
const depth = (slots) => Math.log2(1 + slots);

// arc is the outline of one slot of a ring; the gap to the next has the same
// width in every ring.
function arc(index, from, to) {
  const gap = 0.75;
  const at = (radius, turn) => `${(radius * Math.sin(turn)).toFixed(2)} ${(-radius * Math.cos(turn)).toFixed(2)}`;
  const [a, b] = [index, index + 1].map((i) => (i / slotsInRing) * 2 * Math.PI);
  const [o, i] = [gap / to, gap / from];
  return `M${at(to, a + o)}A${to} ${to} 0 0 1 ${at(to, b - o)}L${at(from, b - i)}A${from} ${from} 0 0 0 ${at(from, a + i)}Z`;
}

// Clock follows the server's monotonic clock between events. What one event is
// late on its way is smoothed out, so that the hands do not jerk.
class Clock {
  #offset = null;

  hear(now) {
    const offset = now - performance.now() / 1000;
    const off = this.#offset === null ? Infinity : Math.abs(offset - this.#offset);
    this.#offset = off > 0.5 ? offset : this.#offset + (offset - this.#offset) / 8;
  }

  now() {
    return (this.#offset ?? 0) + performance.now() / 1000;
  }
}

class Ring {
  slots = [];
  node = shape("g", { class: "ring" });
  hand = shape("line", { class: "hand" });
  #used = new Set();

  constructor(from, to) {
    for (let i = 0; i < slotsInRing; i++) {
      const title = shape("title");
      const path = shape("path", { class: "slot", d: arc(i, from, to) }, title);
      this.slots.push({ path, title, due: null });
      this.node.append(path);
    }
    for (const [name, value] of [["x1", 0], ["x2", 0], ["y1", -from + 1.5], ["y2", -to - 1.5]]) this.hand.setAttribute(name, value);
  }

  // fill shades the slots in use; the others become empty.
  fill(slots, seconds, scale) {
    const used = new Set();
    for (const { index, up_seconds: up, timers } of slots) {
      const slot = this.slots[index];
      if (!slot) continue;
      slot.due = { up, over: up + seconds, timers };
      used.add(slot);
      set(slot.path, "class", "slot used");
      set(slot.path, "fill-opacity", (0.22 + (0.78 * depth(timers)) / scale).toFixed(2));
    }
    for (const slot of this.#used) if (!used.has(slot)) this.#empty(slot);
    this.#used = used;
  }

  #empty(slot) {
    slot.due = null;
    set(slot.path, "class", "slot");
    slot.path.removeAttribute("fill-opacity");
    show(slot.title, "");
  }

  // pass empties the slots that came up since the last event.
  pass(now) {
    for (const slot of this.#used) {
      if (slot.due.over > now) continue;
      this.#used.delete(slot);
      this.#empty(slot);
    }
  }

  turn(now, seconds) {
    const turns = (now / (seconds * slotsInRing)) % 1;
    set(this.hand, "transform", `rotate(${(turns * 360).toFixed(2)})`);
  }
}

export class WheelView {
  #clock = new Clock();
  #rings = [];
  #tick = 0.01;
  #levels = new Map();
  #slots = shape("svg", { viewBox: "-200 -200 400 400", role: "img" });
  #hands = shape("svg", { class: "hands", viewBox: "-200 -200 400 400", "aria-hidden": "true" });
  #center = element("p", { class: "center", "aria-hidden": "true" }, element("b"), element("span", {}, "timers"));
  #facts = ["Slots in use", "Rescued", "Paced by"].map((name) => [element("dt", {}, name), element("dd")]);
  #motion;
  #pointed = null;

  constructor() {
    const dial = byID("dial");
    byID("wheel-facts").append(...this.#facts.map((pair) => element("div", {}, ...pair)));
    dial.append(this.#slots, this.#hands, this.#center);
    this.#motion = new Motion(dial, () => this.#turn());
    this.#slots.addEventListener("pointerover", (e) => this.#point(e.target));
    this.#slots.addEventListener("pointerleave", () => this.#point(null));
  }

  pause(paused) {
    this.#motion.pause(paused);
  }

  update(wheel) {
    byID("wheel").hidden = !wheel;
    if (!wheel) return;
    this.#clock.hear(wheel.now_seconds);
    this.#tick = wheel.tick_seconds;
    this.#levels = new Map(wheel.levels.map((l) => [l.level, l]));
    this.#lay(Math.max(leastRings, ...wheel.levels.map((l) => l.level + 1)));
    const most = Math.max(1, ...wheel.levels.flatMap((l) => l.slots.map((s) => s.timers)));
    this.#rings.forEach((ring, level) => ring.fill(this.#levels.get(level)?.slots ?? [], this.#seconds(level), depth(most)));
    show(this.#center.firstChild, count(wheel.pending));
    const slots = wheel.levels.reduce((sum, l) => sum + l.slots.length, 0);
    this.#facts.forEach(([, node], i) => show(node, [count(slots), count(wheel.rescued), wheel.library_disabled ? "itself alone" : "the library"][i]));
    show(byID("wheel-aside"), `${span(this.#tick)} tick`);
    this.#describe(wheel);
    this.#turn();
    this.#read();
  }

  // #lay makes the rings anew if there are more levels than before.
  #lay(n) {
    if (n <= this.#rings.length) return;
    const width = (outer - inner) / n;
    this.#rings = Array.from({ length: n }, (_, i) => new Ring(inner + i * width, inner + (i + 1) * width - Math.min(5, width / 6)));
    this.#slots.replaceChildren(...this.#rings.map((r) => r.node));
    this.#hands.replaceChildren(...this.#rings.map((r) => r.hand));
  }

  // #seconds is how much time a slot of a level spans.
  #seconds(level) {
    return this.#tick * slotsInRing ** level;
  }

  #turn() {
    const now = this.#clock.now();
    this.#rings.forEach((ring, level) => {
      ring.turn(now, this.#seconds(level));
      ring.pass(now);
    });
  }

  // #describe says the same in words: a table of the levels.
  #describe({ now_seconds: now, levels, pending }) {
    const timers = levels.reduce((sum, l) => sum + l.slots.reduce((n, s) => n + s.timers, 0), 0);
    set(this.#slots, "aria-label", `The wheel: ${count(pending)} timers pending, ${count(timers)} of them in slots of ${levels.length} levels. The table below has the levels.`);
    const all = this.#rings.map((_, level) => ({ level, slots: this.#levels.get(level)?.slots ?? [] }));
    rows(byID("levels").tBodies[0], all,
      () => element("tr", {}, element("th", { scope: "row" }), element("td"), element("td"), element("td"), element("td")),
      (row, { level, slots }) => {
        const next = Math.min(...slots.map((s) => s.up_seconds));
        [level, span(this.#seconds(level)), `${slots.length} of ${slotsInRing}`, count(slots.reduce((n, s) => n + s.timers, 0)),
          slots.length ? this.#when(next, now) : "–"].forEach((text, i) => show(row.cells[i], String(text)));
      });
    for (const { slots, level } of all) {
      for (const s of slots) {
        const slot = this.#rings[level].slots[s.index];
        if (slot) show(slot.title, this.#tell(level, s.index, slot.due, now));
      }
    }
  }

  #when(up, now) {
    return up <= now ? "now" : `in ${span(up - now)}`;
  }

  #tell(level, index, due, now) {
    const where = `Level ${level}, slot ${index}`;
    if (!due) return `${where}: empty`;
    return `${where}: ${count(due.timers)} ${due.timers === 1 ? "timer" : "timers"}, up ${this.#when(due.up, now)}`;
  }

  #point(target) {
    this.#pointed = target?.closest?.(".slot") ?? null;
    this.#read();
  }

  // #read says below the wheel what the pointer is on.
  #read() {
    let text = "";
    this.#rings.forEach((ring, level) => {
      const index = ring.slots.findIndex((s) => s.path === this.#pointed);
      if (index >= 0) text = this.#tell(level, index, ring.slots[index].due, this.#clock.now());
    });
    show(byID("readout"), text || "The fuller the colour of a slot, the more timers are due in it. Each ring has a hand at now; the inner one is the finest.");
  }
}
