// The page: a cohort, a slide of it, its layers, its predictions, and what looks like a place.

import { json } from "./api.js";
import { Cohort } from "./cohort.js";
import { $, element, trouble } from "./dom.js";
import { Mark } from "./drawings.js";
import { listen } from "./keys.js";
import { Layers } from "./layers.js";
import * as link from "./link.js";
import { Neighbours, called } from "./neighbours.js";
import { count, number, times } from "./numbers.js";
import { Places } from "./places.js";
import * as predictions from "./predictions.js";
import * as scale from "./scale.js";
import { SlideView } from "./slide.js";

const LINK_MS = 250; // browsers allow about 200 new addresses in 30 s
const NOT_EMBEDDED = "This slide has no vectors: nothing on it can be compared.";
const NO_REGION = "Nothing was embedded at this place: no region lies here.";
const NO_VECTOR = "This patch has no vector: it was not embedded, having no tissue.";

const OF_A_SLIDE = ["tools", "zoom", "scale", "readout"];

let tasks = [];
let current = null; // { slide, facts, places, asking } of the slide that is open
let mark = null;
let pointed = null; // where the mouse is, level-0 px

const said = (text) => {
  $("problem").textContent = "";
  $("status").textContent = text;
};
const failed = (error) => {
  if (error.name !== "AbortError") $("problem").textContent = error.message;
};

const layers = new Layers(() => refresh(), failed);
const view = new SlideView({
  draw: (context, seen) => {
    layers.draw(context, seen);
    mark?.draw(context, seen);
    measure(seen);
  },
  moved: () => remember(),
  pointed: (point) => {
    pointed = point;
    measure(view.view());
  },
  clicked: (point) => similarAt(point),
  failed: () => failed({ message: "Parts of the slide did not come; they are asked for again when you move." }),
  recovered: () => said("Parts of the slide come again."),
});
const cohort = new Cohort((slide) => open({ slide }));
const neighbours = new Neighbours(lead, said);
neighbours.onClose = () => {
  mark = null;
  refresh();
};

function refresh() {
  view.grey(layers.isGrey());
  view.redraw();
}

/** Scale bar, magnification, coordinates and values: under the mouse, or of the middle. */
function measure(seen) {
  if (!seen || !current?.facts) return;
  const point = pointed ?? view.middle();
  scale.draw(current.facts, seen.scale);
  const line = (facts) => ([label, text]) => element("div", facts, element("dt", {}, label), element("dd", {}, text));
  const values = layers.valuesAt(point.x, point.y).map(line({ class: "map" }));
  $("readout").replaceChildren(...scale.readings(current.facts, seen.scale, point).map(line({})), ...values);
}

/** Keep the address in step with the view. */
function remember() {
  clearTimeout(remember.waiting);
  remember.waiting = setTimeout(() => {
    const middle = current?.facts && view.middle();
    if (middle) history.replaceState(null, "", link.written({ slide: current.slide, ...middle }));
  }, LINK_MS);
}

/** Open a slide, or go to a place of it; `place` has slide and perhaps x, y, zoom. */
async function open(place, { fresh = true } = {}) {
  const { slide } = place;
  if (current?.slide === slide && current.facts) {
    if (place.zoom) view.goTo(place);
    return true;
  }
  close(slide);
  if (fresh) history.pushState(null, "", link.written(place));
  const { signal } = current.asking;
  try {
    const facts = await json("/api/slide", { slide }, signal);
    if (facts.readable === false) withoutSlide(facts);
    else await show(facts, place, signal);
    return true;
  } catch (error) {
    if (error.name === "AbortError") return false;
    inPlace(trouble(error.message, () => open(place, { fresh: false })));
    return false;
  }
}

/** Leave the slide that was open, and begin another. */
function close(slide) {
  current?.asking.abort();
  clearTimeout(remember.waiting);
  current = { slide, facts: null, places: null, asking: new AbortController() };
  mark = null;
  view.close();
  layers.clear();
  predictions.clear();
  for (const id of ["start", ...OF_A_SLIDE, "slide-said"]) $(id).hidden = true;
  $("name").textContent = slide;
  $("facts").textContent = " ";
  document.title = `${slide} – hipt view`;
  cohort.mark(slide);
  said(`Opening ${slide} …`);
}

async function show(facts, place, signal) {
  $("facts").textContent = described(facts);
  for (const id of OF_A_SLIDE) $(id).hidden = false;
  await view.open(facts);
  if (signal.aborted) return;
  Object.assign(current, { facts, places: new Places(facts.slide, signal) });
  layers.show(facts, current.places, signal, tasks);
  predictions.show(facts.predictions ?? [], tasks);
  if (place.zoom) view.goTo(place, true);
  refresh();
  remember();
  said(`${facts.slide} is open. ${$("facts").textContent}`);
}

/** A slide whose file cannot be read: what is known of it all the same. */
function withoutSlide(facts) {
  $("facts").textContent = described(facts);
  predictions.show(facts.predictions ?? [], tasks);
  inPlace(trouble(facts.reason || "The slide's file cannot be read.", () => open({ slide: facts.slide }, { fresh: false })));
}

function inPlace(message) {
  said("");
  current.facts = null;
  $("slide-said").replaceChildren(message);
  $("slide-said").hidden = false;
  $("status").textContent = message.firstChild.textContent;
}

