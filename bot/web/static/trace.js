// "How this was found": one line of steps that fills while the answer is made, and opens to the draft, the passages
// with their scores, and the timings.

import { breadcrumb, duration, h, icon } from "./dom.js";

const STEPS = [
  { stage: "drafting", name: "Draft", doing: "Drafting from memory" },
  { stage: "retrieving", name: "Passages", doing: "Searching the documentation" },
  { stage: "answering", name: "Answer", doing: "Writing the answer" },
];

export class Trace {
  /** `openPassage(hit)` shows a passage in its document. */
  constructor(openPassage) {
    this.openPassage = openPassage;
    this.steps = new Map(STEPS.map((step) => [step.stage, stepView(step)]));
    this.total = h("span", { class: "figure" });
    this.label = h("span", { class: "trace-label" }, this.total, h("span", {}, "How this was found"), icon("chevron"));
    const line = h("span", { class: "steps" }, [...this.steps.values()].map((step) => step.element));
    this.body = h("div", { class: "trace-body" });
    this.element = h("details", { class: "trace" }, h("summary", {}, line, this.label), this.body);
    this.parts = { searched: null, draft: null, passages: null, timings: null };
    this.stage = null;
    this.timer = 0;
  }

  begin(stage) {
    if (this.stage && this.stage !== stage) this.steps.get(this.stage)?.done();
    this.stage = stage;
    const step = this.steps.get(stage);
    for (const [earlier, view] of this.steps) {
      if (earlier === stage) break;
      view.skip();
    }
    step?.start();
    clearInterval(this.timer);
    this.timer = setInterval(() => step?.tick(), 100);
    return STEPS.find((each) => each.stage === stage)?.doing ?? "";
  }

  draft(draft) {
    this.#show("draft", draftView(draft));
  }

  passages(hits, citedAs = new Map()) {
    this.steps.get("retrieving").note(String(hits.length));
    this.#show("passages", hits.length ? passagesView(hits, citedAs, this.openPassage) : null);
  }

  finish(answer, asked) {
    clearInterval(this.timer);
    const times = answer.timings_ms;
    this.steps.get("drafting").finish(times.draft, answer.draft !== null);
    this.steps.get("retrieving").finish(times.retrieve, times.retrieve !== null || answer.hits.length > 0);
    this.steps.get("answering").finish(times.total - (times.draft ?? 0) - (times.retrieve ?? 0), !answer.abstained || times.first_token !== null);
    this.total.textContent = duration(times.total);
    if (answer.draft) this.draft(answer.draft);
    else if (answer.draft_outcome === "late") this.#show("draft", lateView());
    const numbers = new Map(answer.citations.map((citation) => [citation.passage_id, citation.number]));
    this.passages(answer.hits, numbers);
    if (answer.question && answer.question !== asked) this.#show("searched", searchedView(answer.question));
    this.#show("timings", timingsView(answer));
  }

  fail() {
    clearInterval(this.timer);
    this.steps.get(this.stage)?.fail();
  }

  #show(name, element) {
    this.parts[name] = element;
    this.body.replaceChildren(...["timings", "searched", "draft", "passages"].map((part) => this.parts[part]).filter(Boolean));
  }
}

function stepView({ name, doing }) {
  const dot = h("span", { class: "dot" });
  const label = h("span", { class: "step-name" }, name);
  const note = h("span", { class: "step-note" });
  const time = h("span", { class: "step-time" });
  const element = h("span", { class: "step", "data-state": "waiting" }, dot, label, note, time);
  let began = 0;
  const state = (value) => (element.dataset.state = value);
  return {
    element,
    start: () => {
      began = performance.now();
      label.textContent = doing;
      state("active");
    },
    tick: () => {
      const ms = performance.now() - began;
      if (ms > 900) time.textContent = duration(ms);
    },
    note: (text) => (note.textContent = text),
    done: () => {
      label.textContent = name;
      time.textContent = duration(performance.now() - began);
      state("done");
    },
    skip: () => {
      if (element.dataset.state === "waiting") state("skipped");
    },
    fail: () => {
      label.textContent = name;
      state("failed");
    },
    finish: (ms, ran) => {
      label.textContent = name;
      time.textContent = duration(ms);
      state(ran ? "done" : "skipped");
    },
  };
}

