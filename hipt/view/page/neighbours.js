// What looks like this: the nearest neighbours of a patch or region, as pictures that lead there.

import { address, json } from "./api.js";
import { $, element, trouble } from "./dom.js";
import { small } from "./numbers.js";

const COUNT = 12;
const PICTURE_PX = 256; // shown in half as many, for screens with fine pixels

/** How a place is called: patch 3 of region 12. */
export const called = ({ region, patch }) =>
  patch === null || patch === undefined ? `region ${region}` : `patch ${patch} of region ${region}`;

/** What stands under a picture, line by line. */
function described({ slide, case: owner, distance, same_slide: sameSlide, same_case: sameCase }, rank) {
  if (!rank) return ["The place itself", slide];
  const near = sameSlide ? "same slide" : sameCase ? "same case" : null;
  const lines = [`${rank} · distance ${small(distance)}`, slide, owner === slide ? null : `case ${owner}`, near];
  return lines.filter((line) => line !== null);
}

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
    this.#begin(`Like ${called(query)} of ${query.slide}`);
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

  #show(query, { neighbours, how }) {
    $("similar-how").textContent = how;
    const items = neighbours.map((one, i) => this.#item(one, i + 1));
    $("similar-list").replaceChildren(this.#item(query, null), ...items);
    const found = neighbours.length ? `${neighbours.length} neighbours, nearest first.` : "Nothing else has a vector to compare.";
    $("similar-said").textContent = neighbours.length ? "" : found;
    this.said(`${$("similar-title").textContent}: ${found}`);
  }

  /** A picture that leads to its place; the place itself has no rank. */
  #item(place, rank) {
    const { slide, x, y, size } = place;
    const source = address("/crop", { slide, x, y, size, px: PICTURE_PX });
    const picture = element("img", { alt: "", width: 128, height: 128, src: source });
    picture.addEventListener("error", () => picture.classList.add("none"));
    const lines = described(place, rank).map((line) => element("span", {}, line));
    const words = `${rank ? `Neighbour ${rank}` : "The place itself"}: ${called(place)} of ${slide}`;
    const button = element("button", { type: "button", title: words, "aria-current": rank ? null : "true" }, picture, ...lines);
    button.addEventListener("click", () => {
      $("similar-list").querySelector("[aria-current]")?.removeAttribute("aria-current");
      button.setAttribute("aria-current", "true"); // the one that is marked on its slide
      this.lead(place, words);
    });
    return element("li", { class: rank ? null : "query" }, button);
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const buttons = [...$("similar-list").querySelectorAll("button")];
    buttons[buttons.indexOf(document.activeElement) + step]?.focus();
    event.preventDefault();
  }
}
