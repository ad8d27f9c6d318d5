// Animation: not while the page is hidden or paused, not for users who prefer
// reduced motion, and not out of sight.

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

export class Motion {
  #draw;
  #request = 0;
  #inSight = true;
  #paused = false;

  // draw is called for each frame while node may move.
  constructor(node, draw) {
    this.#draw = draw;
    new IntersectionObserver(([entry]) => {
      this.#inSight = entry.isIntersecting;
      this.#update();
    }).observe(node);
    document.addEventListener("visibilitychange", () => this.#update());
    reducedMotion.addEventListener("change", () => this.#update());
    this.#update();
  }

  pause(paused) {
    this.#paused = paused;
    this.#update();
  }

  // #update starts or stops the animation.
  #update() {
    const moving = this.#inSight && !this.#paused && !document.hidden && !reducedMotion.matches;
    if (moving && !this.#request) this.#requestFrame();
    if (!moving && this.#request) {
      cancelAnimationFrame(this.#request);
      this.#request = 0;
    }
  }

  #requestFrame() {
    this.#request = requestAnimationFrame(() => {
      this.#requestFrame();
      this.#draw();
    });
  }
}
