"use strict";
// What the page does beyond being read: this file, gallery.js and dialogs.js, in this order, as one script. It stands
// in the head, so that a remembered theme holds before the first paint; everything else waits for the document. Text
// is only ever set as text: no markup is made of data.
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const numbers = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });

function make(tag, text, ...inside) {
  const made = document.createElement(tag);
  if (text !== null) made.textContent = text;
  made.append(...inside);
  return made;
}

// --- light and dark -------------------------------------------------------------------------------------------------
const root = document.documentElement;
root.classList.add("js");
const visit = {  // a browser may forbid a page from disk to remember anything
  get: () => { try { return sessionStorage.getItem("theme"); } catch { return null; } },
  set: (theme) => { try { sessionStorage.setItem("theme", theme); } catch { /* then it holds till the next page */ } },
};
if (visit.get()) root.dataset.theme = visit.get();

function startTheme() {
  const button = one("#theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const say = () => {
    const [sign, name] = isDark() ? ["☀", "Light"] : ["☾", "Dark"];
    button.replaceChildren(`${sign} `, make("span", name));
    button.setAttribute("aria-label", `${name} colours`);
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    visit.set(root.dataset.theme);
    say();
  });
  system.addEventListener("change", say);
  say();
}

// --- tables: highest first, then lowest first, then as they were ----------------------------------------------------
const NEXT = { none: "descending", descending: "ascending", ascending: "none" };

function startTable(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = all("th", table.tHead).filter((head) => one(".sort", head));
  for (const head of heads) {
    head.setAttribute("aria-sort", "none");
    one(".sort", head).addEventListener("click", () => {
      const order = NEXT[head.getAttribute("aria-sort")];
      heads.forEach((other) => other.setAttribute("aria-sort", other === head ? order : "none"));
      body.append(...sorted(rows, head.cellIndex, order));
      body.classList.toggle("sorted", order !== "none");
    });
  }
}

function sorted(rows, column, order) {
  if (order === "none") return rows;
  const value = (row) => Number.parseFloat(row.cells[column].dataset.value);
  const sign = order === "ascending" ? 1 : -1;
  const place = (row) => (row.classList.contains("reference") ? 2 : Number.isNaN(value(row)) ? 1 : 0);
  return [...rows].sort((a, b) => place(a) - place(b) || (place(a) === 0 ? sign * (value(a) - value(b)) : 0));
}

document.addEventListener("DOMContentLoaded", () => {
  startTheme();
  all("table.sortable").forEach(startTable);
  startGallery();
  startFirstLook();
  startSlider();
  startDialogs();
});
