// The table of open sessions: one page of it, requested every two seconds.

import { announce, byID, element, setAttribute, setNotice, setText } from "./dom.js";
import { clock, count } from "./format.js";
import { errorText, failureText } from "./feed.js";
import { foreign, quoted, setForeign } from "./foreign.js";
import { confirmClose, inexact, isClosable, maxID } from "./closing.js";

const pollInterval = 2000; // ms between a response and the next request
const maxOffset = 10_000; // that the server allows
const typingDelay = 250; // ms without a key before the filter applies

// The order in which each column is sorted at first.
const defaultOrder = { id: "asc", address: "asc", age: "desc", idle: "desc", remaining: "asc" };

class Row {
  session = null;
  #text = foreign();
  #inexact = element("span", { class: "inexact", title: inexact }, "not exact");
  #id = element("th", { scope: "row", class: "id" }, this.#text);
  #from = foreign();
  #label = foreign();
  #name = element("span", { class: "label" }, this.#label);
  #address = element("td", { class: "address" }, this.#from, this.#name);
  #age = element("td", { class: "number age" });
  #idle = element("td", { class: "number idle" });
  #left = element("td", { class: "number left" });
  #until = element("span");
  #bar = element("span", { class: "bar", "aria-hidden": "true" });
  #button = element("button", { type: "button" }, "Close");
  #action = element("td", { class: "action" }, this.#button);
  node = element("tr", {}, this.#id, this.#address, this.#age, this.#idle, this.#left, this.#action);

  // onClosed is called with the result of closing the session, as of confirmClose.
  constructor(onClosed) {
    this.#left.append(this.#until, this.#bar);
    this.#button.addEventListener("click", () => confirmClose(this.session, "api/sessions/",
      [this.session.address ? foreign(this.session.address) : "No address", ". Its connection is closed at once."], onClosed));
  }

  update(session, closable) {
    this.session = session;
    setForeign(this.#text, session.id, maxID);
    if (session.exact) this.#inexact.remove();
    else this.#id.append(this.#inexact);
    this.#button.hidden = !isClosable(session);
    setForeign(this.#from, session.address);
    setForeign(this.#label, session.label);
    this.#name.hidden = session.label === "";
    setAttribute(this.#button, "aria-label", `Close session ${quoted(session.id, maxID)}`);
    this.#action.hidden = !closable;
  }

  // countOn shows the times as they are, some seconds after the server sent them.
  countOn(passed) {
    const { age_seconds: age, idle_seconds: idle, remaining_seconds: remaining } = this.session;
    setText(this.#age, clock(age + passed));
    setText(this.#idle, clock(idle + passed));
    const left = remaining === null ? null : Math.max(0, remaining - passed);
    setText(this.#until, left === null ? "never" : left === 0 ? "now" : clock(Math.ceil(left)));
    this.#bar.hidden = left === null;
    if (left !== null) this.#bar.style.setProperty("--part", (left / Math.max(idle + remaining, 0.001)).toFixed(3));
  }
}

export class Sessions {
  #query = { q: "", idle: "", sort: "id", order: "asc", offset: 0, limit: 25 };
  #rows = new Map();
  #body = byID("rows");
  #receivedAt = performance.now(); // when the server sent the times in the rows
  #matching = 0;
  #closable = false;
  #paused = false;
  #timer = 0;
  #loading = null;

  constructor() {
    const form = byID("filter");
    let typing = 0;
    const filter = () => {
      clearTimeout(typing);
      const { q, idle, limit } = form.elements;
      this.#request({ q: q.value.trim(), idle: idle.value, limit: Number(limit.value), offset: 0 });
    };
    form.addEventListener("submit", (e) => { e.preventDefault(); filter(); });
    form.addEventListener("change", filter);
    form.elements.q.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(filter, typingDelay);
    });
    for (const b of document.querySelectorAll("[data-sort]")) b.addEventListener("click", () => this.#sort(b.dataset.sort));
    byID("previous").addEventListener("click", () => this.#turn(-1));
    byID("next").addEventListener("click", () => this.#turn(1));
    setInterval(() => this.#countOn(), 1000);
    document.addEventListener("visibilitychange", () => this.#load());
    this.#markSorted();
    this.#load();
  }

  pause(paused) {
    this.#paused = paused;
    this.#load();
  }

  // setClosable sets whether there are Close buttons.
  setClosable(closable) {
    if (closable === this.#closable) return;
    this.#closable = closable;
    byID("table").tHead.querySelector(".action").hidden = !closable;
    for (const row of this.#rows.values()) row.update(row.session, closable);
  }

  #sort(column) {
    const { sort, order } = this.#query;
    const next = sort === column ? (order === "asc" ? "desc" : "asc") : defaultOrder[column];
    this.#request({ sort: column, order: next, offset: 0 });
    this.#markSorted();
  }

  // #markSorted marks the column that the table is sorted by.
  #markSorted() {
    for (const b of document.querySelectorAll("[data-sort]")) {
      const th = b.parentElement;
      if (b.dataset.sort === this.#query.sort) th.setAttribute("aria-sort", this.#query.order === "asc" ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    }
  }

  #turn(pages) {
    const { offset, limit } = this.#query;
    const next = offset + pages * limit;
    if (next < 0 || next >= this.#matching || next > maxOffset) return;
    this.#request({ offset: next });
  }

  // #request changes the query, and announces the result.
  async #request(change) {
    Object.assign(this.#query, change);
    if (await this.#load(true)) announce(`${byID("matching").textContent}. ${byID("range").textContent}`);
  }

  // #load requests the page that the query names. Unless the user asked for it, it does
  // so only while the page is visible. It reports whether the rows are up to date.
  async #load(asked = false) {
    clearTimeout(this.#timer);
    this.#loading?.abort();
    if (!asked && (this.#paused || document.hidden)) return false;
    const loading = (this.#loading = new AbortController());
    const query = new URLSearchParams(Object.entries(this.#query).filter(([, v]) => v !== ""));
    let trouble = "";
    try {
      const response = await fetch(`api/sessions?${query}`, { signal: AbortSignal.any([loading.signal, AbortSignal.timeout(20_000)]) });
      if (response.ok) {
        const page = await response.json();
        if (loading.signal.aborted) return false;
        if (page.matching > 0 && page.offset >= page.matching) { // the last page has become empty
          this.#query.offset = Math.floor(Math.min(page.matching - 1, maxOffset) / page.limit) * page.limit;
          return this.#load(asked);
        }
        this.#show(page);
      } else {
        trouble = await errorText(response);
      }
    } catch (error) {
      trouble = failureText(error, "twenty");
    }
    if (loading.signal.aborted) return false;
    setNotice("trouble", trouble && `These sessions are not up to date: ${trouble}.`);
    this.#timer = setTimeout(() => this.#load(), pollInterval);
    return !trouble;
  }

  #show({ total, matching, offset, sessions }) {
    this.#receivedAt = performance.now();
    this.#matching = matching;
    this.#place(sessions);
    this.#countOn();
    setText(byID("matching"), matching === total ? `${count(total)} open` : `${count(matching)} of ${count(total)} match`);
    const next = offset + sessions.length;
    const last = next < matching && next > maxOffset;
    setText(byID("range"), sessions.length ? `${count(offset + 1)}–${count(next)} of ${count(matching)}${last ? ": narrow the search to see the others" : ""}` : "");
    setAttribute(byID("previous"), "aria-disabled", offset === 0);
    setAttribute(byID("next"), "aria-disabled", next >= matching || last);
    setText(byID("no-sessions"), total ? "No open session matches." : "No session is open.");
    byID("no-sessions").hidden = sessions.length > 0;
    byID("scroll").hidden = sessions.length === 0;
  }

  // #place puts the rows in order. A node that is moved loses the focus, so the other
  // rows move around the one that has it.
  #place(sessions) {
    const before = this.#rows;
    const name = (s) => `${s.key ?? s.id} ${s.generation}`;
    this.#rows = new Map(sessions.map((s) => [name(s), before.get(name(s)) ?? new Row((text, ok) => this.#closed(text, ok))]));
    for (const s of sessions) this.#rows.get(name(s)).update(s, this.#closable);
    let lost = false;
    for (const [key, row] of before) {
      if (this.#rows.has(key)) continue;
      lost ||= row.node.contains(document.activeElement);
      row.node.remove();
    }
    const nodes = [...this.#rows.values()].map((r) => r.node);
    const focused = nodes.find((n) => n.contains(document.activeElement));
    nodes.forEach((node, i) => {
      if (node === focused) while (this.#body.rows[i] !== focused) this.#body.append(this.#body.rows[i]);
      else if (this.#body.rows[i] !== node) this.#body.insertBefore(node, this.#body.rows[i] ?? null);
    });
    if (lost) byID("sessions").focus({ preventScroll: true }); // so that the keyboard stays near
  }

  #countOn() {
    const passed = this.#paused ? 0 : (performance.now() - this.#receivedAt) / 1000;
    for (const row of this.#rows.values()) row.countOn(passed);
  }

  #closed(text, ok) {
    byID("outcome").classList.toggle("warning", !ok);
    setNotice("outcome", text);
    this.#load(true);
  }
}
