// The table of sessions: one page of it, asked for anew every two seconds.

import { announce, byID, element, set, show } from "./dom.js";
import { clock, count } from "./format.js";
import { refusal } from "./feed.js";
import { ask } from "./closing.js";

const every = 2000; // ms between an answer and the next question
const pauseOfTyping = 250; // ms

// The order that a column has when it is sorted by first.
const firstOrder = { id: "asc", address: "asc", age: "desc", idle: "desc", remaining: "asc" };

class Row {
  session = null;
  #id = element("th", { scope: "row", class: "id" });
  #address = element("td", { class: "address" });
  #age = element("td", { class: "number age" });
  #idle = element("td", { class: "number idle" });
  #left = element("td", { class: "number left" });
  #text = element("span");
  #bar = element("span", { class: "bar", "aria-hidden": "true" });
  #button = element("button", { type: "button" }, "Close");
  #action = element("td", { class: "action" }, this.#button);
  node = element("tr", {}, this.#id, this.#address, this.#age, this.#idle, this.#left, this.#action);

  // told is called with what came of a close.
  constructor(told) {
    this.#left.append(this.#text, this.#bar);
    this.#button.addEventListener("click", () => ask({
      id: this.session.id,
      path: "api/sessions/",
      about: `${this.session.address || "No address"}. The connection ends at once.`,
    }, told));
  }

  update(session, closable) {
    this.session = session;
    show(this.#id, session.id);
    set(this.#id, "title", session.id);
    show(this.#address, session.address);
    set(this.#button, "aria-label", `Close session ${session.id}`);
    this.#action.hidden = !closable;
  }

  // count runs the times on, passed seconds after they were told.
  count(passed) {
    const { age_seconds: age, idle_seconds: idle, remaining_seconds: remaining } = this.session;
    show(this.#age, clock(age + passed));
    show(this.#idle, clock(idle + passed));
    const left = remaining === null ? null : Math.max(0, remaining - passed);
    show(this.#text, left === null ? "never" : left === 0 ? "now" : clock(Math.ceil(left)));
    this.#bar.hidden = left === null;
    if (left !== null) this.#bar.style.setProperty("--part", (left / Math.max(idle + remaining, 0.001)).toFixed(3));
  }
}

export class Sessions {
  #query = { q: "", idle: "", sort: "id", order: "asc", offset: 0, limit: 25 };
  #rows = new Map();
  #body = byID("rows");
  #told = performance.now(); // when the times in the rows were
  #matching = 0;
  #closable = false;
  #paused = false;
  #timer = 0;
  #asking = null;

  constructor() {
    const form = byID("filter");
    let typing = 0;
    const filter = () => {
      clearTimeout(typing);
      const { q, idle, limit } = form.elements;
      this.#go({ q: q.value.trim(), idle: idle.value, limit: Number(limit.value), offset: 0 });
    };
    form.addEventListener("submit", (e) => { e.preventDefault(); filter(); });
    form.addEventListener("change", filter);
    form.elements.q.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(filter, pauseOfTyping);
    });
    for (const b of document.querySelectorAll("[data-sort]")) b.addEventListener("click", () => this.#sort(b.dataset.sort));
    byID("previous").addEventListener("click", () => this.#turn(-1));
    byID("next").addEventListener("click", () => this.#turn(1));
    setInterval(() => this.#count(), 1000);
    document.addEventListener("visibilitychange", () => this.#load());
    this.#mark();
    this.#load();
  }

  pause(paused) {
    this.#paused = paused;
    this.#load();
  }

  // closable says whether there are Close buttons.
  closable(closable) {
    if (closable === this.#closable) return;
    this.#closable = closable;
    byID("table").tHead.querySelector(".action").hidden = !closable;
    for (const row of this.#rows.values()) row.update(row.session, closable);
  }

  #sort(column) {
    const { sort, order } = this.#query;
    const next = sort === column ? (order === "asc" ? "desc" : "asc") : firstOrder[column];
    this.#go({ sort: column, order: next, offset: 0 });
    this.#mark();
  }

  // mark shows in the head what the table is sorted by.
  #mark() {
    for (const b of document.querySelectorAll("[data-sort]")) {
      const th = b.parentElement;
      if (b.dataset.sort === this.#query.sort) th.setAttribute("aria-sort", this.#query.order === "asc" ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    }
  }

  #turn(pages) {
    const { offset, limit } = this.#query;
    const next = offset + pages * limit;
    if (next < 0 || next >= this.#matching) return;
    this.#go({ offset: next });
  }

  // go asks for something else, at once, and says what came of it.
  async #go(change) {
    Object.assign(this.#query, change);
    if (await this.#load(true)) announce(`${byID("matching").textContent}. ${byID("range").textContent}`);
  }

  // load asks for the page that the query names, unless nobody looks, and
  // reports whether the rows are those.
  async #load(asked = false) {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    if (!asked && (this.#paused || document.hidden)) return false;
    const asking = (this.#asking = new AbortController());
    const query = new URLSearchParams(Object.entries(this.#query).filter(([, v]) => v !== ""));
    let trouble = "";
    try {
      const answer = await fetch(`api/sessions?${query}`, { signal: AbortSignal.any([asking.signal, AbortSignal.timeout(20_000)]) });
      if (answer.ok) {
        const page = await answer.json();
        if (asking.signal.aborted) return false;
        if (page.matching > 0 && page.offset >= page.matching) { // they went meanwhile
          this.#query.offset = Math.floor((page.matching - 1) / page.limit) * page.limit;
          return this.#load(asked);
        }
        this.#paint(page);
      } else {
        trouble = await refusal(answer);
      }
    } catch (error) {
      trouble = error.name === "TimeoutError" ? "no answer within twenty seconds" : "the server cannot be reached";
    }
    if (asking.signal.aborted) return false;
    show(byID("trouble"), trouble && `These sessions are not up to date: ${trouble}.`);
    byID("trouble").hidden = !trouble;
    this.#timer = setTimeout(() => this.#load(), every);
    return !trouble;
  }

  #paint({ total, matching, offset, sessions }) {
    this.#told = performance.now();
    this.#matching = matching;
    this.#place(sessions);
    this.#count();
    show(byID("matching"), matching === total ? `${count(total)} open` : `${count(matching)} of ${count(total)} match`);
    show(byID("range"), sessions.length ? `${count(offset + 1)}–${count(offset + sessions.length)} of ${count(matching)}` : "");
    set(byID("previous"), "aria-disabled", offset === 0);
    set(byID("next"), "aria-disabled", offset + sessions.length >= matching);
    show(byID("no-sessions"), total ? "No open session matches." : "No session is open.");
    byID("no-sessions").hidden = sessions.length > 0;
    byID("scroll").hidden = sessions.length === 0;
  }

  // place puts the rows in order. Moving a node takes the focus from it, so the
  // other rows move around the one that has it.
  #place(sessions) {
    const before = this.#rows;
    this.#rows = new Map(sessions.map((s) => [s.id, before.get(s.id) ?? new Row((text, good) => this.#outcome(text, good))]));
    for (const s of sessions) this.#rows.get(s.id).update(s, this.#closable);
    let lost = false;
    for (const [id, row] of before) {
      if (this.#rows.has(id)) continue;
      lost ||= row.node.contains(document.activeElement);
      row.node.remove();
    }
    const nodes = [...this.#rows.values()].map((r) => r.node);
    const held = nodes.find((n) => n.contains(document.activeElement));
    nodes.forEach((node, i) => {
      if (node === held) while (this.#body.rows[i] !== held) this.#body.append(this.#body.rows[i]);
      else if (this.#body.rows[i] !== node) this.#body.insertBefore(node, this.#body.rows[i] ?? null);
    });
    if (lost) this.#refocus();
  }

  #count() {
    const passed = this.#paused ? 0 : (performance.now() - this.#told) / 1000;
    for (const row of this.#rows.values()) row.count(passed);
  }

  #outcome(text, good) {
    const outcome = byID("outcome");
    outcome.hidden = false;
    outcome.classList.toggle("warning", !good);
    show(outcome, text);
    this.#load(true);
  }

  // refocus keeps the keyboard near a row that went.
  #refocus() {
    byID("sessions").focus({ preventScroll: true });
  }
}
