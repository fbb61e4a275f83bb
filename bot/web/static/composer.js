// The question field: grows with the text, Enter sends, and a question too long to be read whole says so.

import { byId } from "./dom.js";

export class Composer {
  constructor(send) {
    this.field = byId("question");
    this.button = byId("send");
    this.limit = Infinity;
    this.busy = false;
    this.field.addEventListener("input", () => this.#changed());
    this.field.addEventListener("keydown", (event) => {
      // 229 and isComposing: Enter confirms a word of an input method, it does not send.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#submit(send);
    });
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(send);
    });
  }

  set text(value) {
    this.field.value = value;
    this.#changed();
  }

  get text() {
    return this.field.value;
  }

  setBusy(busy) {
    this.busy = busy;
    this.#changed();
  }

  /** Not where it would open a keyboard over the page. */
  focus() {
    if (matchMedia("(pointer: fine)").matches) this.field.focus({ preventScroll: true });
  }

  #submit(send) {
    const text = this.text.trim();
    if (!text || this.busy) return;
    this.text = "";
    send(text);
  }

  #changed() {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
    this.button.disabled = this.busy || !this.text.trim();
    const length = [...this.text.trim()].length;
    const count = (number) => number.toLocaleString("en");
    byId("hint-length").textContent = length > this.limit ? `Only the first ${count(this.limit)} of ${count(length)} characters will be read.` : "";
  }
}
