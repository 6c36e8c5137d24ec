// Outlines over a slide: contours of tissue, regions, patches, and the mark of one place.
// A drawing draws itself in level-0 px; `view` says what is seen: { scale, left, top, width,
// height }, scale in screen px per level-0 px.

import { json, once } from "./api.js";

const LEAST_PATCH_PX = 14; // patches nearer than this are a grey veil, so they are left out
const MOST_REGIONS = 40; // whose patches are asked for at a time

/** A line in colour between two of white, seen on any stain and on glass. */
function stroke(context, path, scale, colour, width, dash = []) {
  context.setLineDash(dash.map((part) => part / scale));
  for (const [style, px] of [["rgb(255 255 255 / 80%)", width + 2], [colour, width]]) {
    context.strokeStyle = style;
    context.lineWidth = px / scale;
    context.stroke(path);
  }
  context.setLineDash([]);
}

function outline(path, points) {
  points.forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
  path.closePath();
}

function squares({ size, x, y }, chosen = () => true) {
  const path = new Path2D();
  x.forEach((left, i) => chosen(i) && path.rect(left, y[i], size, size));
  return path;
}

const seen = (view, x, y, size) =>
  x < view.left + view.width / view.scale && x + size > view.left &&
  y < view.top + view.height / view.scale && y + size > view.top;

export class Contours {
  constructor(slide, signal) {
    this.load = once(async () => {
      const { polygons } = await json("/api/contours", { slide }, signal);
      const path = new Path2D();
      for (const { outer, holes } of polygons) [outer, ...holes].forEach((ring) => outline(path, ring));
      this.path = path;
    });
  }

  draw(context, view) {
    if (this.path) stroke(context, this.path, view.scale, "#00707d", 2);
  }
}

export class Regions {
  constructor(places) {
    this.load = once(async () => {
      this.path = squares(await places.regions());
    });
  }

  draw(context, view) {
    if (this.path) stroke(context, this.path, view.scale, "#1f3b8a", 1.5);
  }
}

/** Patches that have vectors are drawn whole, the others dotted; from near alone. */
export class Patches {
  constructor(places, changed, failed) {
    this.places = places;
    this.changed = changed;
    this.failed = failed;
    this.paths = new Map();
    this.load = once(async () => {
      this.regions = await places.regions();
    });
  }

  /** Whether a view is too far away to draw them. */
  far(view) {
    const size = [...this.paths.values()].find((held) => held?.size)?.size;
    return (size ?? (this.regions?.size ?? 0) / 16) * view.scale < LEAST_PATCH_PX;
  }

  draw(context, view) {
    if (!this.regions || this.far(view)) return;
    const { region, x, y, size } = this.regions;
    const inside = region.filter((_, i) => seen(view, x[i], y[i], size)).slice(0, MOST_REGIONS);
    for (const one of inside) {
      if (!this.paths.has(one)) this.#ask(one);
      const held = this.paths.get(one);
      if (!held) continue;
      stroke(context, held.embedded, view.scale, "#3a3a3a", 1);
      stroke(context, held.others, view.scale, "#8a8a8a", 1, [2, 4]);
    }
  }

  async #ask(region) {
    this.paths.set(region, null); // on its way
    try {
      const patches = await this.places.patches(region);
      this.paths.set(region, {
        size: patches.size,
        embedded: squares(patches, (i) => patches.embedded[i]),
        others: squares(patches, (i) => !patches.embedded[i]),
      });
      this.changed();
    } catch (error) {
      this.paths.delete(region);
      this.failed(error);
    }
  }
}

/** A square that somebody was led to. */
export class Mark {
  constructor({ x, y, size }) {
    this.path = new Path2D();
    this.path.rect(x, y, size, size);
  }

  draw(context, view) {
    for (const [colour, px] of [["#000", 7], ["#ffd60a", 4]]) {
      context.strokeStyle = colour;
      context.lineWidth = px / view.scale;
      context.stroke(this.path);
    }
  }
}
