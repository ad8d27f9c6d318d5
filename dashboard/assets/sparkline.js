// A small line chart of a counter's last points. Screen readers skip it: the
// number stands beside it as text.

import { points } from "./series.js";
import { setAttribute, svg } from "./dom.js";

const height = 32;

export class Sparkline {
  #area = svg("path", { class: "area" });
  #line = svg("path", { class: "line" });
  node = svg("svg", { class: "sparkline", viewBox: `0 0 ${points - 1} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, this.#area, this.#line);

  // draw draws the values; null is a gap. The scale begins at zero or, if floating,
  // a little below the least value.
  draw(values, floating) {
    const known = values.filter((v) => v !== null);
    const max = Math.max(0, ...known);
    const min = floating && known.length ? Math.min(...known) : 0;
    const range = Math.max(max - min, max / 20, 1e-9);
    const floor = floating ? Math.max(0, min - range / 2) : 0;
    const y = (v) => (height - 1.5 - ((v - floor) / (max - floor || 1)) * (height - 4)).toFixed(2);
    let line = "";
    let area = "";
    let from = null; // where the current stretch without a gap begins
    const end = (x) => {
      if (from !== null) area += `L${x} ${height}L${from} ${height}Z`;
      from = null;
    };
    values.forEach((v, x) => {
      if (v === null) return end(x - 1);
      line += `${from === null ? "M" : "L"}${x} ${y(v)}`;
      area += `${from === null ? "M" : "L"}${x} ${y(v)}`;
      from ??= x;
    });
    end(values.length - 1);
    setAttribute(this.#line, "d", line);
    setAttribute(this.#area, "d", area);
  }
}
