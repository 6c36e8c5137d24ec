// The slide's predictions out of fold, each beside the truth.

import { $, element } from "./dom.js";
import { number, share } from "./numbers.js";

const MOST_CLASSES = 4; // with a column each; of more, the likeliest and the true one are said

/** Show a slide's predictions; `tasks` are the names of all tasks of the results. */
export function show(predictions, tasks) {
  const none = soft("These results have no tasks.");
  const sections = tasks.map((task) => section(task, predictions.filter((row) => row.task === task)));
  $("predictions-list").replaceChildren(...(tasks.length ? sections : [none]));
}

export function clear() {
  $("predictions-list").replaceChildren(soft("Of an open slide."));
}

const soft = (text) => element("p", { class: "soft" }, text);
const none = (value) => value === null || value === undefined;
const shown = (value) => (none(value) ? "–" : String(value));

function section(task, rows) {
  const body = rows.length ? [truth(rows[0]), table(rows)] : [soft("No prediction: this slide was in no test part.")];
  return element("section", { class: "task", "aria-label": task }, element("h3", {}, task), ...body);
}

function truth({ kind, truth: known, months, event }) {
  const survived = none(months) ? "–" : `${event ? "event" : "censored"} at ${number(months)} months`;
  return element("p", {}, "truth: ", element("b", {}, kind === "survival" ? survived : shown(known)));
}

function table(rows) {
  const classes = Object.keys(rows[0].scores ?? {});
  const survival = rows[0].kind === "survival";
  const wide = !survival && classes.length <= MOST_CLASSES;
  const columns = survival ? ["risk"] : wide ? classes : ["predicted", "of the truth"];
  const cells = survival ? risk : wide ? (row) => classes.map((name) => score(row, name)) : likeliest;
  const head = ["model", ...columns].map((text) => element("th", { scope: "col" }, text));
  const body = rows.map((row) => element("tr", {}, model(row), ...cells(row)));
  const made = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  return element("div", { class: "wide" }, made);
}

function model({ model: name, fold, fraction }) {
  const part = fraction && fraction !== "1" ? `, ${fraction} of the training part` : "";
  return element("th", { scope: "row" }, name, element("small", {}, `fold ${shown(fold)}${part}`));
}

const risk = ({ scores }) => [element("td", {}, number(scores?.risk))];

/** The probability of a class; of the predicted one also whether that is right. */
function score(row, name) {
  const p = share(row.scores[name]);
  if (shown(row.predicted) !== name) return element("td", {}, p);
  return verdict(row, p);
}

function likeliest(row) {
  const name = shown(row.predicted);
  return [verdict(row, `${name} ${share(row.scores?.[name])}`), element("td", {}, share(row.scores?.[shown(row.truth)]))];
}

function verdict({ predicted, truth: known }, text) {
  if (none(known)) return element("td", { class: "predicted" }, text, unseen(" (predicted)"));
  const right = shown(predicted) === shown(known);
  const mark = element("span", { "aria-hidden": "true" }, right ? "✓ " : "✗ ");
  return element("td", { class: right ? "right" : "wrong" }, mark, text, unseen(` (predicted, ${right ? "right" : "wrong"})`));
}

const unseen = (text) => element("span", { class: "unseen" }, text);
