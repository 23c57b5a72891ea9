"""What following costs in faithfulness (sec. 4): the first column against each other one, a point a row.

The paper's rows of one system are joined in their order: what scaling moves. The paper's values have panels of their
own, since its backbones are others.
"""

from __future__ import annotations

from collections import Counter

from madi.tables.figures.style import PAPER, legend_below, plt
from madi.tables.spec import Block, TablesSpec

MARKERS = ("o", "s", "^", "v", "P", "X", "*")  # rows of one system


def draw(block: Block, panels: dict[str, list[str]], cells: dict, spec: TablesSpec):
    """One figure of a block. cells: by row and column; a row without both values has no point."""
    upright, *others = block.columns
    printed = any(cell["reported_value"] is not None for cell in cells.values())
    kinds = ["value", "reported_value"] if printed else ["value"]
    shape = {"figsize": (4.3 * len(others), 3.3 * len(kinds) + 0.6), "squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(len(kinds), len(others), **shape)
    for line, kind in zip(axes, kinds):
        for axis, across in zip(line, others):
            points(axis, block, {row: (cells[row, across], cells[row, upright]) for row in block.rows}, kind, spec)
            axis.set_xlabel(block.columns[across].title or across)
            axis.set_ylabel(block.columns[upright].title or upright)
            axis.grid(axis="both")
            if printed:
                axis.set_title("here" if kind == "value" else "as the paper prints it", fontsize=9)
    legend_below(figure, axes[0][0], most=3)
    return figure


def points(axis, block: Block, pairs: dict[str, tuple[dict, dict]], kind: str, spec: TablesSpec) -> None:
    """The points of one panel. pairs: (x, y) cells by row."""
    paths: dict[str, list[tuple[float, float]]] = {}
    seen: Counter[str] = Counter()
    for row, (x, y) in pairs.items():
        if x[kind] is None or y[kind] is None:
            continue
        system = block.rows[row].system
        colour = spec.systems[system].colour
        path = paths.setdefault(system, [])
        if kind == "value" and x["low"] is not None and y["low"] is not None:
            axis.plot([x["low"], x["high"]], [y["value"]] * 2, color=colour, lw=0.8, alpha=0.45)
            axis.plot([x["value"]] * 2, [y["low"], y["high"]], color=colour, lw=0.8, alpha=0.45)
        style = {"marker": MARKERS[seen[system] % len(MARKERS)], "ms": 6, "ls": "", "color": colour, "zorder": 3}
        seen[system] += 1
        if kind != "value":
            style |= {"marker": PAPER["marker"], "mfc": "white", "mec": colour, "mew": 1.5}
        if not block.rows[row].extra:
            path.append((x[kind], y[kind]))
        axis.plot(x[kind], y[kind], **style, label=block.rows[row].title or row)
    for system, path in paths.items():
        axis.plot([x for x, _ in path], [y for _, y in path], color=spec.systems[system].colour, lw=1, alpha=0.6)
