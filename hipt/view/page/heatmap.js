// A heatmap: its picture over the slide, its value at a point, its colour bar.

import { address, json, once, picture } from "./api.js";
import { element } from "./dom.js";
import { number, small } from "./numbers.js";

export class HeatMap {
  constructor(slide, facts, signal) {
    this.facts = facts;
    const query = { slide, layer: facts.name };
    this.load = once(async () => {
      const [pixels, grid] = await Promise.all([picture("/map", query, signal), json("/api/map", query, signal)]);
      Object.assign(this, { pixels, grid });
    });
  }

  draw(context) {
    if (!this.pixels) return;
    const { x, y, step, columns, rows } = this.grid;
    context.imageSmoothingEnabled = false; // a cell is what has one value
    context.drawImage(this.pixels, x, y, columns * step, rows * step);
  }

  /** What is known of a point of the slide: { value, text }; value null where there is none. */
  at(px, py) {
    const cell = this.grid ? this.#cell(px, py) : -1;
    const value = cell < 0 ? null : this.grid.values[cell];
    if (value === null) return { value, text: number(null) };
    if (this.facts.signed) return { value, text: small(value) };
    const measured = this.grid.measured?.[cell] ?? null; // before values became ranks in percent
    return { value, text: `${number(value)} %${measured === null ? "" : ` (${small(measured)})`}` };
  }

  #cell(px, py) {
    const { x, y, step, columns, rows } = this.grid;
    const column = Math.floor((px - x) / step), row = Math.floor((py - y) / step);
    return column < 0 || row < 0 || column >= columns || row >= rows ? -1 : row * columns + column;
  }
}

/** The colours of a map with its numbers; `point(value)` moves the pointer on it. */
export class ColourBar {
  constructor({ low, high, signed, unit, ends = [] }) {
    Object.assign(this, { low, high });
    this.pointer = element("span", { class: "pointer", hidden: true });
    const colours = element("img", { alt: "", src: address("/colours", { signed: signed ? 1 : 0 }) });
    const middle = signed ? (low + high) / 2 : null;
    const ticks = [low, ...(signed ? [middle] : []), high].map((v) => element("span", {}, small(v)));
    const [least, most] = [low, high].map((v, i) => `${small(v)}${signed && ends[i] ? ` (${ends[i]})` : ""}`);
    const said = `Colours from ${least} to ${most}${unit ? `, ${unit}` : ""}`;
    this.element = element("div", { class: "bar", role: "img", "aria-label": said },
      element("div", { class: "colours" }, colours, this.pointer),
      element("div", { class: "ticks", "aria-hidden": "true" }, ...ticks),
      ...(signed ? [element("div", { class: "ticks soft", "aria-hidden": "true" }, ...ends.map((end) => element("span", {}, end)))] : []),
      element("div", { class: "soft", "aria-hidden": "true" }, unit ?? ""));
  }

  point(value) {
    this.pointer.hidden = value === null;
    if (value === null) return;
    const at = (value - this.low) / (this.high - this.low || 1);
    this.pointer.style.left = `${100 * Math.max(0, Math.min(1, at))}%`;
  }
}
