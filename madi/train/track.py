"""Figures and pictures of a training to TensorBoard or W&B, through accelerate."""

from __future__ import annotations

import importlib.util
import math

import numpy as np

from madi.errors import MadiError
from madi.settings import Run
from madi.train.team import Team


def check(run: Run) -> None:
    """Errors: MadiError where a run's tracker is not installed."""
    if run.tracker and importlib.util.find_spec(run.tracker) is None:
        raise MadiError(f"{run.tracker} is not installed", "tracker", do=f"pip install {run.tracker}, or tracker: null")


class Track:
    """A run's trackers; says nothing where it has none. All processes make one, the main one's writes."""

    def __init__(self, team: Team, run: Run, name: str):
        self.team, self.on = team, run.tracker is not None
        if self.on:
            settings = {key: value for key, value in run.model_dump().items() if isinstance(value, int | float | str)}
            team.accelerator.init_trackers(name, settings)

    def figures(self, values: dict[str, float], step: int) -> None:
        """Numbers of one step; what is not there (NaN) is left out."""
        if self.on:
            self.team.accelerator.log({k: v for k, v in values.items() if not math.isnan(v)}, step)

    def pictures(self, made: list[np.ndarray], step: int) -> None:
        """Validation edits, uint8 [H,W,3] each."""
        for tracker in self.team.accelerator.trackers if self.on and self.team.main else ():
            if tracker.name == "tensorboard":
                tracker.log_images({"validation": np.stack(made)}, step, dataformats="NHWC")
            else:
                tracker.log_images({"validation": made}, step)

    def end(self) -> None:
        if self.on:
            self.team.accelerator.end_training()
