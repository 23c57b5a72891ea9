"""Files: the same bytes each time, what is bold, what is marked, and nothing from data taken as markup."""

import base64
import csv
import hashlib
import io
import re

import made_tables
import pytest
from typer.testing import CliRunner

from madi import shards
from madi.config import TablesSlice, read
from madi.records import CELL, LINEAGE, SCORE
from madi.tables import grids, page, write
from madi.tables.figures import declared
from madi.tables.verbs import app

TABLES = [*map(str, range(1, 11)), "complex_edit", "idea_bench"]


def build_args(made, out):
    samples = [x for name, path in made.samples.items() for x in ("--samples", f"{name}={path}")]
    return [
        *("build", "--config", str(made.slice_file), *samples, "--scores", str(made.scores)),
        *("--edits", str(made.edits), "--out-folder", str(out / "tables"), "--figures-folder", str(out / "figures")),
        *("--cells", str(out / "cells.parquet"), "--lineage", str(out / "lineage.parquet")),
    ]


def page_args(made, out):
    samples = [x for name, path in made.samples.items() for x in ("--samples", f"{name}={path}")]
    return [
        *("page", "--config", str(made.slice_file), "--cells", str(out / "cells.parquet"), *samples),
        *("--scores", str(made.scores), "--edits", str(made.edits), "--figures-folder", str(out / "figures")),
        *("--out", str(out / "report.html")),
    ]


def run(*args):
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