function described({ slide, case: owner, status, reason, width, height, mpp, magnification }) {
  return [
    owner && owner !== slide ? `case ${owner}` : null,
    status === "ok" ? null : `${status}${reason ? `: ${reason}` : ""}`,
    width ? `${count(width)} × ${count(height)} px` : null,
    mpp ? `${number(mpp)} µm/px` : "resolution unknown",
    magnification ? times(magnification) : null,
  ].filter(Boolean).join(" · ");
}

/** Search for what looks like the patch or region at a point. */
async function similarAt(point) {
  if (!current?.facts) return;
  const { places, slide, facts } = current;
  const patch = $("compare").querySelector(":checked").value === "patch";
  if (!facts.status_of_steps[patch ? "embed_patches" : "embed_regions"]) return neighbours.refuse(NOT_EMBEDDED);
  try {
    const place = await (patch ? places.patchAt(point.x, point.y) : places.regionAt(point.x, point.y));
    if (!place) return neighbours.refuse(NO_REGION);
    if (place.embedded === false) return neighbours.refuse(NO_VECTOR);
    mark = new Mark(place);
    refresh();
    said(`Searching for what looks like ${called(place)} …`);
    await neighbours.ask({ slide, ...place });
  } catch (error) {
    if (error.name !== "AbortError") neighbours.refuse(error.message, () => similarAt(point));
  }
}

/** Go to a neighbour's place on its slide, and mark it. */
async function lead(place, words) {
  const { slide, x, y, size } = place;
  const target = { slide, x: x + size / 2, y: y + size / 2, zoom: view.fitting(size) };
  if (!(await open(target)) || !current.facts) return;
  mark = new Mark(place);
  refresh();
  said(`${words}: marked on the slide.`);
}

async function loadCohort() {
  if (loadCohort.running) return;
  loadCohort.running = true;
  try {
    const answer = await json("/api/cohort");
    tasks = answer.tasks;
    cohort.fill(answer.slides);
    $("results").textContent = answer.results;
    const maps = answer.slides.has_map.filter(Boolean).length;
    $("start-counts").textContent =
      `${count(answer.slides.slide.length)} slides, ${count(maps)} with heatmaps; ${count(tasks.length)} tasks.`;
    $("cohort-trouble").hidden = true;
    said($("shown").textContent);
    follow();
  } catch (error) {
    $("cohort-trouble").replaceChildren(trouble(error.message, loadCohort));
    $("cohort-trouble").hidden = false;
    for (const event of ["keydown", "pointerdown"]) document.addEventListener(event, loadCohort, { once: true });
  } finally {
    loadCohort.running = false;
  }
}

/** Open what the address names. */
function follow() {
  const place = link.read(location.hash);
  if (place) open(place, { fresh: false });
}

function toggle(button, part, name) {
  const hidden = document.body.classList.toggle(name);
  $(part).hidden = hidden;
  $(button).setAttribute("aria-pressed", String(!hidden));
}

const toggleCohort = () => toggle("cohort-shown", "cohort", "no-cohort");
const togglePanel = () => toggle("panel-shown", "panel", "no-panel");
const similarInMiddle = () => current?.facts && similarAt(view.middle());
const beside = (step) => {
  const slide = cohort.beside(step);
  if (slide !== null) open({ slide });
};

function search() {
  if ($("cohort").hidden) toggleCohort();
  $("search").focus();
  $("search").select();
}

function toLayers() {
  if ($("panel").hidden) togglePanel();
  $("layers-list").querySelector("input")?.focus();
}

function otherUnit() {
  const next = $("compare").querySelector("input:not(:checked)");
  next.checked = true;
  said(`A click shows what looks like this ${next.value}.`);
}

function where() {
  const parts = [...$("readout").children].map((row) => [...row.children].map((part) => part.textContent).join(" "));
  said(parts.length ? parts.join("; ") : "No slide is open.");
}

function escape() {
  if (neighbours.open) {
    neighbours.close();
    $("surface").focus({ preventScroll: true });
  } else if (document.activeElement === $("search")) {
    $("search").value = "";
    $("search").dispatchEvent(new Event("input"));
  } else $("slides").focus();
}

listen([
  [["/"], "search the cohort", search],
  [["s"], "to the slide", () => $("surface").focus()],
  [["l"], "to the layers", toLayers],
  [["j"], "next slide of the table", () => beside(1)],
  [["k"], "slide before", () => beside(-1)],
  [["+", "="], "zoom in", () => view.zoomBy(1.5)],
  [["-", "_"], "zoom out", () => view.zoomBy(1 / 1.5)],
  [["0"], "whole slide", () => current?.facts && view.whole()],
  [["1"], "full resolution: a screen pixel for each of the slide's", () => view.full()],
  [["n"], "what looks like the middle of the view", similarInMiddle],
  [["m"], "compare patches or regions", otherUnit],
  [["w"], "say place, magnification and values", where],
  [["c"], "show or hide the cohort", toggleCohort],
  [["p"], "show or hide layers and predictions", togglePanel],
  [["?"], "this help", () => $("help").showModal()],
  [["Escape"], "close what is open, or empty the search, or back to the table", escape],
]);
$("cohort-shown").addEventListener("click", toggleCohort);
$("panel-shown").addEventListener("click", togglePanel);
$("larger").addEventListener("click", () => view.zoomBy(1.5));
$("smaller").addEventListener("click", () => view.zoomBy(1 / 1.5));
$("whole").addEventListener("click", () => view.whole());
$("full").addEventListener("click", () => view.full());
$("at-centre").addEventListener("click", similarInMiddle);
window.addEventListener("hashchange", follow);
loadCohort();
