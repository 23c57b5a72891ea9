"""The report in a real browser: it loads in silence and alone, and what a reader can press does what it says."""

import shutil

import made_tables
import pytest

from madi import shards
from madi.records import SAMPLE
from madi.tables import page

HOSTILE = "</p><img src=x onerror=\"window.taken = 1\"><script>window.taken = 1</script> \u2028 'make it' {colour}"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    sync_playwright = None
WANTED = "the report is not tried in a browser: install chromium (apt install chromium) and playwright (make venv)"
if not (BROWSER and sync_playwright):
    pytest.skip(WANTED, allow_module_level=True)
pytestmark = pytest.mark.xdist_group("browser")  # one browser and one page for all


@pytest.fixture(scope="module")
def report(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "plot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="840" height="340"></svg>')
    plots = dict.fromkeys(made.source.spec.figures, folder / "plot.svg")
    samples = made.samples | {"idea_bench": folder / "hostile.parquet"}
    shards.write(samples["idea_bench"], made_tables.sample_rows("idea_bench", HOSTILE), SAMPLE)
    out = folder / "report.html"
    html = page.render(made.config, made.cells, made.frame(), samples, [made.edits], plots)
    out.write_text(html, encoding="utf-8")
    return out.as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def opens(browser, report):
    """`opens(**context)`: the report in a fresh context. After the test nothing was fetched and nothing complained."""
    contexts, said = [], []

    def load(width=1300, height=900, **context):
        still = {"reduced_motion": "reduce"}  # what glides is not yet where it will be when it is measured
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **still, **context))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda asked: asked.url.startswith(("data:", report)) or said.append(f"fetched {asked.url}"))
        tab.goto(report)
        return tab

    load.said = said
    yield load
    for context in contexts:
        context.close()
    assert said == []


def test_nothing_is_fetched_even_when_asked_for(opens):
    """The page forbids itself any network: even its own script could not reach out."""
    tab = opens()
    blocked = "new Promise(done => addEventListener('securitypolicyviolation', e => done(e.effectiveDirective)))"
    image = "Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'})"
    assert tab.evaluate(f"(() => {{ const seen = {blocked}; {image}; return seen }})()") == "img-src"
    assert any("Content Security Policy" in message for message in opens.said)
    opens.said.clear()


