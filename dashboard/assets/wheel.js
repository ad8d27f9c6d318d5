// The wheel: a ring of 64 slots for each level, the finest innermost, and in each
// ring a hand that points to now.

import { byID, element, setAttribute, setText, svg, updateRows } from "./dom.js";
import { count, duration, plural } from "./format.js";
import { Motion } from "./motion.js";

const slotsInRing = 64;
const minRings = 4;
const innerRadius = 46;
const outerRadius = 196;
const fullness = (timers) => Math.log2(1 + timers);

// arc returns the outline of one slot of a ring. The gap between two slots has the
// same width in every ring.
function arc(index, from, to) {
  const gap = 0.75;
  const at = (radius, turn) => `${(radius * Math.sin(turn)).toFixed(2)} ${(-radius * Math.cos(turn)).toFixed(2)}`;
  const [a, b] = [index, index + 1].map((i) => (i / slotsInRing) * 2 * Math.PI);
  const [o, i] = [gap / to, gap / from];
  return `M${at(to, a + o)}A${to} ${to} 0 0 1 ${at(to, b - o)}L${at(from, b - i)}A${from} ${from} 0 0 0 ${at(from, a + i)}Z`;
}

// Clock follows the server's monotonic clock between events. It smooths out the delay
// of single events, so that the hands do not jerk.
class Clock {
  #offset = null;

  synchronize(now) {
    const offset = now - performance.now() / 1000;
    const error = this.#offset === null ? Infinity : Math.abs(offset - this.#offset);
    this.#offset = error > 0.5 ? offset : this.#offset + (offset - this.#offset) / 8;
  }

  now() {
    return (this.#offset ?? 0) + performance.now() / 1000;
  }
}

class Ring {
  slots = [];
  node = svg("g", { class: "ring" });
  hand = svg("line", { class: "hand" });
  #used = new Set();

  constructor(from, to) {
    for (let i = 0; i < slotsInRing; i++) {
      const title = svg("title");
      const path = svg("path", { class: "slot", d: arc(i, from, to) }, title);
      this.slots.push({ path, title, due: null });
      this.node.append(path);
    }
    for (const [name, value] of [["x1", 0], ["x2", 0], ["y1", -from + 1.5], ["y2", -to - 1.5]]) this.hand.setAttribute(name, value);
  }

  // fill shades the slots in use and empties the others. seconds is the span of a slot,
  // max the fullness that gets the darkest shade.
  fill(slots, seconds, max) {
    const used = new Set();
    for (const { index, up_seconds: up, timers } of slots) {
      const slot = this.slots[index];
      if (!slot) continue;
      slot.due = { up, over: up + seconds, timers };
      used.add(slot);
      setAttribute(slot.path, "class", "slot used");
      setAttribute(slot.path, "fill-opacity", (0.22 + (0.78 * fullness(timers)) / max).toFixed(2));
    }
    for (const slot of this.#used) if (!used.has(slot)) this.#empty(slot);
    this.#used = used;
  }

  #empty(slot) {
    slot.due = null;
    setAttribute(slot.path, "class", "slot");
    slot.path.removeAttribute("fill-opacity");
    setText(slot.title, "");
  }

  // clearPast empties the slots that have fired since the last event.
  clearPast(now) {
    for (const slot of this.#used) {
      if (slot.due.over > now) continue;
      this.#used.delete(slot);
      this.#empty(slot);
    }
  }

  turn(now, seconds) {
    const turns = (now / (seconds * slotsInRing)) % 1;
    setAttribute(this.hand, "transform", `rotate(${(turns * 360).toFixed(2)})`);
  }
}

export class WheelView {
  #clock = new Clock();
  #rings = [];
  #tick = 0.01;
  #levels = new Map();
  #chart = svg("svg", { viewBox: "-200 -200 400 400", role: "img" });
  #hands = svg("svg", { class: "hands", viewBox: "-200 -200 400 400", "aria-hidden": "true" });
  #center = element("p", { class: "center", "aria-hidden": "true" }, element("b"), element("span", {}, "timers"));
  #facts = ["Slots in use", "Rescued", "Timed by"].map((name) => [element("dt", {}, name), element("dd")]);
  #motion;
  #hovered = null;

