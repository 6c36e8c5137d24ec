// A heatmap: its picture over the slide, its value at a point, its colour bar.

import { address, json, once, picture } from "./api.js";
import { element } from "./dom.js";
import { number } from "./numbers.js";

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

  /** The value at a point of the slide, or null where there is none. */
  valueAt(px, py) {
    if (!this.grid) return null;
    const { x, y, step, columns, rows, values } = this.grid;
    const column = Math.floor((px - x) / step), row = Math.floor((py - y) / step);
    if (column < 0 || row < 0 || column >= columns || row >= rows) return null;
    return values[row * columns + column];
  }
}

/** The colours of a map with its numbers; `point(value)` moves the pointer on it. */
export class ColourBar {
  constructor({ low, high, signed, unit, ends = [] }) {
    Object.assign(this, { low, high });
    this.pointer = element("span", { class: "pointer", hidden: true });
    const colours = element("img", { alt: "", src: address("/colours", { signed: signed ? 1 : 0 }) });
    const middle = signed ? (low + high) / 2 : null;
    const ticks = [low, ...(signed ? [middle] : []), high].map((v) => element("span", {}, number(v)));
    const [least, most] = [low, high].map((v, i) => `${number(v)}${ends[i] ? ` (${ends[i]})` : ""}`);
    const said = `Colours from ${least} to ${most}${unit ? `, ${unit}` : ""}`;
    this.element = element("div", { class: "bar", role: "img", "aria-label": said },
      element("div", { class: "colours" }, colours, this.pointer),
      element("div", { class: "ticks", "aria-hidden": "true" }, ...ticks),
      element("div", { class: "ticks soft", "aria-hidden": "true" }, ...ends.map((end) => element("span", {}, end))),
      element("div", { class: "soft", "aria-hidden": "true" }, unit ?? ""));
  }

  point(value) {
    this.pointer.hidden = value === null;
    if (value === null) return;
    const at = (value - this.low) / (this.high - this.low || 1);
    this.pointer.style.left = `${100 * Math.max(0, Math.min(1, at))}%`;
  }
}
