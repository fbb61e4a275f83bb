// Markdown blocks: text to a list of nodes, each with the lines it came from (`from`, `to`: 0-based, inclusive).

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`{]*)/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(?:\s+|$)/;
const QUOTE = /^ {0,3}> ?/;
const DELIMITERS = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const UNDERLINE = /^ {0,3}(=+|-+)\s*$/;
const MAX_DEPTH = 12; // deeper nesting is shown as text: nobody writes it, and recursion has a price

export function parseBlocks(text) {
  return parse(text.replace(/\r\n?/g, "\n").split("\n"), 0, 0);
}

function parse(lines, base, depth) {
  const nodes = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const node = block(lines, at, base, depth);
    if (node.type !== "comment") nodes.push({ ...node, from: base + at, to: base + node.next - 1 });
    at = node.next;
  }
  return nodes;
}

function block(lines, at, base, depth) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) return { type: "heading", level: heading[1].length, text: heading[2] ?? "", next: at + 1 };
  if (RULE.test(line)) return { type: "rule", next: at + 1 };
  if (line.trimStart().startsWith("<!--")) return comment(lines, at);
  if (isTable(lines, at)) return table(lines, at);
  if (depth < MAX_DEPTH && QUOTE.test(line)) return quote(lines, at, base, depth);
  if (depth < MAX_DEPTH && ITEM.test(line)) return list(lines, at, base, depth);
  if (/^(?: {4}|\t)/.test(line)) return indented(lines, at);
  return paragraph(lines, at);
}

function fenced(lines, at, [, fence, language]) {
  const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}\\s*$`);
  const indent = lines[at].length - lines[at].trimStart().length;
  const body = [];
  let next = at + 1;
  while (next < lines.length && !closing.test(lines[next])) {
    const line = lines[next];
    body.push(line.slice(Math.min(indent, line.length - line.trimStart().length)));
    next += 1;
  }
  if (next === lines.length && body.at(-1) === "") body.pop(); // still being written
  return { type: "code", language, text: body.join("\n"), next: Math.min(next + 1, lines.length) };
}

function indented(lines, at) {
  let next = at;
  while (next < lines.length && (/^(?: {4}|\t)/.test(lines[next]) || !lines[next].trim())) next += 1;
  while (!lines[next - 1].trim()) next -= 1;
  const text = lines.slice(at, next).map((line) => line.replace(/^(?: {4}|\t)/, "")).join("\n");
  return { type: "code", language: "", text, next };
}

function comment(lines, at) {
  let next = at;
  while (next < lines.length && !lines[next].includes("-->")) next += 1;
  return { type: "comment", next: Math.min(next + 1, lines.length) };
}

function isTable(lines, at) {
  const below = lines[at + 1];
  return below !== undefined && lines[at].includes("|") && below.includes("-") && DELIMITERS.test(below)
    && cells(below).length === cells(lines[at]).length;
}

function table(lines, at) {
  const align = cells(lines[at + 1]).map((cell) => {
    if (cell.endsWith(":")) return cell.startsWith(":") ? "center" : "right";
    return cell.startsWith(":") ? "left" : null;
  });
  const rows = [];
  let next = at + 2;
  while (next < lines.length && lines[next].trim() && lines[next].includes("|")) {
    rows.push(cells(lines[next]));
    next += 1;
  }
  return { type: "table", align, head: cells(lines[at]), rows, next };
}

/** Cells of a table row; `\|` and pipes in code belong to the cell. */
function cells(line) {
  const row = [];
  let cell = "";
  let code = false;
  const text = line.trim().replace(/^\|/, "");
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === "\\" && text[i + 1] === "|") {
      cell += "|";
      i += 1;
    } else if (text[i] === "|" && !(code && text.indexOf("`", i) > 0)) {
      row.push(cell.trim());
      cell = "";
      code = false;
    } else {
      if (text[i] === "`") code = !code;
      cell += text[i];
    }
  }
  return cell.trim() ? [...row, cell.trim()] : row;
}

function quote(lines, at, base, depth) {
  let next = at;
  const inner = [];
  while (next < lines.length && lines[next].trim() && (QUOTE.test(lines[next]) || !startsBlock(lines, next))) {
    inner.push(lines[next].replace(QUOTE, ""));
    next += 1;
  }
  return { type: "quote", children: parse(inner, base + at, depth + 1), next };
}

function list(lines, at, base, depth) {
  const ordered = /\d/.test(ITEM.exec(lines[at])[2]);
  const indent = ITEM.exec(lines[at])[1].length;
  const items = [];
  let next = at;
  let loose = false;
  while (next < lines.length) {
    const marker = ITEM.exec(lines[next]);
    if (!marker || RULE.test(lines[next]) || /\d/.test(marker[2]) !== ordered || marker[1].length > indent + 1) break;
    if (marker[1].length < indent) break;
    const end = itemEnd(lines, next, marker[0].length);
    const body = lines.slice(next, end).map((line, index) => {
      const width = Math.min(marker[0].length, index ? line.length - line.trimStart().length : line.length);
      return line.slice(width);
    });
    items.push({ children: parse(body, base + next, depth + 1), from: base + next, to: base + end - 1 });
    next = end;
    const blank = next;
    while (next < lines.length && !lines[next].trim()) next += 1;
    if (next > blank && next < lines.length && ITEM.test(lines[next])) loose = true;
    if (next < lines.length && !ITEM.test(lines[next])) next = blank;
    if (next === blank && next < lines.length && !ITEM.test(lines[next])) break;
  }
  const start = ordered ? Number.parseInt(ITEM.exec(lines[at])[2], 10) : null;
  return { type: "list", ordered, start, items, loose, next };
}

/** The line after the last one that belongs to the item at `at`. */
function itemEnd(lines, at, width) {
  let end = at + 1;
  while (end < lines.length) {
    const line = lines[end];
    if (!line.trim()) {
      let below = end + 1;
      while (below < lines.length && !lines[below].trim()) below += 1;
      if (below === lines.length || indentOf(lines[below]) < Math.min(width, 2)) break;
      end = below;
    } else if (indentOf(line) < Math.min(width, 2) && (ITEM.test(line) || !lines[end - 1].trim() || startsBlock(lines, end))) {
      break;
    } else if (ITEM.test(line) && indentOf(line) <= indentOf(lines[at])) {
      break;
    }
    end += 1;
  }
  return end;
}

const indentOf = (line) => line.length - line.trimStart().length;

function startsBlock(lines, at) {
  const line = lines[at];
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line) || isTable(lines, at);
}

function paragraph(lines, at) {
  let next = at + 1;
  while (next < lines.length && lines[next].trim()) {
    const underline = UNDERLINE.exec(lines[next]);
    if (underline) {
      const text = lines.slice(at, next).join(" ").trim();
      return { type: "heading", level: underline[1][0] === "=" ? 1 : 2, text, next: next + 1 };
    }
    const item = ITEM.exec(lines[next]);
    if (startsBlock(lines, next) && !(item && /\d/.test(item[2]) && !/^1[.)]/.test(item[2]))) break;
    next += 1;
  }
  return { type: "paragraph", text: lines.slice(at, next).map((line) => line.trimStart()).join("\n"), next };
}
