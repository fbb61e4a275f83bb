// Small helpers to build elements. Text always enters as text nodes: nothing here parses HTML.

const ICONS = {
  plus: "M12 5v14M5 12h14",
  send: "M12 19V5M6 11l6-6 6 6",
  menu: "M4 7h16M4 12h16M4 17h10",
  close: "M6 6l12 12M18 6L6 18",
  down: "M12 5v14M6 13l6 6 6-6",
  chevron: "M9 6l6 6-6 6",
  contrast: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M12 7h7M12 12h9M12 17h7",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  check: "M5 13l4.5 4.5L19 7",
  open: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  file: "M6 3h8l5 5v13H6zM14 3v5h5M9 13h7M9 17h5",
  thumb: "M7 11v9H4v-9zM7 12l3.6-7.6C12.4 4.3 13.4 5.4 13.2 7L12.8 10H18a2 2 0 0 1 2 2.4l-1.3 6A2 2 0 0 1 16.8 20H7",
  alert: "M12 8v5M12 16.5v.01M12 3.5L22 20.5H2z",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16.2 16.2L21 21M8.5 11h5",
  retry: "M4 12a8 8 0 1 1 2.5 5.8M4 19v-5h5",
};

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: `h("p", {class: "x", on: {click}}, "text", child)`. Null children are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A line icon that screen readers skip. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true" }))
    svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export const byId = (id) => document.getElementById(id);

/** Replace the placeholders of the page by icons. */
export function placeIcons(root) {
  for (const slot of root.querySelectorAll("[data-icon]")) slot.replaceWith(icon(slot.dataset.icon));
}

/** A button that copies `text()` and says so for a moment. */
export function copyButton(label, text) {
  const word = h("span", { class: "copy-word" }, label);
  const button = h("button", { type: "button", class: "quiet copy" }, icon("copy"), word);
  let timer = 0;
  button.addEventListener("click", async () => {
    const done = await navigator.clipboard.writeText(text()).then(() => true, () => false);
    word.textContent = done ? "Copied" : "Could not copy";
    button.classList.toggle("copied", done);
    button.firstChild.replaceWith(icon(done ? "check" : "copy"));
    clearTimeout(timer);
    timer = setTimeout(() => {
      word.textContent = label;
      button.classList.remove("copied");
      button.firstChild.replaceWith(icon("copy"));
    }, 1800);
  });
  return button;
}

/** Say something to people who listen to the page. */
export function announce(text) {
  byId("live").textContent = text;
}

/** 64 -> "64 ms", 1510 -> "1.5 s". */
export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  return ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 99_500 ? 1 : 0)} s`;
}

/** "Alerts › Default windows", without saying the title twice. */
export function breadcrumb(title, path) {
  const parts = path.length && path[0] === title ? path : [title, ...path];
  return parts.filter(Boolean).join(" › ");
}
