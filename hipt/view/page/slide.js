// The slide as a deep zoom: OpenSeadragon, and a canvas over it on which layers are drawn.

import { address } from "./api.js";
import { $ } from "./dom.js";

const MOST_ZOOM = 4; // screen px per level-0 px
const LEAST_ZOOM = 0.8; // of the whole slide
const STEP = 0.2; // of the view, for an arrow key
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/** OpenSeadragon adds a <style> unless it finds one; the policy forbids it, so it finds this. */
function withoutInlineStyle() {
  const found = document.createElementNS("", "style");
  found.setAttribute("data-openseadragon-mobile-css", "true");
  document.head.append(found);
}

export class SlideView {
  /** `on` has draw(context, view), moved(), pointed(point or null), clicked(point),
   * failed(), recovered(). */
  constructor(on) {
    this.on = on;
    this.facts = null;
    this.failed = new Set(); // tiles that could not be read, asked for again at the next move
    this.canvas = $("overlay");
    withoutInlineStyle();
    OpenSeadragon.console = { ...console, warn() {}, error() {} }; // of tiles; the page says it itself
    this.osd = OpenSeadragon({
      element: $("view"), drawer: "canvas", showNavigationControl: false, keyboardNavEnabled: false,
      showNavigator: true, navigatorPosition: "TOP_RIGHT", navigatorSizeRatio: 0.16, navigatorAutoFade: false,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false },
      gestureSettingsPen: { clickToZoom: false }, gestureSettingsTouch: { dblTapToZoom: false },
      animationTime: STILL.matches ? 0 : 0.4, blendTime: 0, zoomPerScroll: 1.25,
      minZoomImageRatio: LEAST_ZOOM, maxZoomPixelRatio: MOST_ZOOM, visibilityRatio: 0.3,
      preserveImageSizeOnResize: true, imageLoaderLimit: 6, timeout: 60000,
    });
    const surface = this.osd.canvas;
    surface.id = "surface";
    surface.setAttribute("role", "application");
    surface.setAttribute("aria-label", "Slide: arrows move, plus and minus zoom, n finds what looks like the middle");
    surface.after(this.canvas);
    this.osd.addHandler("update-viewport", () => this.redraw());
    this.osd.addHandler("animation", () => this.on.moved());
    for (const event of ["animation-start", "canvas-press"]) this.osd.addHandler(event, () => this.#askAgain());
    this.osd.addHandler("canvas-click", (event) => event.quick && this.facts && this.on.clicked(this.#point(event.position)));
    this.osd.addHandler("tile-load-failed", ({ tile }) => {
      this.failed.add(tile);
      this.troubled = true;
      this.on.failed();
    });
    this.osd.addHandler("tile-loaded", () => {
      if (this.troubled) this.on.recovered();
      this.troubled = false;
    });
    surface.addEventListener("keydown", (event) => this.#key(event));
    for (const event of ["focus", "blur"]) surface.addEventListener(event, () => this.redraw());
    document.addEventListener("keydown", () => (this.byKeys = true), true);
    document.addEventListener("pointerdown", () => (this.byKeys = false), true);
    $("view").addEventListener("pointermove", (event) => this.#moved(event));
    $("view").addEventListener("pointerleave", () => this.on.pointed(null));
  }

  /** Show a slide; resolves once it can be moved in. */
  open(facts) {
    this.close();
    const { slide, width, height, tile_px: tileSize, overlap: tileOverlap, min_level: minLevel, max_level: maxLevel } = facts;
    const getTileUrl = (level, x, y) => address("/tile", { slide, level, x, y });
    return new Promise((resolve) => {
      this.osd.addOnceHandler("open", () => {
        const { clientWidth, clientHeight } = this.osd.container;
        this.osd.viewport.resize(new OpenSeadragon.Point(clientWidth, clientHeight));
        this.osd.viewport.goHome(true);
        this.facts = facts;
        resolve();
      });
      this.osd.open({ width, height, tileSize, tileOverlap, minLevel, maxLevel, getTileUrl });
    });
  }

  close() {
    this.facts = null;
    this.failed.clear();
    this.osd.imageLoader.clear(); // tiles on their way are no longer wanted
    this.osd.close();
    this.redraw();
  }

  /** What is seen: { scale, left, top, width, height }, or null while no slide is open. */
  view() {
    const item = this.facts && this.osd.world.getItemAt(0);
    if (!item) return null;
    const corner = item.viewerElementToImageCoordinates(new OpenSeadragon.Point(0, 0));
    const { clientWidth: width, clientHeight: height } = this.osd.container;
    const scale = item.viewportToImageZoom(this.osd.viewport.getZoom(true));
    return { scale, left: corner.x, top: corner.y, width, height };
  }

  /** The middle of the view: { x, y, zoom }. */
  middle() {
    const view = this.view();
    return view && { x: view.left + view.width / view.scale / 2, y: view.top + view.height / view.scale / 2, zoom: view.scale };
  }

  /** Move a place of the slide to the middle, at a zoom in screen px per level-0 px. */
  goTo({ x, y, zoom }, still = false) {
    const item = this.osd.world.getItemAt(0);
    const { viewport } = this.osd;
    viewport.zoomTo(item.imageToViewportZoom(zoom), null, still || STILL.matches);
    viewport.panTo(item.imageToViewportCoordinates(x, y), still || STILL.matches);
    this.#askAgain();
  }

  /** Zoom at which a square of level-0 px fills a half of the view. */
  fitting(size) {
    const { clientWidth, clientHeight } = this.osd.container;
    return Math.min(MOST_ZOOM, Math.min(clientWidth, clientHeight) / 2 / size);
  }

  whole() {
    this.osd.viewport.goHome(STILL.matches);
  }

  zoomBy(factor) {
    if (!this.facts) return;
    this.osd.viewport.zoomBy(factor, null, STILL.matches).applyConstraints();
  }

  full() {
    const middle = this.middle();
    if (middle) this.goTo({ ...middle, zoom: 1 });
  }

  grey(on) {
    this.osd.canvas.classList.toggle("grey", on);
  }

  /** Draw the layers again, as the slide lies now. */
  redraw() {
    const view = this.view();
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.osd.container;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!view) return;
    const scale = view.scale * ratio;
    context.setTransform(scale, 0, 0, scale, -view.left * scale, -view.top * scale);
    this.on.draw(context, view);
    if (this.byKeys && this.osd.canvas === document.activeElement) cross(context, this.middle());
  }

  #point(position) {
    const { x, y } = this.osd.world.getItemAt(0).viewerElementToImageCoordinates(position);
    return { x, y };
  }

  #moved(event) {
    if (!this.view()) return;
    const box = this.osd.container.getBoundingClientRect();
    this.on.pointed(this.#point(new OpenSeadragon.Point(event.clientX - box.left, event.clientY - box.top)));
  }

  #key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way || !this.facts || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const { viewport } = this.osd;
    const seen = viewport.getBounds(), part = event.shiftKey ? 4 * STEP : STEP;
    const by = new OpenSeadragon.Point(way[0] * part * seen.width, way[1] * part * seen.height);
    viewport.panBy(by, STILL.matches).applyConstraints();
  }

  #askAgain() {
    for (const tile of this.failed) tile.exists = true;
    if (this.failed.size) this.osd.forceRedraw();
    this.failed.clear();
  }
}

/** The place that keys speak of: the middle. */
function cross(context, { x, y, zoom }) {
  for (const [colour, px] of [["#fff", 5], ["#000", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = px / zoom;
    context.beginPath();
    context.moveTo(x - 12 / zoom, y);
    context.lineTo(x + 12 / zoom, y);
    context.moveTo(x, y - 12 / zoom);
    context.lineTo(x, y + 12 / zoom);
    context.stroke();
  }
}
