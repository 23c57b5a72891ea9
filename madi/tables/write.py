"""Cells to CSV, Markdown and LaTeX: reproduced beside reported, with intervals; bold only for a separated best."""

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

from madi.shards import atomic
from madi.tables.spec import Block, Table, TablesSpec

Cells = dict[tuple[str, str, str, str], dict]
TEX = {
    **{c: "\\" + c for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "≥": r"$\geq$",
    "–": "--",
    "·": r"$\cdot$",
    ">": "$>$",
    "<": "$<$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
}
PRETTY = {">=": "≥ "}


@dataclass(frozen=True)
class View:
    """A cell as a reader sees it."""

    text: str  # the reproduced value, or a dash
    interval: str  # "[low, high]" or empty
    reported: str  # what the paper prints, or empty
    note: str  # why there is no reproduced value, or empty
    best: bool
    second: bool  # the next after a best
    counts: str  # n, excluded, missing
    cell: dict


def index(cells: list[dict]) -> Cells:
    return {(c["table"], c["block"], c["row"], c["column"]): c for c in cells}


def view(cell: dict) -> View:
    """Text of one cell; the interval has the digits of the value."""
    query = json.loads(cell["query"])
    lost = [f"{cell[name]} {short}" for name, short in (("excluded", "excl."), ("missing", "miss.")) if cell[name]]
    note = "" if query["status"] in ("ok", "not applicable") else query["status"]
    measured = cell["kind"] == "scores"
    return View(
        text=pretty(cell["text"]),
        interval=interval(cell),
        reported=pretty(cell["reported"] or ""),
        note=note,
        best=query["best"],
        second=query["second"],
        counts=f"n {cell['n']}" + (f" ({', '.join(lost)})" if lost else "") if measured else "",
        cell=cell,
    )


def interval(cell: dict) -> str:
    if cell["low"] is None or cell["high"] is None:
        return ""
    digits = len(cell["text"].rstrip("%").partition(".")[2])
    return f"[{cell['low']:z.{digits}f}, {cell['high']:z.{digits}f}]"


def pretty(text: str) -> str:
    for plain, nice in PRETTY.items():
        text = text.replace(plain, nice).replace("  ", " ")
    return text


def heading(text: str, bars: dict[str, float | None], spec: TablesSpec) -> str:
    """A title with the bars of this scale filled in, and the paper's beside them."""
    for name, threshold in spec.thresholds.items():
        if "{" + name + "}" in text:
            bar = bars.get(name)
            shown = "?" if bar is None else f"{bar:.{threshold.digits}f}"
            text = text.replace("{" + name + "}", f"{shown} (paper: {threshold.paper:g})")
    return pretty(text)


def row_titles(block: Block, spec: TablesSpec) -> dict[str, tuple[str, str]]:
    """Title and kind (paper, extra, reference) of every row, references last."""
    named = {name: system.title for name, system in spec.systems.items()}
    titles = {key: row.title or named.get(row.system, key) for key, row in block.rows.items()}
    found = {key: (titles[key], "extra" if row.extra else "paper") for key, row in block.rows.items()}
    return found | {name: (spec.systems[name].title, "reference") for name in block.references}


def column_titles(block: Block, bars: dict, spec: TablesSpec) -> dict[str, tuple[str, str]]:
    """Group (may be empty) and title of every column."""
    return {
        key: (heading(column.group or "", bars, spec), heading(column.title or key, bars, spec))
        for key, column in block.columns.items()
    }


def as_csv(name: str, table: Table, cells: Cells, spec: TablesSpec) -> str:
    """One line a row of a block and a column: flat, for a program to read."""
    file = io.StringIO()
    out = csv.writer(file, lineterminator="\n")
    fields = ["text", "value", "low", "high", "n", "excluded", "missing", "reported"]
    out.writerow(["block", "row", "title", "column", *fields, "status", "best"])
    for key, block in table.blocks.items():
        for row, (title, _) in row_titles(block, spec).items():
            for column in block.columns:
                cell = cells[name, key, row, column]
                query = json.loads(cell["query"])
                values = ["" if cell[f] is None else repr(cell[f]) if f == "value" else cell[f] for f in fields]
                out.writerow([key, row, title, column, *values, query["status"], "yes" if query["best"] else ""])
    return file.getvalue()


def as_markdown(name: str, table: Table, cells: Cells, bars: dict, spec: TablesSpec) -> str:
    lines = [f"# {table_name(name, table.name)}. {heading(table.title, bars, spec)}", ""]
    if table.caption:
        lines += [heading(table.caption, bars, spec), ""]
    for key, block in table.blocks.items():
        titles = column_titles(block, bars, spec)
        if block.title:
            lines += [f"## {block.title}", ""]
        heads = [f"{group}: {title}" if group else title for group, title in titles.values()]
        lines.append("| | " + " | ".join(md(head) for head in heads) + " |")
        lines.append("|---" * (len(heads) + 1) + "|")
        for row, (title, kind) in row_titles(block, spec).items():
            shown = [markdown_cell(view(cells[name, key, row, column])) for column in block.columns]
            head = f"*{md(title)}*" if kind != "paper" else md(title)
            lines.append(f"| {head} | " + " | ".join(shown) + " |")
        lines.append("")
    lines += [FOOT, ""]
    return "\n".join(lines)


BOLD = (  # leaders.leaders, in words
    "the best of its column, where a paired interval separates it from every other row that was run here on the "
    "same samples, controls included (floor, ceiling and gains aside)"
)
NOTES = (
    "Intervals cover samples, not training seeds: no verdict. Rows in italics are not the paper's. "
    f"Bold: {BOLD}; underlined: the next after it, separated or not. † not run at this scale. ‡ no public weights."
)
FOOT = f"Value [95 % interval] (paper: printed value). {NOTES}"
TEX_FOOT = f"Value [95 % interval] (value that the paper prints). {NOTES}"
MARKS = {"not run at this scale": "†", "no public weights": "‡"}


def md(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;").replace("_", "\\_")


def markdown_cell(shown: View) -> str:
    text = f"**{md(shown.text)}**" if shown.best else f"<u>{md(shown.text)}</u>" if shown.second else md(shown.text)
    paper = f"(paper: {md(shown.reported)})" if shown.reported else ""
    return " ".join(part for part in (text + MARKS.get(shown.note, ""), shown.interval, paper) if part)


def as_tex(name: str, table: Table, cells: Cells, bars: dict, spec: TablesSpec) -> str:
    """A float for booktabs and graphicx: the caption, one tabular a block, no wider than the page, and the notes that
    say what bold and the marks mean."""
    said = f"{heading(table.title, bars, spec)}. {heading(table.caption, bars, spec)}".strip()
    lines = [f"% {tex(table_name(name, table.name))}", r"\begin{table}", r"\centering", rf"\caption{{{tex(said)}}}"]
    for key, block in table.blocks.items():
        if block.title:
            lines.append(rf"\par\medskip\textbf{{{tex(block.title)}}}\par")
        lines += tex_tabular(name, key, block, cells, bars, spec)
    lines += [rf"\par\smallskip{{\footnotesize {tex(TEX_FOOT)}\par}}", r"\end{table}", ""]
    return "\n".join(lines)


def tex_tabular(name: str, key: str, block: Block, cells: Cells, bars: dict, spec: TablesSpec) -> list[str]:
    """The lines of one block; a rule where rows of another kind begin, italics for those that are not the paper's."""
    titles = column_titles(block, bars, spec)
    lines = [FIT + r"\begin{tabular}{l" + "r" * len(titles) + "}", r"\toprule"]
    if any(group for group, _ in titles.values()):
        lines.append(tex_groups([group for group, _ in titles.values()]))
    lines += [" & ".join(["", *(tex(title) for _, title in titles.values())]) + r" \\", r"\midrule"]
    before = "paper"
    for row, (title, kind) in row_titles(block, spec).items():
        if kind != before:
            lines.append(r"\midrule")
        before = kind
        head = tex(title) if kind == "paper" else rf"\textit{{{tex(title)}}}"
        shown = [tex_cell(view(cells[name, key, row, column])) for column in block.columns]
        lines.append(" & ".join([head, *shown]) + r" \\")
    return [*lines, r"\bottomrule", r"\end{tabular}}"]


FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{"  # a wide tabular shrinks to the page
DOCUMENT = r"""% All tables as one document: pdflatex tables.tex
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[a4paper,landscape,margin=12mm]{geometry}
\usepackage{booktabs,graphicx}
\begin{document}
TABLES
\end{document}
"""


def document(names: list[str]) -> str:
    """A LaTeX document with every table on a page of its own."""
    pages = "\n".join(rf"\input{{table_{name}}}\clearpage" for name in names)
    return DOCUMENT.replace("TABLES", pages)


def tex(text: str) -> str:
    text = re.sub('"([^"]*)"', r"``\1''", text)
    return "".join(TEX.get(char, char) for char in text)


def tex_groups(groups: list[str]) -> str:
    """A line of headings, neighbours of one group under one heading."""
    spans: list[list] = []
    for group in groups:
        if spans and spans[-1][0] == group:
            spans[-1][1] += 1
        else:
            spans.append([group, 1])
    return "".join(rf" & \multicolumn{{{n}}}{{c}}{{{tex(group)}}}" for group, n in spans) + r" \\"


def tex_cell(shown: View) -> str:
    text = tex(shown.text)
    text = rf"\textbf{{{text}}}" if shown.best else rf"\underline{{{text}}}" if shown.second else text
    small = " ".join(part for part in (shown.interval, f"({tex(shown.reported)})" if shown.reported else "") if part)
    return text + tex(MARKS.get(shown.note, "")) + (rf" {{\tiny {small}}}" if small else "")


def table_name(key: str, name: str | None = None) -> str:
    """What a table or figure is called: its own name, or the paper's number."""
    kind, _, number = key.partition("_")
    return name or (f"Figure {number}" if kind == "figure" else f"Table {key}" if key.isdigit() else key)


def texts(cells: list[dict], bars: dict, spec: TablesSpec) -> dict[str, str]:
    """The content of every declared table's files table_<name>.{csv,md,tex}, and of tables.tex, by their names."""
    found, made = index(cells), {"tables.tex": document(list(spec.tables))}
    for name, table in spec.tables.items():
        made[f"table_{name}.csv"] = as_csv(name, table, found, spec)
        made[f"table_{name}.md"] = as_markdown(name, table, found, bars, spec)
        made[f"table_{name}.tex"] = as_tex(name, table, found, bars, spec)
    return made


def write_tables(folder: Path, cells: list[dict], bars: dict, spec: TablesSpec) -> list[Path]:
    """Write `texts` to a folder; returns the paths."""
    written = []
    for name, text in texts(cells, bars, spec).items():
        written.append(folder / name)
        with atomic(written[-1]) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
    return written
