// Keys that work anywhere on the page, and the list of them in the help.

import { $, element } from "./dom.js";

const TYPED = "input[type=search], input[type=text], textarea, select";
const ELSEWHERE = [
  ["↑ ↓ ← →", "in the slide: move; with Shift, by nearly a whole view"],
  ["↑ ↓ Page Home End Enter", "in the cohort: choose a slide, open it"],
  ["Tab, Space, ← →", "in the layers: go on, switch, change opacity"],
];

/** `actions` are [keys, what they do, function]; the first key of each is shown. */
export function listen(actions) {
  const shown = [...actions.map(([keys, words]) => [keys[0], words]), ...ELSEWHERE];
  const rows = shown.map(([keys, words]) =>
    element("tr", {}, element("th", { scope: "row" }, ...keys.split(" ").map((key) => element("kbd", {}, key))), element("td", {}, words)));
  $("keys").tBodies[0].replaceChildren(...rows);
  const help = $("help");
  $("help-open").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || help.open) return;
    const escape = event.key === "Escape";
    if (!escape && (event.target.matches?.(TYPED) || !$("single-keys").checked)) return;
    const action = actions.find(([keys]) => keys.includes(event.key));
    if (!action) return;
    event.preventDefault();
    action[2]();
  });
}
