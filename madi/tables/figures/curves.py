"""How the trainings went: loss, loss on masked and unmasked samples, and gradient norm of every run, step by step.

The draws of noise levels make single steps jump: lines are running means over a share of the steps.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from madi.errors import MadiError
from madi.tables.figures.style import STYLE, legend_below, plt, save
from madi.tables.spec import TablesSpec

PANELS = {
    "loss": "loss",
    "masked": "loss, masked samples",
    "unmasked": "loss, unmasked samples",
    "gradient": "gradient norm before clipping",
}
SMOOTH = 10  # a line is the mean over a tenth of a run


def read(path: Path) -> pd.DataFrame:
    """A run's table of steps. Errors: MadiError naming the file that is none."""
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as fault:
        raise MadiError(f"cannot be read ({fault})", path, "a run's train.csv") from None
    if lacking := sorted({"step", *PANELS} - set(frame)):
        raise MadiError(f"no column {lacking[0]}", path, "a run's train.csv")
    return frame


def draw(runs: dict[str, pd.DataFrame], spec: TablesSpec):
    """A panel a quantity, a line a run in its system's colour."""
    figure, axes = plt.subplots(2, 2, figsize=(8.4, 5.4), layout="constrained")
    told = {editor: system for system in spec.systems.values() for editor in system.editors}
    for axis, (column, title) in zip(axes.flat, PANELS.items()):
        for name, frame in runs.items():
            window = max(1, len(frame) // SMOOTH)
            smooth = frame[column].rolling(window, min_periods=1).mean()
            system = told.get(name)
            colour, label = (system.colour, system.title) if system else ("#444444", name)
            axis.plot(frame["step"], smooth, color=colour, lw=1.3, label=label)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("step")
    legend_below(figure, axes[0][0])
    return figure


def write(folder: Path, files: dict[str, Path], spec: TablesSpec) -> list[Path]:
    """Write figure_training.{svg,png}. files: each run's train.csv."""
    runs = {name: read(path) for name, path in files.items()}
    with plt.rc_context(STYLE):
        return save(draw(runs, spec), folder, "figure_training")
