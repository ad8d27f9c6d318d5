// Reports when a good part of all sessions close within seconds.

import { count, plural, time } from "./format.js";
import { quoted } from "./foreign.js";
import { report } from "./incidents.js";
import { describeHosts } from "./hosts.js";

const span = 3; // seconds within which they close
const least = 100; // sessions
const share = 0.1; // of those that were open
const calm = 10; // seconds after which further closings are another incident

// What to look at, by the most frequent reason.
const advice = {
  EOF: "Their peers hung up: look at the network, at a proxy in between, and at the last release of the clients.",
  Error: "Their connections broke: look at the network and at a proxy in between.",
  Timeout: "Nothing came from them for their idle timeout: see whether clients can still reach this server.",
  Lifetime: "They reached MaxLifetime. Sessions that begin together end together: spread their logins.",
  Slow: "They did not read what they were sent: look at the network, and at what is sent to so many at once.",
  Overload: "All sessions together reached MaxPendingBytes or MaxHandshakes: see who floods the server.",
  Shutdown: "This server shuts down. If you did not stop it, see its log.",
  Panic: "A callback panicked: see the log for its stack.",
  Replaced: "Others took their IDs: see whether clients log in again and again, or on two nodes.",
  LeaseLost: "This node lost its lease: check its connection to the brokers.",
};

export class Closings {
  #samples = []; // the events of the last seconds, the oldest first
  #before = null; // the sample before the incident; null: there is none
  #at = null; // when it began
  #last = 0; // the uptime when it was last seen

  // update is called with each event, and with the sessions that closed last.
  update({ uptime_seconds: uptime, sessions }, latest) {
    const now = { uptime, closed: sessions.closed, open: sessions.open, reasons: sessions.closed_by_reason };
    if (this.#samples.length && uptime < this.#samples.at(-1).uptime) this.#samples = []; // the server has restarted
    this.#samples.push(now);
    while (this.#samples.length > 2 && uptime - this.#samples[1].uptime >= span) this.#samples.shift();
    const first = this.#samples[0];
    const n = now.closed - first.closed;
    if (n >= least && n >= share * (now.open + n)) {
      if (!this.#before || uptime - this.#last > calm) {
        this.#before = this.#samples.findLast((s) => s.closed === first.closed); // just before the first of them
        this.#at = new Date();
      }
      this.#last = uptime;
    }
    if (this.#before && uptime - this.#last <= calm) this.#tell(now, latest);
  }

  #tell(now, latest) {
    const before = this.#before;
    const reasons = Object.entries(now.reasons)
      .map(([reason, n]) => [reason, n - (before.reasons[reason] ?? 0)])
      .filter(([, n]) => n > 0)
      .sort(([, a], [, b]) => b - a);
    const names = reasons.slice(0, 3).map(([reason, n]) => `${quoted(reason || "(none)")} (${count(n)})`).join(", ");
    const closed = now.closed - before.closed;
    report("closings",
      `${plural(closed, "session")} closed within ${Math.max(1, Math.round(this.#last - before.uptime))} s, at ${time(this.#at)}: ${names}. ${count(now.open)} are open.`,
      describeHosts(latest.filter((s) => s.ago_seconds < calm), "closed last"),
      advice[reasons[0]?.[0]] ?? "The program itself closed them for this reason: see its log.");
  }
}
