"""How every figure looks, and how it is written: SVG and PNG without a date in them."""

from __future__ import annotations

from pathlib import Path

import matplotlib

from madi.shards import atomic

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen first)

STYLE = {
    "svg.hashsalt": "madi",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "legend.frameon": False,
}
METADATA = {"svg": {"Date": None, "Creator": "madi"}, "png": {"Software": None}}
PAPER = {"marker": "D", "ms": 4.5, "mfc": "white", "mec": "black", "zorder": 4, "ls": ""}  # a printed value


def save(figure, folder: Path, name: str, endings: tuple[str, ...] = ("svg", "png")) -> list[Path]:
    """Write `<name>.svg` and `<name>.png` below `folder`, close the figure, return the paths."""
    written = []
    for ending in endings:
        written.append(folder / f"{name}.{ending}")
        with atomic(written[-1]) as partial:
            figure.savefig(partial, format=ending, metadata=METADATA[ending], dpi=160)
    plt.close(figure)
    return written


def legend_below(figure, axis, most: int = 4) -> None:
    """The legend of one panel under all of them."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(most, len(handles)), fontsize=8)