@pytest.mark.parametrize("width", [390, 1300])
def test_the_page_never_scrolls_sideways(opens, width):
    tab = opens(width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for opener in (".cell", "#cards .edit"):
        tab.locator(opener).first.click()
        assert tab.evaluate("document.querySelector('dialog[open]').scrollWidth") <= width
        tab.keyboard.press("Escape")


def test_a_wide_table_scrolls_in_its_box_and_its_first_column_stays(opens):
    tab = opens(390)
    box = "document.querySelector('[id=\"table-1\"] .wide')"
    before = tab.evaluate(f"{box}.querySelector('tbody th').getBoundingClientRect().left")
    tab.evaluate(f"{box}.scrollLeft = 200")
    assert tab.evaluate(f"{box}.scrollLeft") == 200
    assert tab.evaluate(f"{box}.querySelector('tbody th').getBoundingClientRect().left") == pytest.approx(before)


def brightness(tab):
    colour = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3


def test_dark_is_dark_and_the_button_is_remembered_for_the_visit(opens):
    tab = opens(color_scheme="dark")
    assert brightness(tab) < 60
    tab.click("#theme")
    assert brightness(tab) > 200
    tab.reload()
    assert brightness(tab) > 200
    assert brightness(opens(color_scheme="light")) > 200


def test_print_is_light_and_has_no_controls(opens):
    tab = opens(color_scheme="dark")
    tab.emulate_media(media="print")
    assert brightness(tab) > 200
    assert not tab.is_visible("#filters") and not tab.is_visible("nav")


def shown(tab, what=""):
    return tab.evaluate(f"document.querySelectorAll('#cards .sample:not([hidden]) {what}').length")


def test_filters_narrow_and_the_count_says_so(opens):
    tab = opens()
    every = shown(tab)
    tab.select_option("[name=benchmark]", "magicbrush")
    assert 0 < shown(tab) < every
    assert tab.inner_text("#count").startswith(f"{shown(tab)} of {every} samples shown")
    assert tab.get_attribute("#count", "aria-live") == "polite"
    tab.select_option("[name=kind]", "task:style")
    assert set(tab.eval_on_selector_all("#cards .sample:not([hidden])", "c => c.map(x => x.dataset.kinds)")) == {
        "task:style"
    }
    tab.select_option("[name=kind]", "")
    tab.select_option("[name=system]", "magd_ep")
    tab.select_option("[name=pause]", "8")
    visible = "c => c.filter(x => x.offsetParent).map(x => [x.closest('.set').dataset.system, x.dataset.pause])"
    found = tab.eval_on_selector_all("#cards figure[data-pause]", visible)
    assert found and all(one == ["magd_ep", "8"] for one in found)
    tab.click("#filters [type=reset]")
    expect(tab.locator("#cards .sample:not([hidden])")).to_have_count(every)  # fields are reset after the click


def test_a_reason_is_a_filter(opens):
    tab = opens()
    tab.select_option("[name=why]", "apart")
    found = tab.eval_on_selector_all("#cards .sample:not([hidden])", "c => c.map(x => x.dataset.why)")
    assert found and all("apart" in why.split() for why in found)


def visible_scores(tab, name):
    """Of each shown card in order, the scores of its visible edits."""
    return tab.eval_on_selector_all(
        "#cards .sample:not([hidden])",
        "(c, name) => c.map(x => [...x.querySelectorAll('figure[data-pause]')]"
        ".filter(f => f.offsetParent && f.dataset[name]).map(f => +f.dataset[name]))",
        name,
    )


def test_a_score_range_leaves_edits_within_it(opens):
    tab = opens()
    for score in ("dir", "dino", "judge"):
        every = sorted(value for card in visible_scores(tab, score) for value in card)
        low, high = every[len(every) // 3], every[2 * len(every) // 3]
        tab.select_option("[name=score]", score)
        tab.fill("[name=from]", str(low))
        tab.fill("[name=to]", str(high))
        left = visible_scores(tab, score)
        assert sorted(value for card in left for value in card) == [value for value in every if low <= value <= high]
        assert all(left)  # no card is left without an edit
        tab.fill("[name=from]", "")
        tab.fill("[name=to]", "")


def test_sorting_of_cards(opens):
    tab = opens()
    file_order = tab.eval_on_selector_all("#cards .sample", "c => c.map(x => x.id)")
    for order, name, best in (("high", "dir", max), ("low", "dir", min), ("apart", "apart", max)):
        tab.select_option("[name=order]", order)
        found = [best(card) for card in visible_scores(tab, name) if card]
        assert found == sorted(found, reverse=order != "low") and len(set(found)) > 1
    tab.select_option("[name=order]", "")
    assert tab.eval_on_selector_all("#cards .sample", "c => c.map(x => x.id)") == file_order


def test_the_slider_wipes_steps_and_gives_the_focus_back(opens):
    tab = opens()
    edit = tab.locator("#cards .edit").nth(2)
    edit.focus()
    tab.keyboard.press("Enter")
    assert tab.is_visible("#compare")
    card = "document.querySelectorAll('#cards .edit')[2].closest('.sample')"
    assert tab.inner_text("#compare-title") == tab.evaluate(f"{card}.querySelector('.instruction').textContent")
    over = tab.get_attribute("#compare-over", "src")
    assert over == tab.get_attribute("#cards .edit >> nth=2 >> img", "src")
    assert tab.get_attribute("#compare-under", "src") == tab.evaluate(f"{card}.querySelector('.given img').src")
    assert "CLIP-Dir" in tab.inner_text("#compare-facts") and "System" in tab.inner_text("#compare-facts")

    clips = []
    for place in ("0", "50", "100"):
        tab.fill("#compare-wipe", place)
        clips.append(tab.evaluate("getComputedStyle(document.querySelector('#compare-over')).clipPath"))
    assert [clip.split()[-1].rstrip(")") for clip in clips] in (["0%", "50%", "100%"], ["0px", "50%", "100%"])
    tab.focus("#compare-wipe")
    tab.keyboard.press("ArrowLeft")
    assert tab.input_value("#compare-wipe") == "99"
    assert tab.get_attribute("#compare-over", "src") == over

    tab.focus("#compare-next")
    tab.keyboard.press("ArrowRight")
    assert tab.get_attribute("#compare-over", "src") == tab.get_attribute("#cards .edit >> nth=3 >> img", "src")
    tab.click("#compare-previous")
    assert tab.get_attribute("#compare-over", "src") == over
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#compare")
    assert tab.evaluate("document.activeElement.dataset.edit") == edit.get_attribute("data-edit")


def test_the_slider_steps_through_what_is_shown_only(opens):
    tab = opens()
    tab.select_option("[name=benchmark]", "idea_bench")
    tab.select_option("[name=system]", "magd_ep")
    tab.locator("#cards .edit:visible").first.click()
    assert tab.inner_text("#compare-place").endswith(f"of {shown(tab, '.set:not([hidden]) .edit')}")
    for _ in range(3):
        assert "MAgD + EP" in tab.inner_text("#compare-facts")
        tab.keyboard.press("ArrowRight")
    assert tab.eval_on_selector_all("#compare-with option", "o => o.map(x => x.text)") == [
        *("source 1", "source 2"),
        "one right answer",
    ]


def test_text_from_data_stays_text(opens):
    tab = opens()
    tab.select_option("[name=benchmark]", "idea_bench")
    wanted = made_tables.sample_rows("idea_bench", HOSTILE)[0]["instruction"]
    instructions = tab.eval_on_selector_all(".sample:not([hidden]) .instruction", "i => i.map(x => x.textContent)")
    assert wanted in instructions
    tab.locator("#cards .edit:visible").first.click()
    assert tab.evaluate("document.querySelector('#compare-title').textContent") in instructions
    assert tab.evaluate("window.taken === undefined && !document.querySelector('img[src=x]')")


def column(tab, table, index):
    return tab.eval_on_selector_all(
        f'[id="{table}"] tbody >> nth=0 >> tr',
        "(rows, i) => rows.map(r => [r.cells[0].innerText, parseFloat(r.cells[i].dataset.value), r.className])",
        index,
    )


def test_tables_sort_and_references_stay_at_the_end(opens):
    tab = opens()
    before = column(tab, "table-2", 4)
    head = tab.locator('[id="table-2"] th', has_text="CLIP-Dir")
    for said, reverse in (("descending", True), ("ascending", False)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == said
        rows = column(tab, "table-2", 4)
        mine = [value for _, value, kind in rows if "reference" not in kind and value == value]
        assert mine == sorted(mine, reverse=reverse) and len(mine) > 3
        assert rows[-4:] == before[-4:] and all("reference" in kind for _, _, kind in rows[-4:])
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert str(column(tab, "table-2", 4)) == str(before)


def test_a_cell_shows_the_samples_behind_it_and_leads_to_them(opens, made):
    tab = opens()
    cell = made.cell("1", "emu_edit", "magd_ep_scaled", "CLIP-Dir")
    button = tab.locator("[data-cell='1/emu_edit/magd_ep_scaled/CLIP-Dir']")
    button.focus()
    tab.keyboard.press("Enter")
    said = tab.inner_text("#opened")
    for wanted in (cell["label"], cell["text"], f"n {cell['n']}", cell["digest"], "MAgD + EP", "0, 8, 16, 32"):
        assert wanted in said
    assert "highest CLIP-Dir" in said and f"{cell['excluded']} excluded" in said and cell["reported"] in said
    assert tab.inner_text("#opened-command") == 'madi trace results/demo "1/emu_edit/magd_ep_scaled/CLIP-Dir"'
    assert tab.locator("#opened tbody tr").count() == min(24, cell["n"])
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#opened")
    assert tab.evaluate("document.activeElement.dataset.cell") == "1/emu_edit/magd_ep_scaled/CLIP-Dir"

    tab.select_option("[name=benchmark]", "geneval")  # the card that is led to is hidden
    button.click()
    link = tab.locator("#opened a").first
    sample = link.evaluate("a => a.closest('tr').cells[0].textContent")
    link.click()
    assert not tab.is_visible("#opened")
    assert tab.evaluate("document.activeElement.querySelector('.id').textContent") == sample
    assert tab.evaluate("document.activeElement.getBoundingClientRect().top") >= 0


def test_without_scripts_everything_is_shown_and_the_page_says_so(opens):
    tab = opens(java_script_enabled=False)
    assert tab.locator("#cards .sample").count() == tab.locator("#cards .sample:visible").count() > 0
    assert tab.is_visible("noscript p") and not tab.is_visible("#filters") and not tab.is_visible("#theme")


def test_the_skip_link_is_the_first_stop(opens):
    tab = opens()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.querySelector('main').contains(document.activeElement)")
