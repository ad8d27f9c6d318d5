// A small line of a figure's last points, for eyes alone: the figure stands
// beside it as text.

import { points } from "./series.js";
import { set, shape } from "./dom.js";

const height = 32;

export class Sparkline {
  #area = shape("path", { class: "area" });
  #line = shape("path", { class: "line" });
  node = shape("svg", { class: "sparkline", viewBox: `0 0 ${points - 1} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, this.#area, this.#line);

  // draw scales the values from zero up or, if they float, from a little below
  // the least of them.
  draw(values, floats) {
    const known = values.filter((v) => v !== null);
    const most = Math.max(0, ...known);
    const least = floats && known.length ? Math.min(...known) : 0;
    const range = Math.max(most - least, most / 20, 1e-9);
    const floor = floats ? Math.max(0, least - range / 2) : 0;
    const y = (v) => (height - 1.5 - ((v - floor) / (most - floor || 1)) * (height - 4)).toFixed(2);
    let line = "";
    let area = "";
    let from = null;
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
    set(this.#line, "d", line);
    set(this.#area, "d", area);
  }
}
