// Code blocks: a light, language-agnostic colouring, and a button that copies.

import { copyButton, h } from "./dom.js";

const WORDS = new Set(
  ("and as assert async await break case catch class const continue def default defer del do elif else enum except export "
    + "extends false False final finally fn for from func function go if impl import in interface is lambda let loop match "
    + "mod mut new nil None nonlocal not null or package pass private protected public pub raise return self static struct "
    + "switch this throw true True try type undefined use var void while with yield echo export then fi done esac SELECT "
    + "FROM WHERE INSERT UPDATE DELETE JOIN GROUP ORDER BY LIMIT AND OR NOT NULL AS").split(" "),
);

const TOKEN = /("""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|(\/\/[^\n]*|\/\*[\s\S]*?\*\/|(?<![\w&"'$])#[^\n]*)|(\b\d[\w.]*\b)|([A-Za-z_$][\w$]*)/g;
const PLAIN = new Set(["", "text", "txt", "console", "output", "markdown", "md"]);
const MAX_COLOURED = 20_000; // characters

export function codeBlock(text, language) {
  const code = h("code", {}, PLAIN.has(language) || text.length > MAX_COLOURED ? text : coloured(text));
  const head = h("div", { class: "code-head" }, h("span", {}, language || "text"), copyButton("Copy", () => text));
  return h("div", { class: "code" }, head, h("pre", { tabindex: "0" }, code));
}

function coloured(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    const kind = kindOf(match);
    if (!kind) continue;
    nodes.push(text.slice(at, match.index), h("span", { class: `t-${kind}` }, match[0]));
    at = match.index + match[0].length;
  }
  return [...nodes, text.slice(at)].filter((node) => node !== "");
}

function kindOf([, string, comment, number, word]) {
  if (string) return "string";
  if (comment) return "comment";
  if (number) return "number";
  return WORDS.has(word) ? "word" : null;
}
