// The slide's predictions out of fold, each beside the truth.

import { $, element } from "./dom.js";
import { number, share } from "./numbers.js";

/** Show a slide's predictions; `tasks` are the names of all tasks of the results. */
export function show(predictions, tasks) {
  const list = $("predictions-list");
  if (!tasks.length) return list.replaceChildren(soft("These results have no tasks."));
  const shown = tasks.map((task) => section(task, predictions.filter((one) => one.task === task)));
  return list.replaceChildren(...shown);
}

export function clear() {
  $("predictions-list").replaceChildren(soft("Of an open slide."));
}

const soft = (text) => element("p", { class: "soft" }, text);

function section(task, rows) {
  const body = rows.length ? table(rows) : [soft("No prediction: this slide was in no test part.")];
  return element("section", { class: "task", "aria-label": task }, element("h3", {}, task), ...body);
}

function table(rows) {
  const survival = rows[0].kind === "survival";
  const head = survival ? ["model", "risk"] : ["model", "predicted", "scores"];
  const made = element("table", {},
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map((row) => (survival ? risk(row) : classes(row)))));
  return [element("p", { class: "truth" }, "truth: ", element("b", {}, truth(rows[0], survival))), made];
}

function truth(row, survival) {
  if (!survival) return text(row.truth);
  if (row.months === null || row.months === undefined) return "–";
  return `${row.event ? "event" : "censored"} at ${number(row.months)} months`;
}

const text = (value) => (value === null || value === undefined ? "–" : String(value));

const foldOf = ({ fold, fraction }) =>
  `fold ${text(fold)}${fraction && fraction !== "1" ? `, ${fraction} of the training part` : ""}`;

const modelCell = (row) => element("th", { scope: "row" }, row.model, element("small", {}, foldOf(row)));

function risk(row) {
  return element("tr", {}, modelCell(row), element("td", {}, number(row.scores?.risk)));
}

function classes(row) {
  const right = row.truth === null || row.truth === undefined ? null : text(row.truth) === text(row.predicted);
  const verdict = { true: ["right", "✓"], false: ["wrong", "✗"], null: ["", ""] }[right];
  const said = element("td", { class: verdict[0] }, `${verdict[1]} ${text(row.predicted)}`.trim(),
    element("span", { class: "unseen" }, verdict[0] ? ` (${verdict[0]})` : ""));
  const bars = Object.entries(row.scores ?? {}).map(([name, p]) => bar(name, p));
  return element("tr", {}, modelCell(row), said, element("td", {}, ...bars));
}

function bar(name, p) {
  const meter = element("meter", { min: 0, max: 1, "aria-label": name });
  meter.value = p;
  return element("div", { class: "score" }, element("span", { title: name }, name), meter, element("span", {}, share(p)));
}
