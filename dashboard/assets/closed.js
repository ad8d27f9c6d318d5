// The table of the sessions that closed last.

import { byID, element, setNotice, setText, updateRows } from "./dom.js";
import { clock, count, duration, plural } from "./format.js";
import { errorText, failureText } from "./feed.js";
import { foreign, setForeign } from "./foreign.js";
import { maxID } from "./closing.js";

const minInterval = 2000; // ms between two requests

export class ClosedSessions {
  #sessions = [];
  #loadedAt = -Infinity;
  #counted = -1; // how many sessions had closed at the last event
  #requestsDue = 0;
  #loading = false;
  #paused = false;

  constructor() {
    setInterval(() => this.#countOn(), 1000);
  }

  // update is called with each event. It requests the list after the number of
  // closed sessions has changed: twice, since a session is counted before its
  // connection is closed, and listed after.
  update({ closed }) {
    if (closed !== this.#counted) this.#requestsDue = 2;
    this.#counted = closed;
    this.#showCount();
    if (this.#requestsDue > 0 && !this.#loading && !document.hidden && performance.now() - this.#loadedAt >= minInterval) this.#load();
  }

  // latest returns the sessions that closed last, as they were requested last.
  latest() {
    return this.#sessions;
  }

  pause(paused) {
    this.#paused = paused;
  }

  async #load() {
    this.#loading = true;
    this.#requestsDue--;
    let trouble = "";
    try {
      const response = await fetch("api/closed", { signal: AbortSignal.timeout(10_000) });
      if (response.ok) this.#sessions = (await response.json()).sessions;
      else trouble = await errorText(response);
    } catch (error) {
      trouble = failureText(error, "ten");
    }
    this.#loading = false;
    this.#loadedAt = performance.now();
    setNotice("closed-trouble", trouble && `This list is not up to date: ${trouble}.`);
    if (trouble) this.#requestsDue = Math.max(1, this.#requestsDue);
    else this.#show();
  }

  #show() {
    const sessions = this.#sessions;
    byID("closed-scroll").hidden = sessions.length === 0;
    byID("none-closed").hidden = sessions.length > 0;
    updateRows(byID("closed-rows"), sessions,
      () => element("tr", {}, element("th", { scope: "row", class: "id" }, foreign()), element("td", { class: "address" }, foreign()), element("td", { class: "reason" }, foreign()),
        element("td", { class: "number ago" }), element("td", { class: "number late" })),
      (row, s) => {
        const [id, address, reason, , late] = row.cells;
        setForeign(id.firstChild, s.id, maxID);
        setForeign(address.firstChild, s.address);
        setForeign(reason.firstChild, s.reason || "(none)");
        setText(late, s.late_seconds === null ? "–" : duration(s.late_seconds));
      });
    this.#showCount();
    this.#countOn();
  }

  #showCount() {
    const shown = this.#sessions.length;
    setText(byID("closed-aside"), this.#counted > shown ? `the last ${count(shown)} of ${count(this.#counted)}` : plural(shown, "session"));
  }

  // #countOn shows how long ago the sessions closed.
  #countOn() {
    if (this.#paused) return;
    const passed = (performance.now() - this.#loadedAt) / 1000;
    this.#sessions.forEach((s, i) => setText(byID("closed-rows").rows[i].cells[3], `${clock(s.ago_seconds + passed)} ago`));
  }
}
