// One question and what became of it.

import { announce, breadcrumb, copyButton, h, icon } from "./dom.js";
import { MarkdownView } from "./markdown.js";
import { Trace } from "./trace.js";

const CUT = /\[[\d,\s]*$|\n\|?\s*$/; // a citation marker or table row that has only begun to arrive

export class ExchangeView {
  /**
   * `actions`: openSource({passageId, hits, citations}), vote(replyId, value) -> promise, retry().
   */
  constructor(text, actions) {
    this.asked = text;
    this.actions = actions;
    this.hits = [];
    this.citations = [];
    this.trace = new Trace((hit) => this.#open(hit.passage_id));
    this.text = "";
    this.frame = 0;
    this.status = h("p", { class: "status", hidden: true });
    this.prose = h("div", { class: "prose" });
    this.view = new MarkdownView(this.prose, { cite: pendingCitation, shift: 2 });
    this.foot = h("div", { class: "foot" });
    const answer = h("div", { class: "answer", "aria-label": "Answer", role: "group" }, this.trace.element, this.status, this.prose, this.foot);
    const question = h("div", { class: "question" }, h("h2", { class: "bubble", dir: "auto" }, text));
    this.element = h("article", { class: "exchange", "data-state": "waiting" }, question, answer);
  }

  setStage(stage) {
    this.#state("running");
    announce(this.trace.begin(stage));
    this.status.hidden = true;
  }

  setDraft(draft) {
    this.trace.draft(draft);
  }

  setHits(hits) {
    this.hits = hits;
    this.trace.passages(hits);
    const names = [...new Set(hits.map((hit) => breadcrumb(hit.title, hit.heading_path)))];
    this.foot.replaceChildren(h("p", { class: "reading" }, "Reading ", names.map((name) => h("span", {}, name))));
  }

  addText({ text, replace }) {
    this.text = replace ? text : this.text + text;
    this.#state("streaming");
    this.foot.replaceChildren();
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#paint());
  }

  /** A line about the connection, gone with the next news. */
  setStatus(text) {
    this.status.textContent = text;
    this.status.hidden = !text;
  }

  finish(reply) {
    cancelAnimationFrame(this.frame);
    this.reply = reply;
    this.hits = reply.hits;
    this.citations = reply.citations;
    this.text = reply.text;
    this.setStatus("");
    this.trace.finish(reply, this.asked);
    this.view.recite((number) => this.#citation(number), reply.text);
    this.#state(reply.abstained ? "abstained" : "answered");
    const notice = reply.notice ? h("p", { class: "remark" }, reply.notice) : null;
    const silent = reply.abstained ? h("p", { class: "remark" }, icon("search"), "Not in the documentation") : null;
    this.prose.before(...[notice, silent].filter(Boolean));
    this.foot.replaceChildren(...[this.#sources(), this.#verdict()].filter(Boolean));
  }

  fail({ text, error_id: errorId }, { again = true } = {}) {
    cancelAnimationFrame(this.frame);
    this.setStatus("");
    this.trace.fail();
    this.#state("failed");
    const retry = h("button", { type: "button", class: "quiet", on: { click: () => this.actions.retry() } }, icon("retry"), "Ask again");
    const id = errorId ? h("p", { class: "error-id" }, "Error id ", h("code", {}, errorId)) : null;
    const box = h("div", { class: "apology", role: "alert" }, icon("alert"), h("div", {}, h("p", {}, text), id, again ? retry : null));
    this.foot.replaceChildren(box);
  }

  #state(value) {
    this.element.dataset.state = value;
  }

  #paint() {
    this.frame = 0;
    this.view.update(this.text.replace(CUT, ""));
  }

  #citation(number) {
    const citation = this.citations.find((each) => each.number === number);
    if (!citation) return null;
    const hit = this.hits.find((each) => each.passage_id === citation.passage_id);
    const name = hit ? breadcrumb(hit.title, hit.heading_path) : citation.title;
    return h("button", { type: "button", class: "cite", title: name, "aria-label": `Source ${number}: ${name}`,
      on: { click: () => this.#open(citation.passage_id) } }, String(number));
  }

  #sources() {
    if (!this.citations.length) return null;
    const items = this.citations.map((citation) => {
      const hit = this.hits.find((each) => each.passage_id === citation.passage_id);
      const name = hit ? breadcrumb(hit.title, hit.heading_path) : citation.title;
      return h("li", {}, h("button", { type: "button", class: "source", title: citation.location,
        on: { click: () => this.#open(citation.passage_id) } }, h("span", { class: "cite-number" }, String(citation.number)), h("span", { class: "source-name" }, name)));
    });
    return h("ul", { class: "sources", "aria-label": "Sources" }, items);
  }

  #verdict() {
    let vote = this.reply.vote ?? null;
    let busy = Promise.resolve();
    const said = h("span", { class: "thanks", role: "status" });
    const show = () => {
      for (const [value, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(vote === value));
    };
    const press = (value) => {
      const before = vote;
      vote = vote === value ? null : value;
      const wanted = vote;
      said.textContent = "";
      show();
      busy = busy.then(() => this.actions.vote(this.reply.reply_id, wanted)).then(
        () => (said.textContent = wanted ? "Thank you, noted." : "Taken back."),
        (error) => {
          vote = before;
          said.textContent = error.message;
          show();
        },
      );
    };
    const thumb = (value, label) => h("button", { type: "button", class: `thumb thumb-${value}`, "aria-label": label, title: label,
      "aria-pressed": "false", on: { click: () => press(value) } }, icon("thumb"));
    const buttons = { up: thumb("up", "Good answer"), down: thumb("down", "Bad answer") };
    show();
    return h("div", { class: "verdict" }, buttons.up, buttons.down, copyButton("Copy", () => this.#asText()), said);
  }

  #asText() {
    const sources = this.citations.map(({ number, title, location }) => `[${number}] ${title}: ${location}`);
    return sources.length ? `${this.reply.text}\n\n${sources.join("\n")}` : this.reply.text;
  }

  #open(passageId) {
    this.actions.openSource({ passageId, hits: this.hits, citations: this.citations });
  }
}

// While the answer streams its numbers may still change: they are shown, and lead somewhere once it is finished.
function pendingCitation(number) {
  return h("span", { class: "cite pending" }, String(number));
}
