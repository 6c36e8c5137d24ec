// The address of a view: #ID/x/y/zoom; x, y in level-0 px, zoom in screen px per level-0 px.

/** A view as the part of an address behind #; without a place, the whole slide. */
export function written({ slide, x, y, zoom }) {
  const id = encodeURIComponent(slide);
  return zoom ? `#${id}/${Math.round(x)}/${Math.round(y)}/${Number(zoom.toPrecision(4))}` : `#${id}`;
}

/** The view that an address names, or null; what is no place in it is left out. */
export function read(hash) {
  const [id, ...place] = hash.replace(/^#/, "").split("/");
  let slide;
  try {
    slide = decodeURIComponent(id);
  } catch {
    slide = id;
  }
  if (!slide) return null;
  const [x, y, zoom] = place.map(Number);
  const whole = place.length !== 3 || ![x, y, zoom].every(Number.isFinite) || zoom <= 0;
  return whole ? { slide } : { slide, x, y, zoom };
}
