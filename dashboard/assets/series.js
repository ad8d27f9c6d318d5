// The counters over time: rates between two events, and points for sparklines at
// regular intervals.

export const points = 150; // of a sparkline; the server's history has as many

const defaultInterval = 2; // seconds between two points, for a server without a history

// Series holds the last points of a sparkline.
export class Series {
  #ring = new Array(points).fill(null);
  #next = 0;

  // add appends a value; null makes a gap.
  add(value) {
    this.#ring[this.#next] = value;
    this.#next = (this.#next + 1) % points;
  }

  clear() {
    this.#ring.fill(null);
  }

  // values returns the values, the oldest first.
  values() {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
  }
}

// sampleOf returns the counters of an event.
export function sampleOf({ uptime_seconds: uptime, sessions, traffic, wheel }) {
  return {
    uptime,
    open: sessions.open,
    opened: sessions.registered,
    closed: sessions.closed,
    refused: Object.values(sessions.refused).reduce((sum, n) => sum + n, 0),
    bytesIn: traffic?.bytes_in ?? 0,
    bytesOut: traffic?.bytes_out ?? 0,
    framesIn: traffic?.frames_in ?? 0,
    framesOut: traffic?.frames_out ?? 0,
    pending: wheel?.pending ?? 0,
    callbacks: wheel ? wheel.running + wheel.waiting : 0,
  };
}

// samplesOf returns the samples of the server's history, the oldest first. They
// have no frames.
export function samplesOf(history) {
  return history.uptime_seconds.map((uptime, i) => ({
    uptime,
    open: history.open[i],
    opened: history.registered[i],
    closed: history.closed[i],
    refused: history.refused[i],
    bytesIn: history.bytes_in[i],
    bytesOut: history.bytes_out[i],
    pending: history.pending[i],
    callbacks: history.callbacks[i],
  }));
}

const totals = ["opened", "closed", "refused", "bytesIn", "bytesOut", "framesIn", "framesOut"]; // since the server's start

// ratesBetween returns what happened per second between two samples.
export function ratesBetween(earlier, later) {
  const seconds = later.uptime - earlier.uptime;
  const rates = {};
  for (const name of totals) {
    if (name in earlier && name in later) rates[name] = Math.max(0, later[name] - earlier[name]) / seconds;
  }
  return rates;
}

// restarted reports whether the server started again between two samples. Its
// counters are read one after the other, so each is compared with itself only.
export function restarted(earlier, later) {
  return later.uptime < earlier.uptime || ["opened", "refused", "bytesIn"].some((name) => later[name] < earlier[name]);
}

// Timeline turns samples, of the history and of events, into points at regular
// intervals.
export class Timeline {
  #interval = defaultInterval;
  #last = null; // the sample of the last point

  // reset forgets the last point. interval is the time between two points; 0 means
  // the default.
  reset(interval) {
    this.#interval = interval || defaultInterval;
    this.#last = null;
  }

  // add calls append(point) for each point that is due at a sample. A point is null
  // where samples are missing. eventInterval is the time between two samples.
  add(sample, eventInterval, append) {
    const last = this.#last;
    if (!last) {
      this.#last = sample;
      return;
    }
    const passed = sample.uptime - last.uptime;
    const due = Math.min(points, Math.floor(passed / this.#interval + 0.25)); // an event may come a little early
    if (due < 1) return;
    const missing = passed > 3 * Math.max(eventInterval, this.#interval) + 1;
    const point = { ...ratesBetween(last, sample), open: sample.open, pending: sample.pending, callbacks: sample.callbacks };
    for (let i = 1; i <= due; i++) append(missing && i < due ? null : point);
    this.#last = sample;
  }
}
