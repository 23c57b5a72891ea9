"""Which of a sample's candidates is shown (Table 3, Table 5, Figures 6-8), and the rule for discordant answers.

Shape legend: U units (one sample of one editor), C candidates (pause counts; or seeds at pause 0 in the control).
A value that is not there is nan and is never chosen. Ties go to the first candidate, which is the fewest pauses.

The choice is made with the evaluation metric itself, by an oracle: it says what the best candidate is worth, not what a
user would get. That is why every scaled row of tables.yaml has a control chosen in the same way among as many seeds.
"""

from dataclasses import dataclass

import numpy as np

NONE = -1  # no candidate chosen


@dataclass(frozen=True)
class Rule:
    """Take the candidate with the highest `objective`; with a `guard`, only among those whose guard meets a bar."""

    objective: str
    guard: str | None = None


RULES = {
    "best_clip_dir": Rule("clip_dir/source"),
    "best_dino": Rule("dino/source"),
    "best_qa": Rule("qa_mllm/judge"),
    "dino_at_least": Rule("clip_dir/source", guard="dino/source"),
    "clip_dir_at_least": Rule("dino/source", guard="clip_dir/source"),
}


def best(objective_UC: np.ndarray) -> np.ndarray:
    """Index [U] of the highest finite objective, NONE where there is none, be it for want of any candidate."""
    if not objective_UC.shape[1]:
        return np.full(len(objective_UC), NONE)
    usable_UC = np.isfinite(objective_UC)
    top_U = np.where(usable_UC, objective_UC, -np.inf).argmax(axis=1)
    return np.where(usable_UC.any(axis=1), top_U, NONE)


def best_within(objective_UC: np.ndarray, admitted_UC: np.ndarray) -> np.ndarray:
    """Index [U] of the highest objective among admitted candidates, NONE where none is admitted."""
    return best(np.where(admitted_UC, objective_UC, np.nan))


def admitted(guard_UC: np.ndarray, bar: float) -> np.ndarray:
    """Bool [U, C]: the guard is known and at least the bar."""
    return np.nan_to_num(guard_UC, nan=-np.inf) >= bar


def discord_weight(following: np.ndarray, preservation: np.ndarray) -> np.ndarray:
    """Weight of a sample in Table 5, from its IF and IDP on the scale 1..10 (paper, section 6.1).

    IF > 7 with IDP < 3 is left out (0): the paper reads it as hallucination. IDP > 7 with IF < 3 is "weighted lower";
    the paper gives no number, 0.5 is ours. Everything else weighs 1.
    """
    weight = np.ones_like(following, dtype=float)
    weight[(preservation > 7) & (following < 3)] = 0.5
    weight[(following > 7) & (preservation < 3)] = 0.0
    return weight
