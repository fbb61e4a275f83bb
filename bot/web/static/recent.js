// The conversations begun in this browser: a list kept in local storage, newest first.

import { byId, h } from "./dom.js";

const KEY = "promptai.recent";
const MOST = 30;

export class Recent {
  constructor(open) {
    this.open = open;
  }

  add(id, title) {
    const others = read().filter((entry) => entry.id !== id);
    write([{ id, title: title.replace(/\s+/g, " ").trim().slice(0, 120) }, ...others].slice(0, MOST));
    this.show(id);
  }

  remove(id) {
    write(read().filter((entry) => entry.id !== id));
    this.show(null);
  }

  show(current) {
    const entries = read();
    byId("recent").hidden = entries.length === 0;
    byId("recent-list").replaceChildren(...entries.map(({ id, title }) =>
      h("li", {}, h("a", { href: `#${id}`, title, "aria-current": id === current ? "page" : null,
        on: { click: () => this.open() } }, title))));
  }
}

function read() {
  try {
    const entries = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(entries) ? entries.filter((entry) => typeof entry?.id === "string" && typeof entry?.title === "string") : [];
  } catch {
    return [];
  }
}

function write(entries) {
  try {
    localStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    // Blocked or full: the list is a convenience, the conversations are kept by the server.
  }
}
