// The cluster: its nodes, asked for anew every five seconds, and its sessions,
// asked for when somebody searches, since that reads what the broker has.

import { announce, byID, element, rows, set, show } from "./dom.js";
import { bytes, count } from "./format.js";
import { refusal } from "./feed.js";
import { ask } from "./closing.js";

const every = 5000; // ms between an answer and the next question
const most = 50; // sessions that are shown

export class Cluster {
  #shown = false;
  #closable = false;
  #paused = false;
  #timer = 0;
  #polling = null;
  #searching = null;
  #sought = null; // the text of the last search, null before the first
  #state = "";

  constructor() {
    byID("seek").addEventListener("submit", (e) => {
      e.preventDefault();
      tell("kicked", "");
      this.#search(e.target.elements.q.value.trim());
    });
    document.addEventListener("visibilitychange", () => this.#poll());
  }

  // update says whether there is a cluster, and whether its sessions may be closed.
  update(shown, closable) {
    if (closable !== this.#closable) {
      this.#closable = closable;
      for (const cell of byID("found").querySelectorAll(".action")) cell.hidden = !closable;
    }
    if (shown === this.#shown) return;
    this.#shown = shown;
    byID("cluster").hidden = !shown;
    this.#poll();
  }

  pause(paused) {
    this.#paused = paused;
    this.#poll();
  }

  // poll asks for the nodes, and again later, unless nobody looks.
  async #poll() {
    clearTimeout(this.#timer);
    this.#polling?.abort();
    if (!this.#shown || this.#paused || document.hidden) return;
    const polling = (this.#polling = new AbortController());
    let trouble = "";
    try {
      const answer = await fetch("api/cluster", { signal: AbortSignal.any([polling.signal, AbortSignal.timeout(20_000)]) });
      if (answer.ok) this.#paint(await answer.json());
      else trouble = await refusal(answer);
    } catch (error) {
      trouble = unanswered(error, "twenty");
    }
    if (polling.signal.aborted) return;
    tell("cluster-trouble", trouble && `These nodes are not up to date: ${trouble}.`);
    this.#timer = setTimeout(() => this.#poll(), every);
  }

  #paint({ state, active, sessions, node_count: all, nodes }) {
    show(byID("cluster-aside"), `${number(all, "node")}, ${number(sessions, "session")}`);
    show(byID("cluster-state"), state);
    set(byID("cluster-state"), "data-active", active);
    tell("isolated", active ? "" : `This node is not active, but ${state}: it decides no logins until it reaches the broker again.`);
    if (this.#state && state !== this.#state) announce(`This node is ${state}.`);
    this.#state = state;
    rows(byID("nodes"), nodes,
      () => element("tr", {}, element("th", { scope: "row" }, element("span"), element("span", { class: "mine" }, "this node")),
        element("td", { class: "number" }), element("td", { class: "incarnation" })),
      (row, n) => {
        const [name, mine] = row.cells[0].children;
        show(name, n.name);
        mine.hidden = !n.this;
        show(row.cells[1], count(n.sessions));
        show(row.cells[2], n.incarnation.length > 10 ? `…${n.incarnation.slice(-8)}` : n.incarnation);
        set(row.cells[2], "title", n.incarnation);
      });
    byID("node-scroll").hidden = nodes.length === 0;
    tell("more-nodes", nodes.length < all ? `The first ${count(nodes.length)} of ${count(all)} nodes.` : nodes.length ? "" : "This node knows of none yet.");
  }

  async #search(text) {
    this.#searching?.abort();
    const searching = (this.#searching = new AbortController());
    this.#sought = text;
    const query = new URLSearchParams({ ...(text && { q: text }), limit: most });
    set(byID("found-scroll"), "aria-busy", true);
    tell("search-trouble", "");
    tell("search-outcome", "Asking the broker…");
    let page = null;
    let trouble = "";
    try {
      const answer = await fetch(`api/cluster/sessions?${query}`, { signal: AbortSignal.any([searching.signal, AbortSignal.timeout(60_000)]) });
      if (answer.ok) page = await answer.json();
      else trouble = await refusal(answer);
    } catch (error) {
      trouble = unanswered(error, "sixty");
    }
    if (searching.signal.aborted) return;
    set(byID("found-scroll"), "aria-busy", false);
    if (page) {
      byID("found-rows").replaceChildren(...page.sessions.map((s) => this.#row(s)));
      byID("found-scroll").hidden = page.sessions.length === 0;
    }
    tell("search-outcome", page ? outcome(text, page) : "");
    tell("search-trouble", trouble && `The search found nothing out: ${trouble}.`);
  }

  #row(s) {
    const id = element("th", { scope: "row", class: "who" }, s.id);
    const cut = s.metadata_bytes > new TextEncoder().encode(s.metadata).length;
    const since = s.since ? element("time", { datetime: s.since }, new Date(s.since).toLocaleString()) : "unknown";
    const button = element("button", { type: "button", "aria-label": `Close session ${s.id}` }, "Close");
    button.addEventListener("click", () => ask({
      id: s.id,
      path: "api/cluster/sessions/",
      about: `On node ${s.node}. The connection ends at once.`,
    }, (text, good) => this.#closed(text, good)));
    const action = element("td", { class: "action" }, button);
    action.hidden = !this.#closable;
    return element("tr", {}, id, element("td", { class: "node" }, s.node), element("td", { class: "since" }, since),
      element("td", { class: "metadata" }, s.metadata + (cut ? ` … (${bytes(s.metadata_bytes)} in all)` : "")), action);
  }

  // closed tells what came of a close, and searches anew; the row that had the
  // focus is gone then.
  async #closed(text, good) {
    byID("kicked").classList.toggle("warning", !good);
    tell("kicked", text);
    if (this.#sought !== null) await this.#search(this.#sought);
    byID("cluster").focus({ preventScroll: true });
  }
}

// outcome is what a search found, in words.
function outcome(text, { looked_at: looked, cut, sessions }) {
  const found = sessions.length;
  const whose = text ? ` whose ID is or contains “${text}”` : "";
  if (cut === "time") return `The search was cut off after ten seconds and ${number(looked, "session")}; it found ${count(found)}${whose}.`;
  if (cut === "limit") return `${number(found, "session")}${whose}; there are more: search for more of the ID.`;
  return found ? `${number(found, "session")}${whose}.` : text ? `No session${whose}.` : "There are no sessions in the cluster.";
}

function number(n, what) {
  return `${count(n)} ${what}${n === 1 ? "" : "s"}`;
}

function unanswered(error, seconds) {
  return error.name === "TimeoutError" ? `no answer within ${seconds} seconds` : "the server cannot be reached";
}

// tell shows a text where it belongs, or hides that place.
function tell(id, text) {
  show(byID(id), text);
  byID(id).hidden = !text;
}
