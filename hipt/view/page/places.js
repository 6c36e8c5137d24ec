// What lies where on one slide: regions, and the patches of a region; each asked for once.

import { json, once } from "./api.js";

/** The first square of a table that holds a point, as its row; -1 where none does. */
function holding({ size, x, y }, px, py) {
  return x.findIndex((left, i) => px >= left && px < left + size && py >= y[i] && py < y[i] + size);
}

export class Places {
  constructor(slide, signal) {
    this.slide = slide;
    this.signal = signal;
    this.regions = once(() => json("/api/regions", { slide }, signal));
    this.asked = new Map();
  }

  /** The patches of a region, by its number. */
  patches(region) {
    if (!this.asked.has(region)) {
      const query = { slide: this.slide, region };
      this.asked.set(region, once(() => json("/api/patches", query, this.signal)));
    }
    return this.asked.get(region)();
  }

  /** The region at a point of the slide: { region, x, y, size }, or null. */
  async regionAt(px, py) {
    const regions = await this.regions();
    const row = holding(regions, px, py);
    if (row < 0) return null;
    return { region: regions.region[row], x: regions.x[row], y: regions.y[row], size: regions.size };
  }

  /** The patch at a point: { region, patch, x, y, size, embedded }, or null. */
  async patchAt(px, py) {
    const inside = await this.regionAt(px, py);
    if (!inside) return null;
    const patches = await this.patches(inside.region);
    const row = holding(patches, px, py);
    if (row < 0) return null;
    return {
      region: inside.region, patch: patches.patch[row], size: patches.size,
      x: patches.x[row], y: patches.y[row], embedded: patches.embedded[row],
    };
  }
}
