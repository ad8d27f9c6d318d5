// What a sparkline shows: the last points of a figure, in a ring of fixed size.

export const points = 120;

export class Series {
  #ring = new Array(points).fill(null);
  #next = 0;

  // add appends a value; null is a gap.
  add(value) {
    this.#ring[this.#next] = value;
    this.#next = (this.#next + 1) % points;
  }

  clear() {
    this.#ring.fill(null);
  }

  // values has the oldest first.
  values() {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
  }
}

// totals takes the figures of one event that count from the server's start.
function totals({ sessions, traffic, wheel }) {
  const refused = Object.values(sessions.refused).reduce((sum, n) => sum + n, 0);
  return {
    opened: sessions.registered,
    closed: sessions.closed,
    refused,
    ...(traffic && { bytesIn: traffic.bytes_in, bytesOut: traffic.bytes_out, framesIn: traffic.frames_in, framesOut: traffic.frames_out }),
    ...(wheel && { fired: wheel.fired }),
  };
}

// Rates turns totals into what happens each second.
export class Rates {
  #before = null;

  // next reports the rates since the event before, {} for a first one; gap says
  // that events are missing between, and fresh that the server has started anew.
  next(stats) {
    const now = { at: Date.parse(stats.time) / 1000, uptime: stats.uptime_seconds, totals: totals(stats) };
    const before = this.#before;
    this.#before = now;
    if (!before) return { rates: {}, gap: false, fresh: false };
    // Figures are taken shard by shard, so only those that count one thing are compared.
    const fell = now.uptime < before.uptime || ["opened", "refused", "bytesIn", "framesIn"].some((name) => now.totals[name] < before.totals[name]);
    if (fell) return { rates: {}, gap: false, fresh: true };
    const passed = now.uptime - before.uptime;
    if (passed <= 0) return { rates: {}, gap: false, fresh: false };
    const rates = {};
    for (const [name, total] of Object.entries(now.totals)) {
      if (name in before.totals) rates[name] = Math.max(0, total - before.totals[name]) / passed;
    }
    return { rates, gap: passed > 3 * stats.interval_seconds + 1, fresh: false };
  }
}