@pytest.fixture(scope="module")
def out(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    run(*build_args(made, folder))
    run(*page_args(made, folder))
    return folder


def test_every_table_and_figure_is_written(out):
    for name in TABLES:
        for ending in ("csv", "md", "tex"):
            assert (out / "tables" / f"table_{name}.{ending}").stat().st_size > 100
    for number in (6, 7, 8):
        assert (out / "figures" / f"figure_{number}.svg").exists()
        assert (out / "figures" / f"figure_{number}.png").read_bytes()[:4] == b"\x89PNG"


def test_a_second_run_gives_the_same_bytes(made, out, tmp_path):
    run(*build_args(made, tmp_path))
    run(*page_args(made, tmp_path))
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    plots = 2 * (len(made.source.spec.figures) + 2)  # validity and training beside the declared ones
    assert len(files) == len(made.source.spec.tables) * 3 + 1 + plots + 1 + 3
    for name in files:
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_records_read_back(made, out):
    cells = shards.read(out / "cells.parquet", CELL)
    assert cells == made.cells
    assert shards.read(out / "lineage.parquet", LINEAGE) == made.lineage


def test_csv_holds_each_cell_once(made, out):
    rows = list(csv.DictReader(io.StringIO((out / "tables" / "table_2.csv").read_text())))
    assert len(rows) == (6 + 4) * 9
    row = next(r for r in rows if (r["row"], r["column"]) == ("magd_ep", "DINO"))
    cell = made.cell("2", "emu_edit", "magd_ep", "DINO")
    assert float(row["value"]) == cell["value"] and row["reported"] == "0.927"


def view(**changes):
    base = dict(
        text="0.5", interval="[0.4, 0.6]", reported="", note="", best=False, second=False, counts="n = 3", cell={}
    )
    return write.View(**{**base, **changes})


def test_bold_and_marks():
    assert write.markdown_cell(view(best=True)) == "**0.5** [0.4, 0.6]"
    assert write.markdown_cell(view()) == "0.5 [0.4, 0.6]"
    gone = view(text="–", interval="", reported="0.917", note="not run at this scale")
    assert write.markdown_cell(gone) == "–† (paper: 0.917)"
    assert write.tex_cell(view(best=True)).startswith(r"\textbf{0.5}")
    assert write.tex_cell(view(text="50%", interval="")) == r"50\%"


def test_tables_say_their_limits_and_their_bars(made, out):
    text = (out / "tables" / "table_3.md").read_text()
    assert "Intervals cover samples, not training seeds: no verdict" in text
    assert f"DINO ≥ {made.source.bars['dino']:.3f} (paper: 0.91)" in text


def test_latex_says_what_markdown_says(made, out):
    """Caption, bars, what bold and the marks mean, and that one training seed gives no verdict."""
    for name in TABLES:
        text = (out / "tables" / f"table_{name}.tex").read_text()
        assert text.isascii()
        assert text.count(r"\begin{table}") == text.count(r"\caption{") == text.count(r"\end{table}") == 1
        assert "Intervals cover samples, not training seeds: no verdict" in text
        assert f"Bold: {write.BOLD}" in text
        assert r"$^\dagger$ not run at this scale. $^\ddagger$ no public weights." in text
        caption = write.heading(made.source.spec.tables[name].caption, made.source.bars, made.source.spec)
        assert write.tex(caption) in text
    third = (out / "tables" / "table_3.tex").read_text()
    assert rf"DINO $\geq$ {made.source.bars['dino']:.3f} (paper: 0.91)" in third
    assert r"\textit{Copy of the source} &" in third and "\nMAgD w/ scaling &" in third
    assert r"\textbf{Emu-Edit}" in third
    first = (out / "tables" / "table_1.tex").read_text()
    assert first.index(r"\textbf{Emu-Edit}") < first.index(r"\textbf{MagicBrush}")


def test_latex_quotes_open_and_close():
    assert write.tex('("DP" & {x})') == r"(``DP'' \& \{x\})"


def test_tex_is_balanced(out):
    for name in TABLES:
        text = (out / "tables" / f"table_{name}.tex").read_text()
        assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
        assert not re.search(r"(?<!\\)[%#_]", text.split("\n", 1)[1])
        for tabular in re.findall(r"\\begin\{tabular\}\{l(r+)\}(.*?)\\end", text, re.S):
            lines = [line for line in tabular[1].splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
            assert lines and all(line.count(" & ") == len(tabular[0]) for line in lines)


def scripts(html: str) -> list[str]:
    """What stands in script elements, by the parser's rule: from a tag to the next end tag."""
    return re.findall(r"<script[^>]*>(.*?)</script", html, re.S | re.I)


def test_only_the_pages_own_script_may_run(out):
    html = (out / "report.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    digest = base64.b64encode(hashlib.sha256(scripts(html)[0].encode()).digest()).decode()
    assert policy.split("; ")[0] == "default-src 'none'" and f"script-src 'sha256-{digest}'" in policy.split("; ")
    assert not re.search(r"\son[a-z]+=", html)


def test_the_page_stands_alone(out):
    html = (out / "report.html").read_text()
    assert len(html) < page.LIMIT_MB * 1e6
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", html)
    assert "@import" not in html and "url(" not in html
    assert len(scripts(html)) == 2  # the page's own, and what it shows of cells
    assert "Intervals cover samples, not training seeds: no verdict" in html
    assert "its numbers are not the paper" in html.lower()
    assert write.BOLD in html
    for name in TABLES:
        assert f'id="table-{name}"' in html


def test_text_from_data_is_escaped(tmp_path):
    bad = '<script>alert(1)</script> & "quotes" \u2028 {colour}'
    made = made_tables.Made(tmp_path, editors=("omnigen", "copy"), instruction=bad)
    html = page.render(made.config, made.cells, made.frame(), made.samples, [made.edits], {})
    assert len(scripts(html)) == 2 and "alert(1)</script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;quotes&#34;" in html


def test_an_unreadable_picture_is_named(made, tmp_path):
    from madi.errors import MadiError
    from madi.records import SAMPLE

    rows = made_tables.sample_rows("idea_bench")
    rows[0]["sources"] = [{"bytes": b"not a picture", "path": None}]
    broken = tmp_path / "broken.parquet"
    shards.write(broken, rows, SAMPLE)
    config = made.config.model_copy(update={"gallery": 12})
    with pytest.raises(MadiError, match="idea_bench-000 source 1"):
        page.render(config, made.cells, made.frame(), made.samples | {"idea_bench": broken}, [made.edits], {})


def test_galleries_take_tasks_in_turn_and_groups_whole():
    rows = [
        dict(sample_id=f"s{i:02d}", group_id=f"g{i // 2}", task="ab"[i // 2 % 2])  # pairs; tasks alternate
        for i in range(16)
    ]
    chosen = grids.choose(rows, 4, 0)
    assert len(chosen) == 4
    by_id = {row["sample_id"]: row for row in rows}
    assert sorted({by_id[s]["task"] for s in chosen}) == ["a", "b"]
    assert len({by_id[s]["group_id"] for s in chosen}) == 2
    assert chosen == grids.choose(rows[::-1], 4, 0)
    assert {tuple(grids.choose(rows, 4, seed)) for seed in range(6)} != {tuple(chosen)}


def test_summary_prints_every_system_of_the_config_and_nothing_older(made, tmp_path):
    rows, editors = shards.read(made.scores, SCORE), read(made.slice_file, TablesSlice).editors
    shards.write(tmp_path / "renamed" / "00000.parquet", [row | {"value": 0.0} for row in rows], SCORE)
    for job in {editor.job or name for name, editor in editors.items()}:
        mine = [row for row in rows if (editors[row["editor"]].job or row["editor"]) == job]
        shards.write(tmp_path / job / "00000.parquet", mine, SCORE)
    text = run("summary", "--config", str(made.slice_file), "--scores-folder", str(tmp_path))
    assert "emu_edit" in text and "0.00" not in text.split("Copy")[0]
    for title in ("OmniGen", "MAgD + EP", "Copy of the source"):
        assert title in text


def test_a_cell_without_a_value_leaves_a_gap_in_a_figure(made, tmp_path):
    cells = [cell | dict(value=None, low=None, high=None) for cell in made.cells]
    written = declared.write_figures(tmp_path, cells, made.source.bars, made.source.spec)
    assert len(written) == 2 * len(made.source.spec.figures)
