// The cluster: its nodes, requested every two seconds, and its sessions, requested
// only by a search, since that reads the broker's directory.

import { announce, byID, element, setAttribute, setNotice, setText, updateRows } from "./dom.js";
import { bytes, clock, count, dateTime, plural, time } from "./format.js";
import { errorText, failureText } from "./feed.js";
import { foreign, quoted, setForeign, visible } from "./foreign.js";
import { report, settle } from "./incidents.js";
import { confirmClose, inexact, isClosable, maxID } from "./closing.js";

const pollInterval = 2000; // ms between a response and the next request
const maxMetadata = 256; // characters
const maxSessions = 50; // that are shown

export class Cluster {
  #shown = false;
  #closable = false;
  #paused = false;
  #timer = 0;
  #polling = null;
  #searching = null;
  #searchText = null; // of the last search; null before the first
  #state = "";
  #known = new Map(); // the nodes of the last answer, by incarnation

  constructor() {
    byID("seek").addEventListener("submit", (e) => {
      e.preventDefault();
      setNotice("kicked", "");
      this.#search(e.target.elements.q.value.trim());
    });
    document.addEventListener("visibilitychange", () => this.#poll());
  }

  // update sets whether there is a cluster, and whether its sessions can be closed.
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

  // #poll requests the nodes now and every pollInterval, while the page is visible.
  async #poll() {
    clearTimeout(this.#timer);
    this.#polling?.abort();
    if (!this.#shown || this.#paused || document.hidden) return;
    const polling = (this.#polling = new AbortController());
    let trouble = "";
    try {
      const response = await fetch("api/cluster", { signal: AbortSignal.any([polling.signal, AbortSignal.timeout(20_000)]) });
      if (response.ok) this.#show(await response.json());
      else trouble = await errorText(response);
    } catch (error) {
      trouble = failureText(error, "twenty");
    }
    if (polling.signal.aborted) return;
    setNotice("cluster-trouble", trouble && `These nodes are not up to date: ${trouble}.`);
    this.#timer = setTimeout(() => this.#poll(), pollInterval);
  }

  #show({ state, active, sessions, node_count: all, nodes }) {
    setText(byID("cluster-aside"), `${plural(all, "node")}, ${plural(sessions, "session")}`);
    setForeign(byID("cluster-state"), state);
    setAttribute(byID("cluster-state"), "data-active", active);
    setNotice("isolated", active ? "" : `This node is ${quoted(state)}, not Active: it accepts no logins until it reaches the broker again.`);
    if (this.#state && state !== this.#state) announce(`This node is ${quoted(state)}.`);
    this.#state = state;
    this.#watch(active, nodes, all);
    updateRows(byID("nodes"), nodes,
      () => element("tr", {}, element("th", { scope: "row" }, foreign(), element("span", { class: "this-node" }, "this node"), element("span", { class: "silent" })),
        element("td", { class: "number" }), element("td", { class: "incarnation" }, foreign())),
      (row, n) => {
        const [name, thisNode, silent] = row.cells[0].children;
        setForeign(name, n.name);
        thisNode.hidden = !n.this;
        setText(silent, n.silent_seconds ? `silent for ${clock(n.silent_seconds)}` : "");
        setText(row.cells[1], count(n.sessions));
        setForeign(row.cells[2].firstChild, n.incarnation);
        if (n.incarnation.length > 10) setText(row.cells[2].firstChild, visible(`…${n.incarnation.slice(-8)}`));
      });
    byID("node-scroll").hidden = nodes.length === 0;
    setNotice("more-nodes", nodes.length < all ? `The first ${count(nodes.length)} of ${count(all)} nodes.` : nodes.length ? "" : "This node does not know any nodes yet.");
  }

  // #watch reports nodes that are silent or gone. If this node cannot reach the broker, it
  // knows nothing of the others.
  #watch(active, nodes, all) {
    if (!active || nodes.length < all) return this.#known.clear();
    const now = new Map(nodes.map((n) => [n.incarnation, n]));
    for (const n of nodes) {
      if (n.silent_seconds) {
        report(`node ${n.incarnation}`, `Node ${quoted(n.name)} has given no sign of life for ${clock(n.silent_seconds)}.`,
          `If it has died, so have its ${plural(n.sessions, "session")}. Other nodes accept their names when its lease is over.`,
          "See whether its process runs and reaches the brokers. Nothing needs doing for the others.");
      } else if (this.#known.get(n.incarnation)?.silent_seconds) settle(`node ${n.incarnation}`);
    }
    for (const [incarnation, n] of this.#known) {
      if (now.has(incarnation)) continue;
      const again = nodes.some((other) => other.name === n.name);
      report(`node ${incarnation}`, `Node ${quoted(n.name)} ${n.silent_seconds ? "was declared dead" : "has gone"}, at ${time(new Date())}.`,
        n.sessions ? `${plural(n.sessions, "session")} went with it. Other nodes accept their names.` : "It had no sessions.",
        again ? "It has started again. If you did not restart it, see its log." : "If you did not stop it, see its log and start it again.");
    }
    this.#known = now;
  }

  async #search(text) {
    this.#searching?.abort();
    const searching = (this.#searching = new AbortController());
    this.#searchText = text;
    const query = new URLSearchParams({ ...(text && { q: text }), limit: maxSessions });
    setAttribute(byID("found-scroll"), "aria-busy", true);
    setNotice("search-trouble", "");
    setNotice("search-outcome", "Asking the broker…");
    let page = null;
    let trouble = "";
    try {
      const response = await fetch(`api/cluster/sessions?${query}`, { signal: AbortSignal.any([searching.signal, AbortSignal.timeout(60_000)]) });
      if (response.ok) page = await response.json();
      else trouble = await errorText(response);
    } catch (error) {
      trouble = failureText(error, "sixty");
    }
    if (searching.signal.aborted) return;
    setAttribute(byID("found-scroll"), "aria-busy", false);
    if (page) {
      byID("found-rows").replaceChildren(...page.sessions.map((s) => this.#row(s)));
      byID("found-scroll").hidden = page.sessions.length === 0;
    }
    setNotice("search-outcome", page ? describe(text, page) : "");
    setNotice("search-trouble", trouble && `The search failed: ${trouble}.`);
  }

  #row(s) {
    const id = element("th", { scope: "row", class: "id" }, foreign(s.id, maxID));
    if (!s.exact) id.append(element("span", { class: "inexact", title: inexact }, "not exact"));
    const cut = s.metadata_bytes > new TextEncoder().encode(s.metadata).length;
    const since = s.since ? element("time", { datetime: s.since }, dateTime(s.since)) : "unknown";
    const button = element("button", { type: "button", "aria-label": `Close session ${quoted(s.id, maxID)}` }, "Close");
    button.addEventListener("click", () => confirmClose(s, "api/cluster/sessions/",
      ["On node ", foreign(s.node), ". Its connection is closed at once."], (text, ok) => this.#closed(text, ok)));
    button.hidden = !isClosable(s);
    const action = element("td", { class: "action" }, button);
    action.hidden = !this.#closable;
    return element("tr", {}, id, element("td", { class: "node" }, foreign(s.node)), element("td", { class: "since" }, since),
      element("td", { class: "metadata" }, foreign(s.metadata, maxMetadata), cut ? ` … (${bytes(s.metadata_bytes)} in all)` : ""), action);
  }

  // #closed shows the result of closing a session, and repeats the search. The row that
  // had the focus is gone then, so the section gets it.
  async #closed(text, ok) {
    byID("kicked").classList.toggle("warning", !ok);
    setNotice("kicked", text);
    if (this.#searchText !== null) await this.#search(this.#searchText);
    byID("cluster").focus({ preventScroll: true });
  }
}

// describe returns what a search found, in words.
function describe(text, { looked_at: searched, cut, sessions }) {
  const found = sessions.length;
  const whose = text ? ` whose ID is or contains “${quoted(text, maxID)}”` : "";
  if (cut === "time") return `The search was cut off after ten seconds and ${plural(searched, "session")}; it found ${count(found)}${whose}.`;
  if (cut === "limit") return `${plural(found, "session")}${whose}; there are more: search for more of the ID.`;
  return found ? `${plural(found, "session")}${whose}.` : text ? `No session${whose}.` : "There are no sessions in the cluster.";
}
