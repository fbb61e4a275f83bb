// Markdown to DOM, for answers (streamed, with citations) and documents (with lines, to highlight a passage).

import { parseBlocks } from "./blocks.js";
import { codeBlock } from "./code.js";
import { h } from "./dom.js";
import { inline } from "./inline.js";

/** Renders a growing text into `container`; blocks that did not change keep their elements (and the selection in them). */
export class MarkdownView {
  constructor(container, { cite = null, shift = 0 } = {}) {
    this.container = container;
    this.cite = cite;
    this.shift = shift; // added to heading levels, so that an answer's "#" is below the page's own headings
    this.keys = [];
  }

  update(text) {
    const nodes = parseBlocks(text);
    const keys = nodes.map((node) => JSON.stringify(node));
    nodes.forEach((node, index) => {
      if (this.keys[index] === keys[index]) return;
      const element = renderBlock(node, this.cite, this.shift);
      const old = this.container.children[index];
      if (old) old.replaceWith(element);
      else this.container.append(element);
    });
    while (this.container.children.length > nodes.length) this.container.lastElementChild.remove();
    this.keys = keys;
  }

  /** Change what citations become, for all blocks. */
  recite(cite, text) {
    this.cite = cite;
    this.keys = [];
    this.update(text);
  }
}

function renderBlock(node, cite, shift) {
  const element = build(node, cite, shift);
  element.dataset.from = node.from;
  element.dataset.to = node.to;
  return element;
}

function build(node, cite, shift) {
  switch (node.type) {
    case "heading":
      return h(`h${Math.min(node.level + shift, 6)}`, {}, inline(node.text, cite));
    case "code":
      return codeBlock(node.text, node.language.toLowerCase());
    case "rule":
      return h("hr");
    case "quote":
      return h("blockquote", {}, node.children.map((child) => renderBlock(child, cite, shift)));
    case "list":
      return list(node, cite, shift);
    case "table":
      return table(node, cite);
    default:
      return h("p", {}, inline(node.text, cite));
  }
}

function list(node, cite, shift) {
  const items = node.items.map((item) => {
    const element = h("li", { "data-from": item.from, "data-to": item.to });
    for (const child of item.children) {
      if (child.type === "paragraph" && !node.loose) element.append(...taskOrText(child.text, cite));
      else element.append(renderBlock(child, cite, shift));
    }
    return element;
  });
  return h(node.ordered ? "ol" : "ul", { start: node.ordered && node.start !== 1 ? node.start : null }, items);
}

function taskOrText(text, cite) {
  const task = /^\[([ xX])\]\s+/.exec(text);
  if (!task) return inline(text, cite);
  const done = task[1] !== " ";
  const box = h("span", { class: "task", role: "img", "aria-label": done ? "done" : "open" }, done ? "☑ " : "☐ ");
  return [box, ...inline(text.slice(task[0].length), cite)];
}

function table(node, cite) {
  const cell = (tag, text, column) => {
    const align = node.align[column];
    return h(tag, { class: align ? `align-${align}` : null }, inline(text ?? "", cite));
  };
  const head = h("tr", {}, node.head.map((text, column) => cell("th", text, column)));
  const rows = node.rows.map((row, index) => {
    const line = node.from + 2 + index;
    return h("tr", { "data-from": line, "data-to": line }, node.head.map((_, column) => cell("td", row[column], column)));
  });
  return h("div", { class: "table", tabindex: "0", role: "group", "aria-label": "Table" },
    h("table", {}, h("thead", {}, head), h("tbody", {}, rows)));
}

/** Mark what came from lines `first` to `last` of the text; returns the first marked element or null. */
export function highlight(container, first, last) {
  const inside = (element) => Number(element.dataset.from) >= first && Number(element.dataset.to) <= last;
  const touches = (element) => Number(element.dataset.from) <= last && Number(element.dataset.to) >= first;
  let run = null;
  let marked = null;
  for (const element of [...container.children]) {
    const pieces = [...element.querySelectorAll("[data-from]")];
    if (touches(element) && (inside(element) || !pieces.length)) {
      if (!run) {
        run = h("div", { class: "evidence" });
        element.before(run);
        marked ??= run;
      }
      run.append(element);
      continue;
    }
    run = null;
    if (!touches(element)) continue;
    const whole = pieces.filter((piece) => inside(piece) && !piece.parentElement.closest(".evidence-piece"));
    for (const piece of whole.length ? whole : [element]) {
      piece.classList.add("evidence-piece");
      marked ??= piece;
    }
  }
  return marked;
}
