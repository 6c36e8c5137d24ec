// Scale bar, magnification and coordinates.

import { $ } from "./dom.js";
import { count, length, number, roundBelow, times } from "./numbers.js";

const MOST_PX = 180;
const MPP_AT_10X = 1; // µm per px at which a picture is called 10×

/** Draw the scale bar for a zoom (screen px per level-0 px); in px where no resolution is known. */
export function draw({ mpp }, zoom) {
  const unit = mpp ? zoom / mpp : zoom; // screen px per µm, or per level-0 px
  const size = roundBelow(MOST_PX / unit);
  const text = mpp ? length(size) : `${count(Math.max(1, size))} px`;
  $("scale-bar").style.width = `${size * unit}px`;
  $("scale-text").textContent = text;
  $("scale").setAttribute("aria-label", `Scale bar: ${text}`);
}

/** The magnification on the screen, from the slide's own or its resolution; null if unknown. */
export function magnification({ magnification: objective, mpp }, zoom) {
  const whole = objective ?? (mpp ? (10 * MPP_AT_10X) / mpp : null);
  return whole === null ? null : whole * zoom;
}

/** What the line of numbers says of a point: [label, text]. */
export function readings(facts, zoom, { x, y }) {
  const power = magnification(facts, zoom);
  const px = [Math.round(x), Math.round(y)];
  const place = `${count(px[0])}, ${count(px[1])} px`;
  const mm = facts.mpp ? ` (${px.map((v) => number((v * facts.mpp) / 1000)).join(", ")} mm)` : "";
  const from = facts.magnification === null && power !== null ? " by resolution" : "";
  return [
    ["magnification", power === null ? "unknown" : `${times(power)}${from}`],
    ["on screen", facts.mpp ? `${number(facts.mpp / zoom)} µm/px` : "resolution unknown"],
    ["x, y", `${place}${mm}`],
  ];
}
