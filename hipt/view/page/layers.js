// The panel of layers: what is drawn over the slide, how strongly, and its value at a point.

import { $, element, trouble } from "./dom.js";
import { Contours, Patches, Regions } from "./drawings.js";
import { ColourBar, HeatMap } from "./heatmap.js";

const OUTLINES = "Outlines";
const FIRST = { contours: { on: true, opacity: 1 }, regions: { on: false, opacity: 0.9 },
  patches: { on: false, opacity: 0.9 }, map: { on: false, opacity: 0.6 } };

export class Layers {
  /** `changed()` asks for a drawing; `failed(error)` says what could not be had. */
  constructor(changed, failed) {
    this.changed = changed;
    this.failed = failed;
    this.chosen = new Map(); // by name, so that the next slide is seen in the same way
    this.unfolded = new Map(); // by group, likewise
    this.grey = true;
    this.layers = [];
  }

  /** Take a slide's layers; the maps of tasks are folded away until somebody wants them. */
  show(facts, places, signal, tasks) {
    this.layers = facts.layers.map((layer) => ({
      facts: layer, state: this.#state(layer), drawing: this.#drawing(layer, facts.slide, places, signal),
    }));
    const groups = new Map();
    for (const layer of this.layers) {
      const name = layer.facts.kind === "map" ? layer.facts.group || "Maps" : OUTLINES;
      groups.set(name, [...(groups.get(name) ?? []), layer]);
    }
    const shown = [...groups].map(([name, layers]) => this.#group(name, layers, !tasks.includes(name)));
    const maps = this.layers.some(({ facts: { kind } }) => kind === "map");
    if (maps) shown.push(this.#greySwitch());
    else shown.push(element("p", { class: "soft" }, "This slide has no heatmaps."));
    $("layers-list").replaceChildren(...shown);
    this.layers.forEach((layer) => this.#load(layer));
  }

  clear() {
    this.layers = [];
    $("layers-list").replaceChildren(element("p", { class: "soft" }, "Of an open slide."));
  }

  /** Draw what is on: maps first, outlines over them. */
  draw(context, view) {
    const on = this.layers.filter(({ state }) => state.on);
    const order = [...on.filter(isMap), ...on.filter((layer) => !isMap(layer))];
    for (const { state, drawing, note } of order) {
      context.globalAlpha = state.opacity;
      drawing.draw(context, view);
      if (note && drawing.far) note.hidden = !drawing.far(view);
    }
    context.globalAlpha = 1;
  }

  /** Whether the slide is grey now, so that a map's colours are those of its colour bar. */
  isGrey() {
    return this.grey && this.layers.some((layer) => isMap(layer) && layer.state.on);
  }

  /** The values of all maps that are on at a point: [label, text]. */
  valuesAt(x, y) {
    return this.layers.filter((layer) => isMap(layer) && layer.state.on).map((layer) => {
      const { value, text } = layer.drawing.at(x, y);
      layer.bar?.point(value);
      return [fullName(layer.facts), text];
    });
  }

  #state({ name, kind }) {
    if (!this.chosen.has(name)) this.chosen.set(name, { ...FIRST[kind] });
    return this.chosen.get(name);
  }

  #drawing(layer, slide, places, signal) {
    switch (layer.kind) {
      case "contours": return new Contours(slide, signal);
      case "regions": return new Regions(places);
      case "patches": return new Patches(places, this.changed, this.failed);
      default: return new HeatMap(slide, layer, signal);
    }
  }

  #group(name, layers, open) {
    const number = element("span", { class: "soft" }, ` ${layers.length}`);
    const made = element("details", { role: "group", "aria-label": name }, element("summary", {}, name, number));
    made.open = this.unfolded.get(name) ?? (open || layers.some(({ state }) => state.on));
    made.addEventListener("toggle", () => this.unfolded.set(name, made.open));
    made.append(...layers.map((layer) => this.#controls(layer)));
    return made;
  }

  #controls(layer) {
    const { facts, state } = layer;
    const whole = fullName(facts);
    const box = element("input", { type: "checkbox", "aria-label": whole });
    box.checked = state.on;
    const slider = element("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": `Opacity of ${whole}` });
    slider.value = 100 * state.opacity;
    slider.setAttribute("aria-valuetext", `${slider.value} %`);
    slider.addEventListener("input", () => {
      state.opacity = slider.value / 100;
      slider.setAttribute("aria-valuetext", `${slider.value} %`);
      this.changed();
    });
    box.addEventListener("change", () => {
      state.on = box.checked;
      this.#load(layer);
    });
    layer.below = element("div", { class: "below" });
    layer.slider = element("label", { class: "opacity" }, element("span", { "aria-hidden": "true" }, "opacity"), slider);
    if (facts.kind === "patches") layer.note = element("p", { class: "soft" }, "Seen from near: zoom in.");
    const label = element("label", { class: `kind-${facts.kind}` }, box, element("span", {}, shortName(facts)));
    return element("div", { class: "layer", "data-layer": facts.name }, label, layer.slider, layer.below);
  }

  async #load(layer) {
    const { facts, state, drawing, below } = layer;
    below.replaceChildren();
    layer.slider.hidden = !state.on;
    if (!state.on) return this.changed();
    if (isMap(layer)) {
      layer.bar = new ColourBar(facts);
      below.append(layer.bar.element);
    }
    if (layer.note) below.append(layer.note);
    try {
      await drawing.load();
    } catch (error) {
      if (error.name === "AbortError") return undefined;
      below.replaceChildren(trouble(error.message, () => this.#load(layer)));
      this.failed(error);
    }
    return this.changed();
  }

  #greySwitch() {
    const box = element("input", { type: "checkbox" });
    box.checked = this.grey;
    box.addEventListener("change", () => {
      this.grey = box.checked;
      this.changed();
    });
    return element("label", { class: "grey" }, box, element("span", {}, "slide in grey under maps"));
  }
}

/** A layer's name within its group, and by itself. */
const shortName = ({ group, label }) => (label.startsWith(`${group}, `) ? label.slice(group.length + 2) : label);
const fullName = ({ kind, group, label }) =>
  kind === "map" && !label.includes(group) ? `${group}, ${label}` : label;

function isMap({ facts }) {
  return facts.kind === "map";
}
