"""The short answer: instruction following, identity preservation and perceptual quality of every system."""

from dataclasses import dataclass

import pandas as pd

from madi.tables.spec import TablesSpec

THREE = ("oracle_if", "oracle_idp", "oracle_pq")


@dataclass(frozen=True)
class Line:
    title: str
    colour: str
    reference: bool
    pause: int
    means: tuple[float, float, float]  # IF, IDP, PQ, 0..10
    n: int


def benchmark_of(scores: pd.DataFrame) -> str | None:
    """The benchmark that most editors were tried on."""
    judged = scores[scores.metric.isin(THREE)]
    if judged.empty:
        return None
    counts = judged.groupby("benchmark").editor.nunique()
    return min(counts.index, key=lambda name: (-counts[name], name))


def lines(scores: pd.DataFrame, spec: TablesSpec, benchmark: str) -> list[Line]:
    """One line a system and pause count, first seed, in the order of tables.yaml; means over samples with all three."""
    mine = scores[scores.metric.isin(THREE) & (scores.benchmark == benchmark) & (scores.seed == 0)]
    mine = mine[mine.status == "ok"]
    wide = mine.pivot_table(index=["editor", "pause", "sample_id"], columns="metric", values="value", sort=True)
    wide = wide.reindex(columns=list(THREE)).dropna()
    found = []
    for system in spec.systems.values():
        rows = wide[wide.index.get_level_values("editor").isin(system.editors)]
        for pause, part in rows.groupby("pause"):
            means = tuple(float(part[name].mean()) for name in THREE)
            found.append(Line(system.title, system.colour, system.reference, int(pause), means, len(part)))
    return found
