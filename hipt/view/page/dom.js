// Elements made by script. Text is only ever set as text: nothing in an id or a sentence runs.

export const $ = (id) => document.getElementById(id);

/** An element with attributes, listeners (functions) and children (texts or elements). */
export function element(name, facts = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(facts)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (typeof value === "boolean") made.toggleAttribute(key, value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A sentence, and a button that tries again what it speaks of. */
export function trouble(sentence, again) {
  const parts = [element("p", {}, sentence)];
  if (again) parts.push(element("button", { type: "button", click: again }, "Try again"));
  return element("div", { class: "trouble" }, ...parts);
}