  constructor() {
    const dial = byID("dial");
    byID("wheel-facts").append(...this.#facts.map((pair) => element("div", {}, ...pair)));
    dial.append(this.#chart, this.#hands, this.#center);
    this.#motion = new Motion(dial, () => this.#turn());
    this.#chart.addEventListener("pointerover", (e) => this.#hover(e.target));
    this.#chart.addEventListener("pointerleave", () => this.#hover(null));
  }

  pause(paused) {
    this.#motion.pause(paused);
  }

  update(wheel) {
    byID("wheel").hidden = !wheel;
    if (!wheel) return;
    this.#clock.synchronize(wheel.now_seconds);
    this.#tick = wheel.tick_seconds;
    this.#levels = new Map(wheel.levels.map((l) => [l.level, l]));
    this.#createRings(Math.max(minRings, ...wheel.levels.map((l) => l.level + 1)));
    const max = Math.max(1, ...wheel.levels.flatMap((l) => l.slots.map((s) => s.timers)));
    this.#rings.forEach((ring, level) => ring.fill(this.#levels.get(level)?.slots ?? [], this.#slotSpan(level), fullness(max)));
    setText(this.#center.firstChild, count(wheel.pending));
    const slots = wheel.levels.reduce((sum, l) => sum + l.slots.length, 0);
    this.#facts.forEach(([, node], i) => setText(node, [count(slots), count(wheel.rescued), wheel.library_disabled ? "the wheel itself" : "the library"][i]));
    setText(byID("wheel-aside"), `${duration(this.#tick)} tick`);
    this.#describe(wheel);
    this.#turn();
    this.#showReadout();
  }

  // #createRings creates all rings again if there are more levels than before.
  #createRings(n) {
    if (n <= this.#rings.length) return;
    const width = (outerRadius - innerRadius) / n;
    this.#rings = Array.from({ length: n }, (_, i) => new Ring(innerRadius + i * width, innerRadius + (i + 1) * width - Math.min(5, width / 6)));
    this.#chart.replaceChildren(...this.#rings.map((r) => r.node));
    this.#hands.replaceChildren(...this.#rings.map((r) => r.hand));
  }

  // #slotSpan returns the seconds that a slot of a level spans.
  #slotSpan(level) {
    return this.#tick * slotsInRing ** level;
  }

  #turn() {
    const now = this.#clock.now();
    this.#rings.forEach((ring, level) => {
      ring.turn(now, this.#slotSpan(level));
      ring.clearPast(now);
    });
  }

  // #describe shows the same as text: in a table of the levels, and in the titles of
  // the slots.
  #describe({ now_seconds: now, levels, pending }) {
    const timers = levels.reduce((sum, l) => sum + l.slots.reduce((n, s) => n + s.timers, 0), 0);
    setAttribute(this.#chart, "aria-label", `The wheel: ${count(pending)} timers pending, ${count(timers)} of them in slots of ${levels.length} levels. The table below has the levels.`);
    const all = this.#rings.map((_, level) => ({ level, slots: this.#levels.get(level)?.slots ?? [] }));
    updateRows(byID("levels").tBodies[0], all,
      () => element("tr", {}, element("th", { scope: "row" }), element("td"), element("td"), element("td"), element("td")),
      (row, { level, slots }) => {
        const next = Math.min(...slots.map((s) => s.up_seconds));
        [level, duration(this.#slotSpan(level)), `${slots.length} of ${slotsInRing}`, count(slots.reduce((n, s) => n + s.timers, 0)),
          slots.length ? this.#when(next, now) : "–"].forEach((text, i) => setText(row.cells[i], String(text)));
      });
    for (const { slots, level } of all) {
      for (const s of slots) {
        const slot = this.#rings[level].slots[s.index];
        if (slot) setText(slot.title, this.#describeSlot(level, s.index, slot.due, now));
      }
    }
  }

  #when(up, now) {
    return up <= now ? "now" : `in ${duration(up - now)}`;
  }

  #describeSlot(level, index, due, now) {
    const where = `Level ${level}, slot ${index}`;
    if (!due) return `${where}: empty`;
    return `${where}: ${plural(due.timers, "timer")}, due ${this.#when(due.up, now)}`;
  }

  #hover(target) {
    this.#hovered = target?.closest?.(".slot") ?? null;
    this.#showReadout();
  }

  // #showReadout describes the slot under the pointer below the wheel.
  #showReadout() {
    let text = "";
    this.#rings.forEach((ring, level) => {
      const index = ring.slots.findIndex((s) => s.path === this.#hovered);
      if (index >= 0) text = this.#describeSlot(level, index, ring.slots[index].due, this.#clock.now());
    });
    setText(byID("readout"), text || "The stronger the colour of a slot, the more timers are due in it. The inner ring has the finest slots. The hands point to now.");
  }
}
