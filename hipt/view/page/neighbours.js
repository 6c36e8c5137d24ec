// What looks like this: the nearest neighbours of a patch or region, as pictures that lead there.

import { address, json } from "./api.js";
import { $, element, trouble } from "./dom.js";
import { count, number } from "./numbers.js";

const COUNT = 12;
const PICTURE_PX = 256; // shown in half as many, for screens with fine pixels

/** How a place is called: patch 3 of region 12. */
export const called = ({ region, patch }) =>
  patch === null || patch === undefined ? `region ${region}` : `patch ${patch} of region ${region}`;

export class Neighbours {
  /** `lead(place, words)` goes to a place; `said(text)` tells it. */
  constructor(lead, said) {
    this.lead = lead;
    this.said = said;
    this.query = null;
    this.asking = null;
    $("similar-close").addEventListener("click", () => this.close());
    $("others").addEventListener("change", () => this.query && this.ask(this.query));
    $("similar-list").addEventListener("keydown", (event) => this.#key(event));
  }

  get open() {
    return !$("similar").hidden;
  }

  /** Search for what looks like a place: { slide, region, patch, x, y, size }. */
  async ask(query) {
    this.query = query;
    this.#begin(`What looks like ${called(query)} of ${query.slide}`);
    $("similar-said").textContent = "Searching …";
    this.asking = new AbortController();
    const { slide, region, patch } = query;
    const question = { slide, region, patch, count: COUNT, others: $("others").checked ? 1 : 0 };
    try {
      this.#show(query, await json("/api/neighbours", question, this.asking.signal));
    } catch (error) {
      if (error.name !== "AbortError") $("similar-said").replaceChildren(trouble(error.message, () => this.ask(query)));
    }
  }

  /** Say in the strip why there is nothing to search for. */
  refuse(sentence, again = null) {
    this.query = null;
    this.#begin("What looks like this");
    $("similar-said").replaceChildren(trouble(sentence, again));
  }

  close() {
    this.asking?.abort();
    $("similar").hidden = true;
    this.query = null;
    this.onClose?.();
  }

  #begin(title) {
    this.asking?.abort();
    $("similar").hidden = false;
    $("similar-title").textContent = title;
    $("similar-how").textContent = "";
    $("similar-list").replaceChildren();
  }

  #show(query, { neighbours, searched, how }) {
    $("similar-how").textContent = `${how} ${count(searched)} searched.`;
    const items = neighbours.map((one, i) => this.#item(one, `${i + 1}`));
    $("similar-list").replaceChildren(this.#item(query, "this"), ...items);
    const found = neighbours.length ? `${neighbours.length} neighbours, nearest first.` : "Nothing else has a vector to compare.";
    $("similar-said").textContent = neighbours.length ? "" : found;
    this.said(`${$("similar-title").textContent}: ${found}`);
  }

  #item(place, rank) {
    const { slide, x, y, size, distance } = place;
    const query = rank === "this";
    const picture = element("img", { alt: "", width: 128, height: 128, src: address("/crop", { slide, x, y, size, px: PICTURE_PX }) });
    picture.addEventListener("error", () => picture.classList.add("none"));
    const near = place.same_slide ? "same slide" : place.same_case ? "same case" : "";
    const lines = query ? ["The place itself", slide] : [`${rank} · distance ${number(distance)}`, slide, `case ${place.case}`];
    if (near) lines.push(near);
    const words = query ? `The place itself: ${called(place)} of ${slide}` : `Neighbour ${rank}: ${called(place)} of ${slide}`;
    const button = element("button", { type: "button", title: `${words}${query ? "" : `, case ${place.case}`}`, click: () => this.lead(place, words) },
      picture, ...lines.map((line, i) => element("span", { class: i === (query ? 0 : 0) ? "first" : null }, line)));
    return element("li", { class: query ? "query" : null }, button);
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const buttons = [...$("similar-list").querySelectorAll("button")];
    buttons[buttons.indexOf(document.activeElement) + step]?.focus();
    event.preventDefault();
  }
}
