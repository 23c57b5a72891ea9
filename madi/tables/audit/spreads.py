"""Measured spreads of the differences between two editors, and what the paper's samples can show at them."""

from dataclasses import dataclass

import pandas as pd

from madi.errors import MadiError
from madi.tables.audit.finding import NOTE, UNCHECKED, Check, Printed, Value
from madi.tables.audit.power import FULL, KIND, NAMES, detectable, signed, verdict

MEASURED = {"CLIP-Dir": "clip_dir/source", "DINO": "dino/source", "MLLM": "qa_mllm/judge"}
FEWEST = 20  # samples: over fewer a spread is a guess


@dataclass(frozen=True)
class Spread:
    """Spread of the differences by sample between two editors, and over how many samples it was measured."""

    benchmark: str
    metric: str
    value: float
    n: int


def spreads(scores: pd.DataFrame, one: str, other: str) -> list[Spread]:
    """Of CLIP-Dir, DINO and MLLM on each benchmark, without pauses and at the first seed. Errors: MadiError for an
    editor without scores."""
    plain = scores[(scores["pause"] == 0) & (scores["seed"] == 0) & (scores["status"] == "ok")]
    for editor in (one, other):
        if editor not in set(plain["editor"]):
            there = ", ".join(sorted(set(plain["editor"]))) or "an editor with scores"
            raise MadiError(f"no scores of {editor}", "--between", f"two of {there}")
    found = []
    for benchmark in NAMES:
        for metric, name in MEASURED.items():
            some = plain[(plain["benchmark"] == benchmark) & (plain["metric"] + "/" + plain["against"] == name)]
            wide = some.pivot_table(index="sample_id", columns="editor", values="value").reindex(columns=[one, other])
            apart = (wide[one] - wide[other]).dropna()
            if len(apart) > 1:
                found.append(Spread(benchmark, metric, float(apart.std(ddof=1)), len(apart)))
    return found


def measured(spread: Spread, one: str, other: str, printed: Printed) -> Check:
    """The absolute difference that the paper's samples can show at a measured spread, and the one printed, if any."""

    def judge(size: Value, *cells: Value) -> tuple[str, str]:
        if spread.n < FEWEST:
            return UNCHECKED, f"cannot be checked: {spread.n} samples with both scores, at least {FEWEST} tell a spread"
        least = detectable(spread.value, int(size.number))
        words = f"measured s = {spread.value:.4f} over {spread.n} samples; {size}: detectable {least:.4f}"
        if not cells:
            return NOTE, words
        return verdict(abs(float(cells[0].number - cells[1].number)) >= least, f"{words}; {signed(*cells)}")

    rows = [f"{table}/{spread.benchmark}" for table in (1, 2)]
    pairs = [tuple(f"{row}/{editor}/{spread.metric}" for editor in (one, other)) for row in rows]
    cells = next((pair for pair in pairs if all(isinstance(printed.get(key), Value) for key in pair)), ())
    claim = f"at the spread of these scores the paper's samples can tell {one} from {other} by {spread.metric}"
    keys = (f"{FULL}/{NAMES[spread.benchmark]}", *cells)
    return Check(f"power/measured/{spread.benchmark}/{spread.metric}", KIND, claim, keys, judge)
