// When things may move: not while the page is hidden or paused, not for who
// asked for less motion, and not out of sight.

const less = matchMedia("(prefers-reduced-motion: reduce)");

export class Motion {
  #frame;
  #request = 0;
  #inSight = true;
  #paused = false;

  // frame is called for each picture while node may move.
  constructor(node, frame) {
    this.#frame = frame;
    new IntersectionObserver(([entry]) => {
      this.#inSight = entry.isIntersecting;
      this.#settle();
    }).observe(node);
    document.addEventListener("visibilitychange", () => this.#settle());
    less.addEventListener("change", () => this.#settle());
    this.#settle();
  }

  pause(paused) {
    this.#paused = paused;
    this.#settle();
  }

  #settle() {
    const moves = this.#inSight && !this.#paused && !document.hidden && !less.matches;
    if (moves && !this.#request) this.#step();
    if (!moves && this.#request) {
      cancelAnimationFrame(this.#request);
      this.#request = 0;
    }
  }

  #step() {
    this.#request = requestAnimationFrame(() => {
      this.#step();
      this.#frame();
    });
  }
}
