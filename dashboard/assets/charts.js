// Why sessions were closed, and how late callbacks started.

import { byID, element, rows, set, shape, show } from "./dom.js";
import { count, share, span } from "./format.js";

const mostReasons = 8;
const lastBound = 64; // seconds; the lateness beyond is not told apart

// reasons draws the bars. Those beyond the most frequent share one.
export function reasons({ closed, closed_by_reason: byReason }) {
  const all = Object.entries(byReason).filter(([, n]) => n > 0).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const shown = all.slice(0, mostReasons);
  const rest = all.slice(mostReasons);
  if (rest.length) shown.push([`${rest.length} more`, rest.reduce((sum, [, n]) => sum + n, 0)]);
  const total = shown.reduce((sum, [, n]) => sum + n, 0);
  const most = Math.max(1, ...shown.map(([, n]) => n));
  show(byID("reasons-aside"), `${count(closed)} since the start`);
  byID("no-reasons").hidden = shown.length > 0;
  rows(byID("reasons"), shown,
    () => element("tr", {}, element("th", { scope: "row" }, element("span", { class: "text" }), element("span", { class: "bar", "aria-hidden": "true" })), element("td"), element("td")),
    (row, [reason, n]) => {
      const [text, bar] = row.cells[0].children;
      show(text, reason || "(none)");
      set(text, "title", reason);
      bar.style.setProperty("--part", n / most);
      show(row.cells[1], count(n));
      show(row.cells[2], share(n, total));
    });
}

const height = 230;
const foot = 22; // for the axis
const within = (seconds) => (seconds > lastBound * 1.01 ? `more than ${lastBound} s` : span(seconds));
const atMost = ({ le_seconds: le }) => (le === null ? `more than ${lastBound} s` : `at most ${span(le)}`);
const bucketsInDecade = 4 * Math.log2(10);

export class Histogram {
  #svg = shape("svg", { class: "histogram", role: "img", height });

  constructor() {
    byID("histogram").append(this.#svg);
  }

  update(wheel) {
    byID("lateness").hidden = !wheel;
    if (!wheel) return;
    const late = wheel.lateness;
    show(byID("lateness-aside"), late.count
      ? `p50 ${within(late.p50_seconds)} · p99 ${within(late.p99_seconds)} · ${count(late.count)} callbacks`
      : "no callback has started yet");
    set(this.#svg, "aria-label", late.count
      ? `How late ${count(late.count)} callbacks started: p50 is ${within(late.p50_seconds)}, p99 is ${within(late.p99_seconds)}. The table below has all figures.`
      : "How late callbacks started: none has yet.");
    this.#draw(late);
    this.#list(late);
  }

  // #draw lays the buckets on a logarithmic axis of whole decades; what is
  // beyond all bounds stands at its end.
  #draw({ count: all, buckets, p50_seconds: p50, p99_seconds: p99 }) {
    const width = Math.max(200, this.#svg.parentElement.clientWidth);
    set(this.#svg, "viewBox", `0 0 ${width} ${height}`);
    const bounds = buckets.map((b) => b.le_seconds ?? lastBound * 2 ** 0.25);
    const low = Math.floor(Math.log10(Math.min(0.001, ...bounds) * 0.85));
    const high = Math.ceil(Math.log10(Math.max(0.1, ...bounds)) - 1e-9);
    const x = (seconds) => ((Math.log10(seconds) - low) / (high - low)) * width;
    const most = Math.max(1, ...buckets.map((b) => b.count));
    const wide = width / (high - low) / bucketsInDecade;
    const ground = height - foot;
    const parts = [];
    for (let d = low; d <= high; d++) {
      const at = x(10 ** d);
      const anchor = d === low ? "start" : d === high ? "end" : "middle";
      parts.push(shape("line", { class: "rule", x1: at, x2: at, y1: 0, y2: ground }),
        shape("text", { x: at, y: height - 6, "text-anchor": anchor }, span(10 ** d)));
    }
    buckets.forEach((b, i) => {
      const tall = Math.max(1.5, (b.count / most) * (ground - 12));
      const right = x(bounds[i]);
      parts.push(shape("rect", { class: "column", x: (right - wide + 0.75).toFixed(2), width: Math.max(1, wide - 1.5).toFixed(2), y: (ground - tall).toFixed(2), height: tall.toFixed(2), rx: 1.5 },
        shape("title", {}, `${atMost(b)}: ${count(b.count)}`)));
    });
    const mark = (name, seconds, left) => {
      const at = Math.min(x(seconds), width);
      parts.push(shape("line", { class: "mark", x1: at, x2: at, y1: 0, y2: ground }),
        shape("text", { class: "mark", x: left ? at - 5 : at + 5, y: 10, "text-anchor": left ? "end" : "start" }, name));
    };
    if (all) {
      mark("p50", p50, true);
      mark("p99", p99, x(p99) > width - 40);
    }
    parts.push(shape("line", { class: "axis", x1: 0, x2: width, y1: ground, y2: ground }));
    this.#svg.replaceChildren(...parts);
  }

  #list({ count: all, buckets }) {
    let sum = 0;
    rows(byID("lateness-rows"), buckets,
      () => element("tr", {}, element("th", { scope: "row" }), element("td"), element("td")),
      (row, b) => {
        sum += b.count;
        [atMost(b), count(b.count), share(sum, all)].forEach((text, i) => show(row.cells[i], text));
      });
  }
}
