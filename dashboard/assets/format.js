// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

// count is exact below a million and compact from there.
export function count(n) {
  return n < 1e6 ? whole.format(n) : compact.format(n);
}

// plural is a count and what it counts: "1 session", "2 sessions".
export function plural(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

export function rate(n) {
  if (n >= 1e5) return compact.format(n);
  return n < 10 ? tenths.format(n) : whole.format(n);
}

export function bytes(n) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (n < 999.5) return `${n < 10 && unit !== "B" ? tenths.format(n) : whole.format(n)} ${unit}`;
    n /= 1000;
  }
  return `${compact.format(n)} TB`;
}

// duration has two or three significant digits: "10 ms", "41 s", "2.9 min",
// "8.5 years".
export function duration(seconds) {
  const units = [["µs", 1e-6, 1e-3], ["ms", 1e-3, 1], ["s", 1, 120], ["min", 60, 7200], ["h", 3600, 172800], ["days", 86400, 63072000], ["years", 31536000, Infinity]];
  const [unit, size] = units.find(([, , end]) => seconds < end);
  const n = seconds / size;
  return `${n < 1e4 ? Number(n.toPrecision(n < 100 ? 2 : 3)) : compact.format(n)} ${unit}`;
}

// clock is a duration that is counted on, in its two greatest units: "9 s",
// "2 min 05 s".
export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  const two = (n) => String(n).padStart(2, "0");
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${whole.format(Math.floor(s / 86400))} d ${two(Math.floor((s % 86400) / 3600))} h`;
}

export function percentage(part, total) {
  if (!total) return "0%";
  const percent = (100 * part) / total;
  if (percent > 0 && percent < 0.1) return "< 0.1%";
  return `${percent < 10 ? tenths.format(percent) : whole.format(percent)}%`;
}

// dateTime is a date and a time of the viewer's zone, which it names.
export function dateTime(date) {
  return new Date(date).toLocaleString([], { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "short" });
}

// time is a time of day, likewise.
export function time(date) {
  return date.toLocaleTimeString([], { timeZoneName: "short" });
}
