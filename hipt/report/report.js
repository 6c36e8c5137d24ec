// The slide table: sorted, searched, filtered and paged in the page itself.
"use strict";
(() => {
  const ROWS_A_PAGE = 100;
  const $ = (id) => document.getElementById(id);
  const { columns, trouble } = JSON.parse($("data").textContent);
  const column = Object.fromEntries(columns.map((c) => [c.name, c]));
  const total = column.slide_id.values.length;
  const all = Array.from({ length: total }, (_, i) => i);
  const collator = new Intl.Collator("en", { numeric: true });
  const format = {
    text: (v) => v,
    count: (v) => v.toLocaleString("en"),
    number: (v) => v.toLocaleString("en", v >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 }),
    share: (v) => `${(100 * v).toFixed(1)} %`,
  };
  const texts = all.map((i) =>
    columns.filter((c) => c.kind === "text").map((c) => c.values[i] ?? "").join("\n").toLowerCase());
  const wanted = new Set();
  let sortedBy = null, ascending = true, page = 0, rows = all;

  const element = (name, facts = {}, text = null) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(facts)) made.setAttribute(key, value);
    if (text !== null) made.textContent = text;
    return made;
  };

  const compare = (values, numeric) => (a, b) => {
    const x = values[a], y = values[b];
    if (x === null || y === null) return (x === null) - (y === null); // unknown ones last, always
    const order = numeric ? x - y : collator.compare(x, y);
    return ascending ? order : -order;
  };

  const choose = () => {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    rows = all.filter((i) =>
      (!wanted.size || wanted.has(column.status.values[i])) && words.every((w) => texts[i].includes(w)));
    if (sortedBy) rows.sort(compare(sortedBy.values, sortedBy.kind !== "text"));
    page = 0;
    show();
  };

  const sortBy = (c) => {
    ascending = sortedBy === c ? !ascending : true;
    sortedBy = c;
    choose();
    $("table").querySelector(`[data-column="${c.name}"]`).focus();
  };

  const heading = (c) => {
    const facts = { scope: "col", class: c.kind === "text" ? "" : "end" };
    if (sortedBy === c) facts["aria-sort"] = ascending ? "ascending" : "descending";
    const cell = element("th", facts);
    const button = element("button", { type: "button", "data-column": c.name }, c.label);
    button.addEventListener("click", () => sortBy(c));
    cell.append(button);
    return cell;
  };

  const cellOf = (c, i) => {
    const value = c.values[i];
    const classes = [];
    if (c.kind !== "text") classes.push("end");
    if (c.name === "status" && trouble.includes(value)) classes.push("trouble");
    const facts = { "data-column": c.name };
    if (classes.length) facts.class = classes.join(" ");
    const text = value === null ? "–" : format[c.kind](value);
    return c.name === "slide_id" ? element("th", { scope: "row" }, text) : element("td", facts, text);
  };

  const show = () => {
    const shown = columns.filter((c) => c.shown);
    const head = element("thead"), body = element("tbody"), line = element("tr");
    line.append(...shown.map(heading));
    head.append(line);
    for (const i of rows.slice(page * ROWS_A_PAGE, (page + 1) * ROWS_A_PAGE)) {
      const row = element("tr");
      row.append(...shown.map((c) => cellOf(c, i)));
      body.append(row);
    }
    $("table").replaceChildren(head, body);
    const pages = Math.max(1, Math.ceil(rows.length / ROWS_A_PAGE));
    $("shown").textContent = `${format.count(rows.length)} of ${format.count(total)} slides`;
    $("page").textContent = `page ${page + 1} of ${pages}`;
    $("pages").hidden = pages === 1;
    $("back").disabled = page === 0;
    $("on").disabled = page === pages - 1;
  };

  const turn = (by) => { page += by; show(); $("slides").scrollIntoView(); };

  // A cell that a spreadsheet would compute is written as text.
  const quoted = (value) => {
    const text = value === null ? "" : String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };

  const download = () => {
    const lines = [columns.map((c) => c.name), ...rows.map((i) => columns.map((c) => c.values[i]))];
    const text = lines.map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    element("a", { href: address, download: "slides.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  };

  for (const status of new Set(column.status.values)) {
    const count = column.status.values.filter((s) => s === status).length;
    const button = element("button", { type: "button", "aria-pressed": "false", "data-status": status },
      `${status} ${format.count(count)}`);
    button.addEventListener("click", () => {
      const on = !wanted.delete(status) && Boolean(wanted.add(status));
      button.setAttribute("aria-pressed", on);
      choose();
    });
    $("filters").append(button);
  }
  for (const c of columns) {
    const box = element("input", { type: "checkbox" }), label = element("label");
    box.checked = c.shown;
    box.addEventListener("change", () => { c.shown = box.checked; show(); });
    label.append(box, ` ${c.label}`);
    $("columns").append(label);
  }
  $("search").addEventListener("input", choose);
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("csv").addEventListener("click", download);
  $("back").addEventListener("click", () => turn(-1));
  $("on").addEventListener("click", () => turn(1));
  $("controls").hidden = false;
  show();
})();
