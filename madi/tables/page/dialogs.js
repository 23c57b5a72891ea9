// --- the slider between an edit and what it is held against ---------------------------------------------------------
const slider = { edits: [], at: 0 };

function openSlider(number) {
  const original = one(`#cards [data-edit="${number}"]`);
  const visible = all("#cards .edit").filter((edit) => !edit.closest("[hidden]"));
  slider.edits = visible.includes(original) ? visible : all("#cards .edit");
  one("#compare-wipe").value = 50;
  wipe();
  showEdit(slider.edits.indexOf(original));
  one("#compare").showModal();
  one("#compare-next").focus();  // so that arrow keys step at once; on the slider they wipe
}

function showEdit(at) {
  slider.at = (at + slider.edits.length) % slider.edits.length;
  const edit = slider.edits[slider.at];
  const card = edit.closest(".sample");
  one("#compare-over").src = one("img", edit).src;
  one("#compare-over").alt = one("img", edit).alt;
  one("#compare-title").textContent = one(".instruction", card).textContent;
  const place = `${slider.at + 1} of ${slider.edits.length}`;
  one("#compare-place").textContent = `${one(".place", card).textContent} · ${place}`;
  one("#compare-facts").replaceChildren(...facts(edit, card));
  const choices = all(".given img", card).map((image, i) => Object.assign(make("option", image.alt), { value: i }));
  one("#compare-with").replaceChildren(...choices);
  hold();
}

function facts(edit, card) {
  const { pause, ...scores } = edit.closest("figure").dataset;
  const options = all("[name=score] option", gallery.form);
  const names = Object.fromEntries(options.map((option) => [option.value, option.text]));
  const told = [["System", one(".system", edit.closest(".set")).textContent], ["Pauses", pause]];
  for (const [name, value] of Object.entries(scores)) told.push([names[name] ?? "disagreement", numbers.format(value)]);
  one("#compare-apart").hidden = !scores.apart;
  const mark = one(".mark", edit.closest("figure"));
  if (mark) told.push(["Oracle", mark.textContent]);
  told.push(["Sample", one(".id", card).textContent]);
  return described(told);
}

const described = (pairs) => pairs.flatMap(([term, words]) => [make("dt", term), make("dd", words)]);

function hold() {  // lay the edit over one of the pictures given; text to image has a right answer only
  const image = all(".given img", slider.edits[slider.at].closest(".sample"))[Number(one("#compare-with").value)];
  one("#compare-under").src = image ? image.src : one("#compare-over").src;
  one("#compare-under").alt = one("#compare-left").textContent = image ? image.alt : "";
}

const wipe = () => one(".stage").style.setProperty("--at", `${one("#compare-wipe").value}%`);

function startSlider() {
  const dialog = one("#compare");
  const step = (by) => showEdit(slider.at + by);
  one("#compare-wipe").addEventListener("input", wipe);
  one("#compare-with").addEventListener("change", hold);
  one("#compare-previous").addEventListener("click", () => step(-1));
  one("#compare-next").addEventListener("click", () => step(1));
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && !event.target.matches("input, select")) step(by);
  });
  const drag = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = one(".stage").getBoundingClientRect();
    one("#compare-wipe").value = (100 * (event.clientX - box.left)) / box.width;
    wipe();
  };
  for (const type of ["pointerdown", "pointermove"]) one(".stage").addEventListener(type, drag);
}

// --- what is behind a cell ------------------------------------------------------------------------------------------
function openCell(key) {
  const behind = JSON.parse(one("#behind").textContent);
  const cell = behind.cells[key];
  one("#opened-title").textContent = cell.label;
  const interval = cell.interval ? `95 % interval ${cell.interval}` : "no interval";
  const small = [interval, cell.counts && `n ${cell.counts[0]}, ${cell.counts[1]} excluded, ${cell.counts[2]} missing`];
  const paper = cell.paper ? `the paper: ${cell.paper}` : "the paper gives no value";
  const told = (cell.counts ? [...small, paper] : [cell.note, paper]).map((words) => make("small", words));
  one("#opened-number").replaceChildren(cell.text, ...told);
  one("#opened-parts").replaceChildren(...cell.parts.flatMap((part, i) => partOf(part, i, cell.parts.length, behind)));
  one("#opened-command").textContent = cell.command;
  one("#opened-copy").textContent = "Copy";
  one("#opened-digest").textContent = cell.digest;
  one("#opened").showModal();
  one("#opened").scrollTop = 0;
}

function partOf(part, i, count, behind) {
  const heading = count > 1 ? [make("h4", i ? "The row it is held against" : "The row that gains")] : [];
  const facts = make("dl", null, ...described(part.asked));
  const pooled = new Set(part.units.map((unit) => unit[4])).size > 1;  // training seeds: each unit then says whose
  const names = ["Sample", "Value", "Pauses", "Seed", ...(pooled ? ["Editor"] : []), "Card"];
  const head = make("tr", null, ...names.map((name) => make("th", name)));
  const rows = part.units.map((unit) => unitOf(unit, pooled, behind));
  const half = rows.length / 2;
  if (part.of > rows.length) {
    const gap = Object.assign(make("td", `${part.of - rows.length} between`), { colSpan: names.length });
    rows.splice(half, 0, Object.assign(make("tr", null, gap), { className: "gap" }));
  }
  const box = make("div", null, make("table", null, make("thead", null, head), make("tbody", null, ...rows)));
  box.className = "wide";
  box.tabIndex = 0;
  return [...heading, facts, box];
}

function unitOf([sample, value, pause, seed, system], pooled, behind) {
  const [id, card] = behind.samples[sample];
  const link = card === null ? "" : Object.assign(make("a", "pictures"), { href: `#card-${card}` });
  const shown = [id, numbers.format(value), pause, seed, ...(pooled ? [behind.systems[system]] : []), link];
  return make("tr", null, ...shown.map((each) => make("td", null, each)));
}

async function copyCommand() {
  const code = one("#opened-command");
  try {
    await navigator.clipboard.writeText(code.textContent);
    one("#opened-copy").textContent = "Copied";
  } catch {  // not allowed: leave it selected, one key away
    getSelection().selectAllChildren(code);
  }
}

function goToCard(hash) {
  const card = one(hash);
  one("#opened").close();
  if (card.hidden) {
    gallery.form.reset();
    narrow();
  }
  card.scrollIntoView();
  card.focus({ preventScroll: true });
}

function startDialogs() {
  for (const dialog of all("dialog")) {
    one(".close", dialog).addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });  // beside it
  }
  one("#opened-copy").addEventListener("click", copyCommand);
  document.addEventListener("click", (event) => {
    const found = event.target.closest("[data-edit], [data-cell], #opened a[href^='#card-']");
    if (found?.dataset.edit) openSlider(found.dataset.edit);
    else if (found?.dataset.cell) openCell(found.dataset.cell);
    else if (found) { event.preventDefault(); goToCard(found.getAttribute("href")); }
  });
}
