// Keeps the end of a growing answer in view, unless the reader has scrolled away.

const NEAR = 80; // pixels from the end that still count as "at the end"

export class Scroller {
  constructor(thread, content, button) {
    this.thread = thread;
    this.button = button;
    this.following = false;
    this.away = false;
    thread.addEventListener("scroll", () => this.#look(), { passive: true });
    thread.addEventListener("wheel", (event) => event.deltaY < 0 && this.#leave(), { passive: true });
    thread.addEventListener("touchmove", () => this.#leave(), { passive: true });
    new ResizeObserver(() => {
      if (this.following && !this.away) this.toEnd();
      else this.#look();
      const gutter = (thread.offsetWidth - thread.clientWidth) / 2;
      document.documentElement.style.setProperty("--gutter", `${gutter}px`);
    }).observe(content);
    button.addEventListener("click", () => {
      this.away = false;
      this.toEnd();
    });
  }

  /** An answer begins: stay with its end. */
  follow() {
    this.following = true;
    this.away = false;
    this.toEnd();
  }

  /** The answer is finished: the view stays where it is. */
  settle() {
    requestAnimationFrame(() => requestAnimationFrame(() => (this.following = false)));
  }

  toEnd() {
    this.thread.scrollTop = this.thread.scrollHeight;
  }

  #distance() {
    return this.thread.scrollHeight - this.thread.scrollTop - this.thread.clientHeight;
  }

  #leave() {
    if (this.#distance() > 0) this.away = true;
  }

  #look() {
    const far = this.#distance() > NEAR;
    if (!far) this.away = false;
    this.button.hidden = !far;
  }
}
