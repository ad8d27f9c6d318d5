// Reports when far more is opened or sent than is usual, and looks for who does it.

import { count, plural, rate, time } from "./format.js";
import { quoted } from "./foreign.js";
import { report } from "./incidents.js";
import { describeHosts } from "./hosts.js";
import { ratesBetween, sampleOf, samplesOf } from "./series.js";

const least = { opened: 100, refused: 20, framesIn: 5000 }; // a second
const times = { opened: 5, bytesIn: 10 }; // of what is usual
const needed = 3; // rates that make what is usual
const kept = 150; // rates
const looks = 3; // a session is named that was busy at each of the last ones
const lookEvery = 400; // ms
const busy = 0.05; // seconds without activity at most
const held = 5; // the same for a session whose timer is held, as while it handles frames
const calm = 3; // seconds without a flood after which it is over: it may pause for a moment

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

export class Flood {
  #last = null;
  #usual = []; // rates of quiet times
  #opening = null; // since when, and a request's state; null: nothing happens
  #sending = null;

  // load is called with the server's history.
  load(history) {
    const samples = samplesOf(history);
    const rates = samples.slice(1).map((s, i) => ratesBetween(samples[i], s));
    this.#usual = [...rates, ...this.#usual].slice(-kept);
  }

  // update is called with each event.
  update(stats) {
    const sample = sampleOf(stats);
    const last = this.#last;
    this.#last = sample;
    if (!last || sample.uptime <= last.uptime) return;
    const rates = ratesBetween(last, sample);
    const usual = (name) => median(this.#usual.map((r) => r[name]));
    const known = this.#usual.length >= needed;
    const opening = rates.refused >= least.refused || (known && rates.opened >= Math.max(least.opened, times.opened * usual("opened")));
    const sending = known && rates.framesIn >= least.framesIn && rates.bytesIn >= times.bytesIn * usual("bytesIn");
    this.#opening = next(this.#opening, opening, sample.uptime);
    this.#sending = next(this.#sending, sending, sample.uptime);
    if (!this.#opening && !this.#sending) this.#usual = [...this.#usual, rates].slice(-kept);
    if (opening) this.#tellOpening(this.#opening, rates);
    if (sending) this.#tellSending(this.#sending, rates);
  }

  async #tellOpening(flood, { opened, refused }) {
    const tell = () => report("opening",
      `${rate(opened)} sessions a second are opened${refused ? `, and ${rate(refused)} are refused` : ""}, since ${time(flood.at)}.`, flood.whom,
      "Unless these are users who are coming back, set MaxSessionsPerIP, and block the address in front of the server.");
    tell();
    if (flood.looking) return;
    flood.looking = true;
    const newest = await list({ sort: "age", order: "asc", limit: 200 });
    flood.looking = false;
    flood.whom = newest ? describeHosts(newest, "opened last") : flood.whom;
    if (this.#opening === flood) tell();
  }

  async #tellSending(flood, { framesIn }) {
    flood.rate = framesIn;
    const tell = () => report("sending", `${rate(flood.rate)} frames a second arrive, far more than usual, since ${time(flood.at)}.`, flood.whom,
      "If the session should not send that much, close it below, and limit what a session may send, in OnMessage.");
    tell();
    if (flood.looking) return;
    flood.looking = true;
    let recent = []; // the sessions busy at each of the last looks, by key and generation
    while (this.#sending === flood) {
      const active = await list({ sort: "idle", order: "asc", limit: 50 });
      const endless = await list({ sort: "remaining", order: "desc", limit: 50 });
      if (active && endless) { // a look that failed says nothing about any session
        const now = [...active.filter((s) => s.idle_seconds <= busy), ...endless.filter((s) => s.remaining_seconds === null && s.idle_seconds <= held)];
        recent = [...recent, new Map(now.map((s) => [`${s.key} ${s.generation}`, s]))].slice(-looks);
        if (recent.length === looks) flood.whom = describeBusy(recent);
      }
      if (this.#sending === flood) tell();
      await new Promise((done) => setTimeout(done, recent.length < looks ? lookEvery : 5 * lookEvery));
    }
  }
}

// next returns the flood that goes on or begins, or null if there is none.
function next(flood, seen, uptime) {
  if (seen) return Object.assign(flood ?? { at: new Date(), whom: "" }, { seen: uptime });
  return flood && uptime - flood.seen <= calm ? flood : null;
}

// describeBusy names the sessions that were busy at each of the looks, the least
// idle first. These are the last looks only: on a busy machine, even the session that
// floods may be idle at one of them.
function describeBusy(recent) {
  const idle = (name) => recent.reduce((sum, look) => sum + look.get(name).idle_seconds, 0);
  const always = [...recent[0].keys()].filter((name) => recent.every((look) => look.has(name))).sort((a, b) => idle(a) - idle(b));
  if (always.length === 0) return `No session was busy at each of the last ${count(looks)} looks: many send a part of it.`;
  const some = always.slice(0, 3).map((name) => recent.at(-1).get(name)).map((s) => `session ${quoted(s.id)} at ${quoted(s.address || "no address")}`).join(", ");
  return `${always.length > 1 ? `${plural(always.length, "session")} were` : "One session was"} busy at each of the last ${count(looks)} looks: ${some}.`;
}

// list returns sessions, or null if there is no answer.
async function list(query) {
  try {
    const response = await fetch(`api/sessions?${new URLSearchParams(query)}`, { signal: AbortSignal.timeout(10_000) });
    return response.ok ? (await response.json()).sessions : null;
  } catch {
    return null; // the state of the connection says it
  }
}