function part(title, ...children) {
  return h("section", { class: "part" }, h("h3", {}, title), children);
}

function searchedView(question) {
  return part("Searched for", h("p", { class: "searched" }, question));
}

function draftView(draft) {
  const about = h("p", { class: "aside" }, "From the memory of ", h("code", {}, draft.model),
    ". It only helps to search: the answer is written without it.");
  return part("Draft", h("blockquote", { class: "draft" }, draft.text), about);
}

function lateView() {
  return part("Draft", h("p", { class: "aside" }, "It took too long and was given up: the question searched alone."));
}

function passagesView(hits, citedAs, openPassage) {
  const best = Math.max(...hits.map((hit) => hit.score ?? 0));
  const items = hits.map((hit, index) => passageView(hit, index + 1, (hit.score ?? 0) / best, citedAs.get(hit.passage_id), openPassage));
  return part("Passages", h("ol", { class: "passages" }, items));
}

function passageView(hit, rank, share, cited, openPassage) {
  const bar = h("span", { class: "score-bar" }, h("span", {}));
  bar.firstChild.style.width = `${Math.max(3, share * 100)}%`;
  const score = (hit.score ?? 0).toFixed(4);
  const title = h("button", { type: "button", class: "passage-title", on: { click: () => openPassage(hit) } },
    breadcrumb(hit.title, hit.heading_path));
  const numbers = h("span", { class: "passage-score", title: "Fused score: the reciprocal ranks in the lists below, weighted and added up" },
    bar, h("span", { class: "figure" }, score));
  const chips = hit.found_by.map((found) => chip(found));
  return h("li", { class: "passage", "data-cited": cited !== undefined },
    h("div", { class: "passage-head" }, h("span", { class: "rank" }, String(rank)),
      h("span", { class: "passage-name" }, title, cited === undefined ? null : h("span", { class: "cited", title: `Cited as [${cited}]` }, String(cited))),
      numbers),
    h("div", { class: "passage-why" }, h("span", { class: "chips" }, chips),
      h("span", { class: "similarity", title: "Cosine similarity of passage and question" }, `similarity ${(hit.similarity ?? 0).toFixed(2)}`)));
}

function chip(found) {
  const kind = found.query.startsWith("keyword") ? "keyword" : "dense";
  const measure = found.query === "reranker" ? "score" : kind === "keyword" ? "BM25" : "cosine similarity";
  const weight = found.weight === 0 ? "" : `, weight ${found.weight ?? 1}`;
  const title = `Rank ${found.rank} of ${found.query}: ${measure} ${found.score ?? "unknown"}${weight}`;
  return h("span", { class: `chip chip-${kind}`, title }, found.query, h("b", {}, `#${found.rank}`));
}

function timingsView(answer) {
  const { draft, retrieve, first_token: first, total } = answer.timings_ms;
  const drafted = draft ?? 0;
  const found = drafted + (retrieve ?? 0);
  const bars = [
    ["Draft", "draft", 0, draft],
    ["Retrieve", "retrieve", drafted, retrieve],
    ["First word", "read", found, first === null ? null : first - found],
    ["Write", "write", first ?? 0, first === null ? null : total - first],
  ].filter(([, , , length]) => length !== null && length >= 0);
  const rows = bars.map(([name, kind, from, length]) => bar(name, kind, from, length, total));
  const models = answer.models.length ? h("p", { class: "aside models" }, answer.models.length > 1 ? "Models " : "Model ",
    answer.models.map((model) => h("code", {}, model)), ` · mode ${answer.mode}`) : null;
  return part("Time", h("div", { class: "waterfall" }, rows), models);
}

function bar(name, kind, from, length, total) {
  const fill = h("span", { class: `fill fill-${kind}` });
  const scale = 100 / Math.max(total, 1);
  fill.style.marginInlineStart = `${Math.min(from * scale, 99)}%`;
  fill.style.width = `${Math.max(length * scale, 0.6)}%`;
  return h("div", { class: "wf-row" }, h("span", { class: "wf-name" }, name), h("span", { class: "wf-track" }, fill),
    h("span", { class: "figure" }, duration(length)));
}
