// Markdown within a block: text to DOM nodes. Unclosed marks stay text; links lead to http(s) only.

import { h } from "./dom.js";

const ESCAPABLE = "\\`*_{}[]()#+-.!|<>~\"'$%&,/:;=?@^";
const LINK = /^(!?)\[((?:[^[\]\\]|\\.|\[[^[\]]*\])*)\]\(\s*<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/;
const CITATION = /^\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]/;
const AUTOLINK = /^<(https?:\/\/[^\s<>]+)>/;
const BARE = /^https?:\/\/[^\s<>"'`]+/;
const PAIRS = [
  ["***", "both"],
  ["**", "strong"],
  ["__", "strong"],
  ["~~", "del"],
  ["*", "em"],
  ["_", "em"],
];
const MAX_DEPTH = 8;

/**
 * Render inline Markdown. `cite(number)` returns the node for a citation, or null for a number that cites nothing;
 * without it `[1]` is text.
 */
export function inline(text, cite = null) {
  return new Scanner(text, cite, 0).run();
}

class Scanner {
  constructor(text, cite, depth) {
    this.text = text;
    this.cite = cite;
    this.depth = depth;
    this.at = 0;
    this.plain = "";
    this.nodes = [];
    this.unclosed = new Set(); // delimiters known to have no end: keeps a line full of asterisks linear
  }

  run() {
    while (this.at < this.text.length) {
      if (!this.special()) {
        this.plain += this.text[this.at];
        this.at += 1;
      }
    }
    this.flush();
    return this.nodes;
  }

  special() {
    switch (this.text[this.at]) {
      case "\\":
        return this.escape();
      case "`":
        return this.code();
      case "!":
      case "[":
        return this.link() || this.citation();
      case "<":
        return this.autolink();
      case "h":
        return this.bare();
      case "\n":
        return this.lineBreak();
      case "*":
      case "_":
      case "~":
        return this.emphasis();
      default:
        return false;
    }
  }

  emit(node, length) {
    this.flush();
    this.nodes.push(node);
    this.at += length;
    return true;
  }

  flush() {
    if (this.plain) this.nodes.push(document.createTextNode(this.plain));
    this.plain = "";
  }

  rest(limit = 2000) {
    return this.text.slice(this.at, this.at + limit);
  }

  inner(text) {
    if (this.depth >= MAX_DEPTH) return [document.createTextNode(text)];
    return new Scanner(text, this.cite, this.depth + 1).run();
  }

  escape() {
    const next = this.text[this.at + 1];
    if (next === "\n") return this.emit(h("br"), 2);
    if (!next || !ESCAPABLE.includes(next)) return false;
    this.plain += next;
    this.at += 2;
    return true;
  }

  code() {
    const ticks = /^`+/.exec(this.rest())[0];
    if (this.unclosed.has(ticks)) return this.literal(ticks);
    const closing = new RegExp(`(?<!\`)${ticks}(?!\`)`, "g");
    closing.lastIndex = this.at + ticks.length;
    const end = closing.exec(this.text);
    if (!end) {
      this.unclosed.add(ticks);
      return this.literal(ticks);
    }
    let body = this.text.slice(this.at + ticks.length, end.index).replaceAll("\n", " ");
    if (/^ .*[^ ].* $/.test(body)) body = body.slice(1, -1);
    return this.emit(h("code", {}, body), end.index + ticks.length - this.at);
  }

  literal(text) {
    this.plain += text;
    this.at += text.length;
    return true;
  }

  link() {
    const match = LINK.exec(this.rest());
    if (!match) return false;
    const [whole, image, label, target] = match;
    if (image) return this.emit(h("span", { class: "image-stub" }, label ? `Image: ${label}` : "Image"), whole.length);
    return this.emit(anchor(target, this.inner(label), label), whole.length);
  }

  citation() {
    const match = this.cite && CITATION.exec(this.rest(40));
    if (!match) return false;
    const nodes = match[1].split(",").map((number) => this.cite(Number(number)));
    if (nodes.some((node) => !node)) return false;
    const group = nodes.length > 1 ? h("span", { class: "cites" }, nodes) : nodes[0];
    return this.emit(group, match[0].length);
  }

  autolink() {
    const match = AUTOLINK.exec(this.rest());
    if (match) return this.emit(anchor(match[1], [match[1]], match[1]), match[0].length);
    const br = /^<br\s*\/?>/i.exec(this.rest(8));
    return br ? this.emit(h("br"), br[0].length) : false;
  }

  bare() {
    if (/\w/.test(this.text[this.at - 1] ?? "")) return false;
    const match = BARE.exec(this.rest());
    if (!match) return false;
    let url = match[0].replace(/[.,;:!?*_~\]]+$/, "");
    if (url.endsWith(")") && !url.includes("(")) url = url.slice(0, -1);
    return this.emit(anchor(url, [url], url), url.length);
  }

  lineBreak() {
    if (!this.plain.endsWith("  ")) return false;
    this.plain = this.plain.trimEnd();
    return this.emit(h("br"), 1);
  }

  emphasis() {
    for (const [mark, kind] of PAIRS) {
      if (this.text.startsWith(mark, this.at) && !this.unclosed.has(mark)) {
        const end = this.closing(mark);
        if (end > 0) {
          const body = this.inner(this.text.slice(this.at + mark.length, end));
          const node = kind === "both" ? h("em", {}, h("strong", {}, body)) : h(kind, {}, body);
          return this.emit(node, end + mark.length - this.at);
        }
      }
    }
    return this.literal(/^([*_~])\1*/.exec(this.rest())[0]);
  }

  closing(mark) {
    const from = this.at + mark.length;
    const word = mark[0] === "_" && /\w/.test(this.text[this.at - 1] ?? "");
    if (word || /\s|^$/.test(this.text[from] ?? "")) return -1;
    let end = this.text.indexOf(mark, from + 1);
    while (end > 0) {
      const doubled = mark.length === 1 && (this.text[end + 1] === mark || this.text[end - 1] === mark);
      const inWord = mark[0] === "_" && /\w/.test(this.text[end + mark.length] ?? "");
      if (!doubled && !inWord && !/\s/.test(this.text[end - 1])) return end;
      end = this.text.indexOf(mark, end + (doubled ? 2 : 1));
    }
    this.unclosed.add(mark);
    return -1;
  }
}

/** A link, or only its words where it would not lead to a web page. */
function anchor(target, children, label) {
  const url = webUrl(target);
  if (!url) return h("span", { class: "dead-link", title: target || null }, children);
  const props = { href: url.href, target: "_blank", rel: "noopener noreferrer", title: url.href };
  // A text that names another address than the link's is not shown: the words must not lie about where they lead.
  return h("a", props, pretends(label, url) ? [url.href] : children);
}

export function webUrl(target) {
  try {
    const url = new URL(target);
    return (url.protocol === "https:" || url.protocol === "http:") && !url.username ? url : null;
  } catch {
    return null;
  }
}

function pretends(label, url) {
  const named = /(?:https?:\/\/|www\.)([^\s/?#]+)|^\s*([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?:[/?#:]|\s*$)/i.exec(label);
  if (!named) return false;
  const host = (named[1] ?? named[2]).toLowerCase().replace(/^www\./, "").split(":")[0];
  const real = url.hostname.toLowerCase().replace(/^www\./, "");
  return host !== real && !/\.(md|html?|py|js|ya?ml|json|txt|rst|pdf)$/.test(host);
}
