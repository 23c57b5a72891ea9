"""IDEA-Bench's own aggregate over its own calls: task, category, mean of five, as the authors' script prints it."""

import hashlib
import json
from dataclasses import replace

import pandas as pd
import pytest

from madi.data.readers.idea_bench import CATEGORIES, CATEGORY_OF
from madi.records import score_id
from madi.score.judges import idea_bench_official
from madi.tables import build
from madi.tables.asking import merged
from madi.tables.board import Board

# What scripts/cal_scores.py (commit 63aacd4) prints of the answers below: 51 cases, 5 of a task that it does not count.
PRINTED = {"T2I": 49.69, "I2I": 52.78, "Is2I": 46.91, "T2Is": 51.97, "Is2Is": 49.07, "Overall": 50.08}


def cases() -> list[tuple[str, str]]:
    """(task's number, case's number): tasks have 2 to 4 cases."""
    uids = [uid for some in CATEGORIES.values() for uid in some] + ["0099"]
    found = [(uid, f"{n:04}") for k, uid in enumerate(uids) for n in range(1, 3 + k % 2 + (k % 3 == 0))]
    return [*found, *[("0099", f"{91 + n:04}") for n in range(51 - len(found))]]


def answers(uid: str, case: str) -> list[dict]:
    """Eighteen made-up answers about a case."""

    def key(call, item):
        return int(hashlib.sha256(f"{uid}/{case}/{call}/{item}".encode()).digest()[0] < 200)

    base = {"status": "ok", "reason": None, "value": None}
    return [
        base | {"question_id": f"item_{n}", "rollout": call, "key": key(call, n)}
        for call in range(3)
        for n in range(1, 7)
    ]


def board(left_out: tuple[str, ...] = ()) -> Board:
    samples, scores = [], []
    for uid, case in cases():
        if CATEGORY_OF.get(uid) in left_out:
            continue
        name = f"idea_bench-{uid}_{case}"
        spec = json.dumps({"uid": uid, "category": CATEGORY_OF.get(uid)})
        samples.append({"benchmark": "idea_bench", "sample_id": name, "group_id": name, "task": f"task {uid}"})
        samples[-1] |= {"complexity": None, "spec": spec, "follows": None}
        row = {"editor": "omnigen", "benchmark": "idea_bench", "sample_id": name, "pause": 0, "seed": 0}
        row |= {"metric": "idea_official", "against": "judge", "backend": "m", "status": "ok"}
        row |= {"value": idea_bench_official.scores(answers(uid, case), [])["idea_official"].value}
        scores.append(row | {"score_id": score_id(row)})
    return Board(pd.DataFrame(scores), pd.DataFrame(samples))


def shown(made, found: Board) -> dict[str, build.Answer]:
    source = replace(made.source, board=found)
    block = source.spec.tables["idea_bench"].blocks["official"]
    return {
        name: build.answer(merged(block, block.rows["omnigen"], column), name, source)
        for name, column in block.columns.items()
    }


def test_the_aggregate_is_the_authors(made):
    assert len(cases()) == 51
    found = shown(made, board())
    assert {name: round(cell.value, 2) for name, cell in found.items()} == PRINTED
    assert len(found["Overall"].units.samples) == 46  # the task outside of the five categories is in no mean
    low, high = found["Overall"].interval
    assert low < 50.08 < high


def test_without_one_of_the_five_categories_there_is_no_overall(made):
    found = shown(made, board(left_out=("T2Is",)))
    assert found["T2Is"].value is None and found["Overall"].value is None
    assert round(found["I2I"].value, 2) == PRINTED["I2I"]


def test_a_task_counts_once_however_many_cases_it_has(made):
    """I2I has tasks of 4 and of 2 cases: the mean over cases is another number."""
    cell = shown(made, board())["I2I"]
    assert cell.value == pytest.approx((cell.units.values * cell.units.weights).sum() / cell.units.weights.sum())
    assert abs(cell.value - cell.units.values.mean()) > 0.5
