// --- pictures: which cards and edits are shown ----------------------------------------------------------------------
const gallery = { form: null, cards: [] };  // a card: its element, its data, its figures of edits

function startGallery() {
  gallery.form = one("#filters");
  gallery.cards = all("#cards .sample").map((element) => ({ element, sets: all(".set[data-system]", element) }));
  if (!gallery.form) return;
  gallery.form.addEventListener("input", narrow);
  gallery.form.addEventListener("submit", (event) => event.preventDefault());
  gallery.form.addEventListener("reset", () => setTimeout(narrow));  // fields are reset after the event
  if (matchMedia("(max-width: 760px)").matches) one("details", gallery.form).open = false;
  // A card that is jumped to must not end up beneath the filters, however many lines they take.
  new ResizeObserver(() => root.style.setProperty("--filters", `${gallery.form.offsetHeight}px`)).observe(gallery.form);
  narrow();
}

function narrow() {
  offerKinds();
  const ask = Object.fromEntries(new FormData(gallery.form));
  const found = gallery.cards.map(({ element, sets }) => ({ element, figures: fitting({ element, sets }, ask) }));
  for (const { element, figures } of found) element.hidden = figures === null;
  const left = found.filter(({ figures }) => figures !== null);
  const place = ({ figures }) => (figures === null ? Infinity : ask.order ? rank(figures, ask) : 0);
  arrange([...found].sort((a, b) => place(a) - place(b) || 0).map(({ element }) => element));
  const edits = left.reduce((sum, { figures }) => sum + figures.length, 0);
  one("#count").textContent = `${left.length} of ${gallery.cards.length} samples shown, ${edits} edits`;
  offerRange(ask.score);
}

function arrange(elements) {  // sorting is stable, so equal ones stay in the order of the file
  const list = one("#cards");
  // What is moved loses the focus: a card that was led to must not be moved for nothing.
  if (elements.some((element, i) => element !== list.children[i])) list.append(...elements);
}

function fitting(card, ask) {  // the figures of a card that fit, null if the card does not
  const { benchmark, kinds, why } = card.element.dataset;
  const figures = [];
  for (const set of card.sets) {
    const mine = all("figure", set).filter((figure) => {
      const asked = fits(set.dataset.system, ask.system) && fits(figure.dataset.pause, ask.pause);
      figure.hidden = !(asked && within(figure, ask));
      return !figure.hidden;
    });
    set.hidden = mine.length === 0;
    figures.push(...mine);
  }
  const kind = !ask.kind || kinds.split("|").includes(ask.kind);
  const reason = !ask.why || why.split(" ").includes(ask.why);
  const asksEdits = ask.system || ask.pause || ask.from || ask.to;
  return fits(benchmark, ask.benchmark) && kind && reason && (figures.length || !asksEdits) ? figures : null;
}

const fits = (value, wanted) => !wanted || value === wanted;

function within(figure, ask) {  // once a range is asked for, edits without the score are out
  if (!ask.from && !ask.to) return true;
  const value = Number.parseFloat(figure.dataset[ask.score]);
  return (!ask.from || value >= Number(ask.from)) && (!ask.to || value <= Number(ask.to)) && !Number.isNaN(value);
}

function rank(figures, ask) {  // less is earlier; cards without the score come last
  const name = ask.order === "apart" ? "apart" : ask.score;
  const values = figures.map((figure) => Number.parseFloat(figure.dataset[name])).filter(Number.isFinite);
  if (!values.length) return Number.MAX_VALUE;
  return ask.order === "low" ? Math.min(...values) : -Math.max(...values);
}

function offerKinds() {  // only kinds that the chosen benchmark has
  const { benchmark, kind } = gallery.form.elements;
  for (const option of all("option[data-benchmarks]", kind)) {
    const there = !benchmark.value || option.dataset.benchmarks.split(" ").includes(benchmark.value);
    option.hidden = option.disabled = !there;
    if (option.disabled && option.selected) kind.value = "";
  }
  for (const group of all("optgroup", kind)) group.hidden = all("option", group).every((option) => option.hidden);
}

function offerRange(score) {  // the least and the most there is, as a hint
  const values = all(`#cards figure[data-${score}]`).map((figure) => Number.parseFloat(figure.dataset[score]));
  const ends = values.length ? [Math.min(...values), Math.max(...values)] : ["", ""];
  for (const [i, name] of ["from", "to"].entries()) {
    gallery.form.elements[name].placeholder = values.length ? numbers.format(ends[i]) : "";
  }
}

function startFirstLook() {  // copies of the first cards, edits without pauses only: the file holds each picture once
  const seeded = gallery.cards.filter(({ element }) => element.dataset.why.split(" ").includes("seeded"));
  for (const { element } of seeded.slice(0, 3)) {
    const copy = element.cloneNode(true);
    copy.removeAttribute("id");
    all("figure[data-pause]:not([data-pause='0'])", copy).forEach((figure) => figure.remove());
    all("[data-pause] figcaption", copy).forEach((caption) => caption.replaceChildren(...all(".mark", caption)));
    one("#first-cards").append(copy);
  }
  one("#first").hidden = !seeded.length;
}
