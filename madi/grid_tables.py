"""A table and line plots of each ablation grid, declared as `tables.yaml` declares its own.

A row of the table is a point of the grid: its axes' values, then its metrics at each pause count, the trainings of all
seeds pooled. The plot has the first axis along, and a line for each combination of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from madi import grids
from madi.grids import Grid, Point

TITLES = {
    "emu_edit": "Emu-Edit",
    "magicbrush": "MagicBrush",
    "complex_edit": "Complex-Edit",
    "idea_bench": "IDEA-Bench",
    "geneval": "GenEval",
    "validation": "Validation",
}
METRICS = ("CLIP-I", "DINO", "CLIP-T", "CLIP-Dir", "MLLM")
PLOTTED = ("CLIP-Dir", "DINO", "MLLM")
OF = {"geneval": ("GenEval",), "idea_bench": ("success", "MLLM")}  # benchmarks with measures of their own
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#B8A500", "#767676")  # told apart by all
Raw = dict[str, Any]


def declared(tables: Raw, found: Mapping[str, Grid]) -> Raw:
    """The content of a file of table specifications, with what the grids add to it."""
    if not found:
        return tables
    systems, more, figures = {}, {}, {}
    for name, grid in found.items():
        points = grids.points(name, grid)
        systems |= systems_of(points)
        more[f"grid_{name}"] = table(name, grid, points, tables)
        for benchmark in grid.benchmarks:
            figures[f"figure_grid_{name}_{benchmark}"] = figure(name, grid, points, benchmark, tables)
    return tables | {
        "systems": tables.get("systems", {}) | systems,
        "tables": tables.get("tables", {}) | more,
        "figures": tables.get("figures", {}) | figures,
    }


def systems_of(points: list[Point]) -> dict[str, Raw]:
    """Each point as a system: its trainings pooled, in the colour of its line."""
    colours: dict[tuple, str] = {}
    for point in points:
        colours.setdefault(line(point), COLOURS[len(colours) % len(COLOURS)])
    return {
        point.name: {
            "title": title(point.values),
            "editors": list(point.runs.values()),
            "colour": colours[line(point)],
        }
        for point in points
    }


def title(values: Mapping[str, Any]) -> str:
    """`rate 0.25, noise_level 0.5`."""
    words = grids.labels(values)
    return ", ".join(f"{words[axis]} {shown(value)}" for axis, value in values.items())


def shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def line(point: Point) -> tuple:
    """A point's values but for the first axis: which line of the plot it is on."""
    return tuple(point.values.values())[1:]


def metrics(benchmark: str, tables: Raw, wanted: tuple[str, ...]) -> list[str]:
    """Those that the file of tables declares."""
    return [name for name in OF.get(benchmark, wanted) if name in tables.get("metrics", {})]


def measured(benchmark: str, grid: Grid, tables: Raw) -> Raw:
    """A column a metric and pause count."""
    several = len(grid.pauses) > 1
    return {
        f"{metric}/{pause}" if several else metric: {"metric": metric, "title": metric, "pauses": [pause]}
        | ({"group": f"{pause} pauses" if pause else "no pause"} if several else {})
        for pause in grid.pauses
        for metric in metrics(benchmark, tables, METRICS)
    }


def table(name: str, grid: Grid, points: list[Point], tables: Raw) -> Raw:
    """A block a benchmark, a row a point."""
    words = grids.labels(grid.axes)
    axes = {axis: {"title": words[axis], "fact": {"config": [f"runs.{{run}}.{axis}"]}} for axis in grid.axes}
    rows = {
        point.name: {"system": point.name, "run": next(iter(point.runs.values())), "title": title(point.values)}
        | {"extra": True}
        for point in points
    }
    blocks = {
        benchmark: {
            "title": TITLES[benchmark],
            "benchmark": benchmark,
            "columns": axes | measured(benchmark, grid, tables),
            "rows": rows,
        }
        for benchmark in grid.benchmarks
    }
    return {"title": f"The grid {name}", "caption": caption(grid), "blocks": blocks}


def caption(grid: Grid) -> str:
    seeds = len(grid.seeds)
    return f"Trainings like {grid.like}, {seeds} a point." if seeds > 1 else f"Trainings like {grid.like}, one a point."


def figure(name: str, grid: Grid, points: list[Point], benchmark: str, tables: Raw) -> Raw:
    """A panel a metric with the first axis along, a line a combination of the others, at the first pause count."""
    first, *others = grid.axes
    columns = {
        f"{metric}/{grids.text(value)}": {
            "group": metric,
            "title": shown(value),
            "metric": metric,
            "along": grids.text(value),
        }
        for metric in metrics(benchmark, tables, PLOTTED)
        for value in grid.axes[first]
    }
    rows: Raw = {}
    for point in points:
        key = "_".join(map(grids.text, line(point))) or "all"
        named = title({axis: point.values[axis] for axis in others}) or f"like {grid.like}"
        row = rows.setdefault(key, {"title": named, "systems": {}, "extra": True})
        row["systems"][grids.text(point.values[first])] = point.name
    block = {"benchmark": benchmark, "pauses": grid.pauses[:1], "columns": columns, "rows": rows}
    block["across"] = grids.labels(grid.axes)[first]
    at = f" at {grid.pauses[0]} pauses" if len(grid.pauses) > 1 else ""
    about = f"{caption(grid)} Along {block['across']}{at}."
    heading = f"The grid {name} on {TITLES[benchmark]}"
    return {"title": heading, "caption": about, "plot": "lines", "blocks": {benchmark: block}}
