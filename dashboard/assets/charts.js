// Why sessions were closed, and how late callbacks started.

import { byID, element, setAttribute, setText, svg, updateRows } from "./dom.js";
import { foreign, setForeign } from "./foreign.js";
import { count, duration, percentage } from "./format.js";

const maxReasons = 8;
const lastBound = 64; // seconds; greater lateness is counted in one bucket

// showReasons shows how many sessions closed for each reason. Reasons beyond the
// most frequent share a row.
export function showReasons({ closed, closed_by_reason: byReason }) {
  const all = Object.entries(byReason).filter(([, n]) => n > 0).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const shown = all.slice(0, maxReasons);
  const rest = all.slice(maxReasons);
  if (rest.length) shown.push([`${rest.length} more`, rest.reduce((sum, [, n]) => sum + n, 0)]);
  const total = shown.reduce((sum, [, n]) => sum + n, 0);
  const max = Math.max(1, ...shown.map(([, n]) => n));
  setText(byID("reasons-aside"), `${count(closed)} since the start`);
  byID("no-reasons").hidden = shown.length > 0;
  updateRows(byID("reasons"), shown,
    () => element("tr", {}, element("th", { scope: "row" }, element("span", { class: "text" }, foreign()), element("span", { class: "bar", "aria-hidden": "true" })), element("td"), element("td")),
    (row, [reason, n]) => {
      const [text, bar] = row.cells[0].children;
      setForeign(text.firstChild, reason || "(none)");
      bar.style.setProperty("--part", n / max);
      setText(row.cells[1], count(n));
      setText(row.cells[2], percentage(n, total));
    });
}

const height = 230;
const axisHeight = 22;
const quantile = (seconds) => (seconds > lastBound * 1.01 ? `more than ${lastBound} s` : duration(seconds));
const atMost = ({ le_seconds: le }) => (le === null ? `more than ${lastBound} s` : `at most ${duration(le)}`);
const bucketsInDecade = 4 * Math.log2(10);

// Histogram shows how late callbacks started.
export class Histogram {
  #chart = svg("svg", { class: "histogram", role: "img", height });

  constructor() {
    byID("histogram").append(this.#chart);
  }

  update(wheel) {
    byID("lateness").hidden = !wheel;
    if (!wheel) return;
    const late = wheel.lateness;
    setText(byID("lateness-aside"), late.count
      ? `p50 ${quantile(late.p50_seconds)} · p99 ${quantile(late.p99_seconds)} · ${count(late.count)} callbacks`
      : "no callback has started yet");
    setAttribute(this.#chart, "aria-label", late.count
      ? `How late ${count(late.count)} callbacks started: p50 is ${quantile(late.p50_seconds)}, p99 is ${quantile(late.p99_seconds)}. The table below has all figures.`
      : "How late callbacks started: none has yet.");
    this.#draw(late);
    this.#list(late);
  }

  // #draw draws the buckets on a logarithmic axis of whole decades. The bucket without
  // an upper bound stands at its end.
  #draw({ count: all, buckets, p50_seconds: p50, p99_seconds: p99 }) {
    const width = Math.max(200, this.#chart.parentElement.clientWidth);
    setAttribute(this.#chart, "viewBox", `0 0 ${width} ${height}`);
    const bounds = buckets.map((b) => b.le_seconds ?? lastBound * 2 ** 0.25);
    const low = Math.floor(Math.log10(Math.min(0.001, ...bounds) * 0.85));
    const high = Math.ceil(Math.log10(Math.max(0.1, ...bounds)) - 1e-9);
    const x = (seconds) => ((Math.log10(seconds) - low) / (high - low)) * width;
    const max = Math.max(1, ...buckets.map((b) => b.count));
    const columnWidth = width / (high - low) / bucketsInDecade;
    const ground = height - axisHeight;
    const parts = [];
    for (let d = low; d <= high; d++) {
      const at = x(10 ** d);
      const anchor = d === low ? "start" : d === high ? "end" : "middle";
      parts.push(svg("line", { class: "rule", x1: at, x2: at, y1: 0, y2: ground }),
        svg("text", { x: at, y: height - 6, "text-anchor": anchor }, duration(10 ** d)));
    }
    buckets.forEach((b, i) => {
      const columnHeight = Math.max(1.5, (b.count / max) * (ground - 12));
      const right = x(bounds[i]);
      parts.push(svg("rect", { class: "column", x: (right - columnWidth + 0.75).toFixed(2), width: Math.max(1, columnWidth - 1.5).toFixed(2), y: (ground - columnHeight).toFixed(2), height: columnHeight.toFixed(2), rx: 1.5 },
        svg("title", {}, `${atMost(b)}: ${count(b.count)}`)));
    });
    const mark = (name, seconds, left) => {
      const at = Math.min(x(seconds), width);
      parts.push(svg("line", { class: "mark", x1: at, x2: at, y1: 0, y2: ground }),
        svg("text", { class: "mark", x: left ? at - 5 : at + 5, y: 10, "text-anchor": left ? "end" : "start" }, name));
    };
    if (all) {
      mark("p50", p50, true);
      mark("p99", p99, x(p99) > width - 40);
    }
    parts.push(svg("line", { class: "axis", x1: 0, x2: width, y1: ground, y2: ground }));
    this.#chart.replaceChildren(...parts);
  }

  #list({ count: all, buckets }) {
    let sum = 0;
    updateRows(byID("lateness-rows"), buckets,
      () => element("tr", {}, element("th", { scope: "row" }), element("td"), element("td")),
      (row, b) => {
        sum += b.count;
        [atMost(b), count(b.count), percentage(sum, all)].forEach((text, i) => setText(row.cells[i], text));
      });
  }
}
