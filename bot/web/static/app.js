// The console: one conversation at a time, its address in the fragment (#c-…), so that a reload brings it back.

import * as api from "./api.js";
import { Composer } from "./composer.js";
import { announce, byId, h, placeIcons } from "./dom.js";
import { ExchangeView } from "./exchange.js";
import { Panel } from "./panel.js";
import { Recent } from "./recent.js";
import { Scroller } from "./scroll.js";
import { setUpTheme } from "./themes.js";

class Console {
  constructor() {
    this.app = byId("app");
    this.panel = new Panel();
    this.scroller = new Scroller(byId("thread"), byId("exchanges"), byId("latest"));
    this.composer = new Composer((text) => this.ask(text));
    this.recent = new Recent(() => this.#menu(false));
    this.conversation = null;
    this.stops = new Set(); // of the event streams that are open
  }

  async run() {
    placeIcons(document);
    setUpTheme(byId("theme"), byId("theme-name"));
    byId("new").addEventListener("click", () => this.begin());
    byId("new-small").addEventListener("click", () => this.begin());
    byId("menu").addEventListener("click", () => this.#menu(this.app.dataset.menu !== "open"));
    byId("scrim").addEventListener("click", () => this.#menu(false));
    window.addEventListener("hashchange", () => this.load());
    window.addEventListener("keydown", (event) => this.#key(event));
    try {
      const { suggestions, max_question_chars: limit } = await api.start();
      this.composer.limit = limit;
      this.#suggest(suggestions);
      this.#notice("");
    } catch (error) {
      this.#notice(error.message);
    }
    await this.load();
  }

  /** Begin a new conversation: the next question makes it. */
  begin() {
    if (location.hash) history.pushState(null, "", location.pathname);
    this.#menu(false);
    this.load();
  }

  async load() {
    const id = /^#(c-[\w-]+)$/.exec(location.hash)?.[1] ?? null;
    if (id !== null && id === this.conversation) return;
    this.#clear(id);
    if (id === null) return;
    try {
      const { exchanges } = await api.exchanges(id);
      if (this.conversation === id) this.#restore(exchanges);
    } catch (error) {
      if (this.conversation !== id) return;
      if (error.status === 404) {
        this.recent.remove(id);
        history.replaceState(null, "", location.pathname);
        this.#clear(null);
      }
      this.#notice(error.message, error.errorId);
    }
  }

  async ask(text, message = crypto.randomUUID()) {
    const view = this.#add(text, () => {
      view.element.remove();
      this.ask(text, view.lost ? message : undefined);
    });
    this.#notice("");
    this.composer.setBusy(true);
    view.setStatus("Sending…");
    this.scroller.follow();
    try {
      const { question_id: question, conversation } = await api.ask(this.conversation, text, message);
      if (!view.element.isConnected) return; // another conversation was opened meanwhile; this one is kept by the server
      this.#entitle(conversation, text);
      view.setStatus("Waiting for the model…");
      this.#follow(view, question);
    } catch (error) {
      if (!view.element.isConnected) return;
      view.lost = error.status === 0 || error.status >= 500; // it may have arrived: ask again under the same id
      view.fail({ text: error.message, error_id: error.errorId });
      this.composer.setBusy(false);
    }
  }

  #follow(view, question) {
    const conversation = this.conversation;
    const ended = (show) => (data) => {
      this.stops.delete(stop);
      show(data);
      this.composer.setBusy(false);
      this.scroller.settle();
    };
    const stop = api.follow(question, conversation, {
      status: ({ stage }) => view.setStage(stage),
      draft: (draft) => view.setDraft(draft),
      passages: ({ hits }) => view.setHits(hits),
      text: (piece) => view.addText(piece),
      answer: ended((reply) => {
        view.finish(reply);
        announce("The answer is ready.");
      }),
      apology: ended((apology) => view.fail(apology)),
      reconnecting: () => view.setStatus("The connection was lost. Connecting again…"),
      lost: () => {
        this.stops.delete(stop);
        this.#recover(view, question);
      },
    });
    this.stops.add(stop);
  }

  /** The stream was refused. Ask what became of the question, until there is an answer to that. */
  async #recover(view, question) {
    view.setStatus("The connection was lost. Trying again in a moment…");
    await new Promise((resolve) => setTimeout(resolve, 2000));
    if (!view.element.isConnected) return;
    try {
      const { exchanges } = await api.exchanges(this.conversation);
      if (exchanges.some((exchange) => exchange.question_id === question)) this.#follow(view, question);
      else throw new api.ApiError("This question is not there any more.", { status: 404 });
    } catch (error) {
      if (error.status === 0 || error.status >= 500) return this.#recover(view, question);
      view.fail({ text: error.message, error_id: error.errorId });
      this.composer.setBusy(false);
    }
    return undefined;
  }

  #restore(exchanges) {
    let waiting = false;
    for (const exchange of exchanges) {
      const view = this.#add(exchange.text, () => this.ask(exchange.text));
      if (exchange.reply) view.finish(exchange.reply);
      else if (exchange.apology) view.fail(exchange.apology);
      else {
        waiting = true;
        view.setStatus("Waiting for the model…");
        this.#follow(view, exchange.question_id);
      }
    }
    if (exchanges.length) this.#entitle(this.conversation, exchanges[0].text);
    this.composer.setBusy(waiting);
    this.scroller.toEnd();
  }

  #add(text, retry) {
    const view = new ExchangeView(text, {
      openSource: (source) => this.#open(source),
      vote: (replyId, value) => api.vote(replyId, this.conversation, value),
      retry,
    });
    byId("exchanges").append(view.element);
    this.app.dataset.view = "conversation";
    return view;
  }

  #open(source) {
    const passages = new Map(source.hits.map((hit) => [hit.passage_id, hit]));
    this.panel.onSwitch = (passageId) => this.panel.open({ ...source, passageId, hit: passages.get(passageId) ?? null });
    this.panel.open({ ...source, hit: passages.get(source.passageId) ?? null });
  }

  #entitle(conversation, text) {
    const known = this.conversation === conversation && document.title !== "promptai";
    this.conversation = conversation;
    if (location.hash !== `#${conversation}`) history.replaceState(null, "", `#${conversation}`);
    if (known) return;
    document.title = `${text.slice(0, 60)} · promptai`;
    this.recent.add(conversation, text);
  }

  #clear(id) {
    for (const stop of this.stops) stop();
    this.stops.clear();
    this.panel.close();
    this.conversation = id;
    byId("exchanges").replaceChildren();
    this.app.dataset.view = id === null ? "empty" : "conversation";
    document.title = "promptai";
    this.#notice("");
    this.recent.show(id);
    this.composer.setBusy(false);
    this.composer.focus();
  }

  #suggest(suggestions) {
    byId("suggestions").replaceChildren(...suggestions.map((text) =>
      h("button", { type: "button", class: "suggestion", on: { click: () => this.ask(text) } }, text)));
  }

  #notice(text, errorId = null) {
    const notice = byId("notice");
    notice.replaceChildren(...(text ? [text, errorId ? h("code", {}, ` ${errorId}`) : ""] : []));
    notice.hidden = !text;
  }

  #menu(open) {
    if (open) this.app.dataset.menu = "open";
    else delete this.app.dataset.menu;
    byId("menu").setAttribute("aria-expanded", String(open));
    if (open) byId("new").focus();
  }

  #key(event) {
    if (event.key !== "Escape" || event.isComposing) return;
    if (this.app.dataset.menu === "open") this.#menu(false);
    else this.panel.close();
  }
}

new Console().run();
