// The slides as a table that is searched and sorted; only the rows in sight are elements.

import { address } from "./api.js";
import { $, element } from "./dom.js";
import { count, number } from "./numbers.js";

const ROW_PX = 52; // as in view.css
const BEYOND = 6; // rows drawn above and below the ones in sight
const REST_MS = 80; // pictures are asked for once scrolling rests so long
const COLUMNS = [
  { name: "slide", label: "Slide", text: true },
  { name: "case", label: "Case", text: true },
  { name: "status", label: "Status", text: true },
  { name: "tissue_mm2", label: "Tissue", unit: "mm²", show: number },
  { name: "regions", label: "Regions", show: count },
];
const SEARCHED = ["slide", "case", "status", "reason"];
const collator = new Intl.Collator("en", { numeric: true });

export class Cohort {
  /** `open(slide)` is called with the id of a chosen slide. */
  constructor(open) {
    this.open = open;
    this.columns = Object.fromEntries([...SEARCHED, "tissue_mm2", "regions"].map((c) => [c, []]));
    this.rows = []; // numbers of the slides that match, in order
    this.texts = [];
    this.active = 0; // place in `rows` that the keyboard is on
    this.opened = null;
    this.sorted = null;
    this.ascending = true;
    this.table = $("slides");
    this.scroller = $("scroller");
    this.body = this.table.tBodies[0];
    this.#head();
    $("search").addEventListener("input", () => this.#choose());
    $("search").addEventListener("keydown", (event) => this.#fromSearch(event));
    $("find").addEventListener("submit", (event) => event.preventDefault());
    this.table.addEventListener("keydown", (event) => this.#key(event));
    this.body.addEventListener("click", (event) => this.#clicked(event));
    this.scroller.addEventListener("scroll", () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.scroller);
  }

  /** Take the slides, as columns of equal length. */
  fill(columns) {
    this.columns = columns;
    this.texts = columns.slide.map((_, i) =>
      SEARCHED.map((name) => columns[name][i] ?? "").join("\n").toLowerCase());
    this.#choose();
  }

  /** The id of the slide before or after the open one, as sorted and searched. */
  beside(step) {
    const at = this.rows.findIndex((i) => this.columns.slide[i] === this.opened);
    const next = at < 0 ? 0 : at + step;
    return this.columns.slide[this.rows[next]] ?? null;
  }

  /** Mark the slide that is open, and bring its row into sight. */
  mark(slide) {
    this.opened = slide;
    const at = this.rows.findIndex((i) => this.columns.slide[i] === slide);
    if (at >= 0) this.#move(at);
    this.#draw();
  }

  #head() {
    const line = element("tr", { "aria-rowindex": 1 });
    line.append(element("th", { scope: "col", class: "picture" }, element("span", { class: "unseen" }, "Picture")));
    for (const column of COLUMNS) {
      const unit = column.unit ? [" ", element("small", {}, column.unit)] : [];
      const button = element("button", { type: "button", click: () => this.#sort(column) }, column.label, ...unit);
      line.append(element("th", { scope: "col", class: column.name, "aria-sort": "none" }, button));
    }
    this.table.tHead.append(line);
  }

  #sort(column) {
    this.ascending = this.sorted === column ? !this.ascending : true;
    this.sorted = column;
    [...this.table.tHead.rows[0].cells].slice(1).forEach((cell, i) => {
      const way = this.ascending ? "ascending" : "descending";
      cell.setAttribute("aria-sort", COLUMNS[i] === column ? way : "none");
    });
    this.#choose();
  }

  #choose() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    this.rows = [];
    this.texts.forEach((text, i) => words.every((word) => text.includes(word)) && this.rows.push(i));
    if (this.sorted) this.rows.sort(this.#order());
    $("shown").textContent = words.length
      ? `${count(this.rows.length)} of ${count(this.texts.length)} slides`
      : `${count(this.texts.length)} slides`;
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.active = 0;
    this.scroller.scrollTop = 0;
    this.#draw();
  }

  #order() {
    const values = this.columns[this.sorted.name];
    const sign = this.ascending ? 1 : -1;
    const text = this.sorted.text;
    return (a, b) => {
      const x = values[a] ?? null, y = values[b] ?? null;
      if (x === null || y === null) return (x === null) - (y === null); // unknown ones last, always
      return sign * (text ? collator.compare(x, y) : x - y) || a - b;
    };
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW_PX) - BEYOND);
    const sight = Math.ceil(this.scroller.clientHeight / ROW_PX) + 2 * BEYOND;
    const last = Math.min(this.rows.length, first + sight);
    const rows = [];
    for (let at = first; at < last; at += 1) rows.push(this.#row(at));
    this.body.replaceChildren(this.#space(first), ...rows, this.#space(this.rows.length - last));
    if (this.rows.length) this.table.setAttribute("aria-activedescendant", `row-${this.active}`);
    else this.table.removeAttribute("aria-activedescendant");
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.#pictures(), REST_MS);
  }

  #space(rows) {
    const row = element("tr", { class: "space", "aria-hidden": "true" });
    row.style.height = `${rows * ROW_PX}px`;
    return row;
  }

  #row(at) {
    const i = this.rows[at];
    const slide = this.columns.slide[i];
    const row = element("tr", {
      id: `row-${at}`, "data-at": at, "aria-rowindex": at + 2,
      "aria-selected": String(slide === this.opened), class: at === this.active ? "active" : null,
    });
    const seen = (this.columns.tissue_mm2[i] ?? null) !== null; // segment drew it
    row.append(element("td", { class: "picture" }, element("img", { alt: "", "data-slide": seen ? slide : null })));
    for (const column of COLUMNS) row.append(this.#cell(column, i));
    return row;
  }

  #cell(column, i) {
    const value = this.columns[column.name][i] ?? null;
    const text = column.show ? column.show(value) : value ?? "–";
    const words = column.name === "status" ? text.replaceAll("_", " ") : text;
    const shown = element("span", { title: column.text ? text : null }, words);
    const cell = element("td", { class: column.name }, shown);
    const reason = column.name === "status" ? this.columns.reason[i] : null;
    if (reason) cell.append(element("small", { title: reason }, reason));
    if (column.name === "status") cell.classList.toggle("good", value === "ok");
    return cell;
  }

  #pictures() {
    for (const picture of this.body.querySelectorAll("img[data-slide]:not([src])")) {
      picture.addEventListener("error", () => picture.classList.add("none"));
      picture.src = address("/thumbnail", { slide: picture.dataset.slide, outline: 1 });
    }
  }

  #clicked(event) {
    const row = event.target.closest("tr[data-at]");
    if (!row) return;
    this.#move(Number(row.dataset.at));
    this.#openActive();
  }

  #openActive() {
    const slide = this.columns.slide[this.rows[this.active]];
    if (slide !== undefined) this.open(slide);
  }

  #fromSearch(event) {
    if (event.key === "ArrowDown") this.table.focus();
    else if (event.key === "Enter") this.#openActive();
    else return;
    event.preventDefault();
  }

  #key(event) {
    if (event.target !== this.table || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW_PX) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter") this.#openActive();
    else if (event.key in steps) this.#move(this.active + steps[event.key]);
    else return;
    event.preventDefault();
  }

  #move(at) {
    this.active = Math.max(0, Math.min(this.rows.length - 1, at));
    const head = this.table.tHead.offsetHeight;
    const top = this.active * ROW_PX, sight = this.scroller.clientHeight - head;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + ROW_PX > this.scroller.scrollTop + sight) this.scroller.scrollTop = top + ROW_PX - sight;
    this.#draw();
  }
}
