// The document beside the conversation, scrolled to the passage that an answer stands on.

import * as api from "./api.js";
import { breadcrumb, byId, h, icon } from "./dom.js";
import { webUrl } from "./inline.js";
import { MarkdownView, highlight } from "./markdown.js";

export class Panel {
  constructor() {
    this.element = byId("panel");
    this.app = byId("app");
    this.returnTo = null;
    this.shown = 0; // counts openings: an answer that comes late must not replace a newer one
    this.wide = window.matchMedia("(min-width: 1100px)");
    this.wide.addEventListener("change", () => this.#inert());
  }

  get isOpen() {
    return !this.element.hidden;
  }

  /** `hit` is the passage as the answer saw it: shown where the document has changed since. */
  async open({ passageId, hit, citations }) {
    if (!this.isOpen) this.returnTo = document.activeElement;
    this.shown += 1;
    const mine = this.shown;
    const others = { passageId, hit, citations };
    this.#show(this.#head(hit?.title ?? "Document", hit?.location ?? "", others), h("p", { class: "loading", role: "status" }, "Opening the document…"));
    try {
      const found = await api.openDocument(passageId);
      if (mine === this.shown && this.isOpen) this.#document(found, others);
    } catch (error) {
      if (mine === this.shown && this.isOpen) this.#missing(error, others);
    }
  }

  close() {
    if (!this.isOpen) return;
    this.shown += 1;
    this.element.hidden = true;
    this.element.replaceChildren();
    delete this.app.dataset.panel;
    this.#inert();
    if (this.returnTo?.isConnected) this.returnTo.focus({ preventScroll: true });
    this.returnTo = null;
  }

  #show(head, ...body) {
    const focused = this.element.contains(document.activeElement);
    this.body = h("div", { class: "panel-body", tabindex: "-1" }, body);
    this.element.hidden = false;
    this.app.dataset.panel = "open";
    this.element.replaceChildren(head, this.body);
    this.#inert();
    if (!focused || !this.element.contains(document.activeElement)) head.querySelector("h2").focus({ preventScroll: true });
  }

  #document(found, others) {
    const page = h("div", { class: "prose document" });
    const view = new MarkdownView(page, { shift: 2 });
    view.update(found.text);
    const trail = h("p", { class: "trail" }, icon("file"), breadcrumb(found.title, found.passage.heading_path));
    this.#show(this.#head(found.title, found.passage.location, others), trail, page);
    const marked = found.lines ? highlight(page, found.lines[0], found.lines[1]) : null;
    if (marked) {
      marked.setAttribute("role", "mark");
      marked.setAttribute("aria-label", "The passage that was cited");
      this.body.scrollTop = marked.getBoundingClientRect().top - this.body.getBoundingClientRect().top - 72;
    } else {
      page.before(this.#passage(found.passage, "The passage:"));
    }
  }

  #missing(error, others) {
    const remark = h("p", { class: "remark", role: "alert" }, icon("alert"), error.message);
    const passage = others.hit ? this.#passage(others.hit, "This is what the answer was written from:") : null;
    this.#show(this.#head(others.hit?.title ?? "Document", others.hit?.location ?? "", others), ...[remark, passage].filter(Boolean));
  }

  #passage(passage, caption) {
    const page = h("div", { class: "prose document evidence" });
    new MarkdownView(page, { shift: 2 }).update(passage.text);
    return h("div", { class: "passage-only" }, h("p", { class: "aside" }, caption), page);
  }

  #head(title, location, others) {
    const url = webUrl(location);
    const place = url
      ? h("a", { class: "location", href: url.href, target: "_blank", rel: "noopener noreferrer" }, location, icon("open"))
      : h("code", { class: "location" }, location);
    const close = h("button", { type: "button", class: "icon-button", "aria-label": "Close the document", title: "Close (Esc)",
      on: { click: () => this.close() } }, icon("close"));
    return h("header", { class: "panel-head" },
      h("div", { class: "panel-title" }, h("h2", { tabindex: "-1" }, title), close), place, this.#switcher(others));
  }

  /** The answer's other sources, one click away. */
  #switcher({ citations, passageId }) {
    if (citations.length < 2) return null;
    const buttons = citations.map((citation) =>
      h("button", { type: "button", class: "cite", "aria-label": `Source ${citation.number}: ${citation.title}`, title: citation.title,
        "aria-current": citation.passage_id === passageId ? "true" : null,
        on: { click: () => this.onSwitch(citation.passage_id) } }, String(citation.number)));
    return h("div", { class: "switcher" }, h("span", {}, "Sources"), buttons);
  }

  onSwitch() {}

  /** Where the panel covers the page, the page behind it is out of reach. */
  #inert() {
    const covered = this.isOpen && !this.wide.matches;
    byId("column").inert = covered;
    byId("sidebar").inert = covered;
  }
}
