"""Calls to multimodal models: how many tokens each takes, what they cost, how long they take.

Tokens are estimates: a text's characters over four; pictures by the tiles of 768 px that Gemini counts, 258 tokens each
(https://ai.google.dev/gemini-api/docs/tokens); answers by what their schemas hold. Others count otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from madi.chat import ask, pictures
from madi.config import Config
from madi.cost.shapes import sources
from madi.cost.told import Told
from madi.mllms import Mllm
from madi.prompts import plan, questions
from madi.score.judges import complex_edit, five, idea_bench, idea_bench_official, viescore

CHARACTERS, TILE_PX, TILE, SMALL_PX = 4, 768, 258, 384
INSTRUCTION = 80  # characters of an instruction or caption
FIVE = 5 * 350  # characters of five questions with their answers
ITEMS = 6 * 450  # of six yes/no items with what 0 and 1 points stand for: eval.json has about 3 kB
PROMPT = 1500  # of one of a case's own prompts: auto_eval.jsonl has 7 to 10 kB for six
SECONDS = 3.0  # a call, from sending it to its answer


@dataclass(frozen=True)
class Kind:
    """What a call of a kind takes: characters and pictures sent, tokens answered. edited: sources are shown as well."""

    characters: int
    images: int
    edited: bool
    out: int
    most_px: int = pictures.MOST_PX


def _text(*parts: str) -> int:
    return sum(map(len, parts)) + len(ask.FENCE_RULE) + INSTRUCTION


KINDS = {
    "plans": Kind(_text(plan.SYSTEM, plan.ASK, plan.CAPTION) + INSTRUCTION, 0, True, 80, plan.MOST_PX),
    "questions": Kind(_text(questions.SYSTEM, questions.ASK), 0, True, 500),
    "five_questions": Kind(_text(five.SYSTEM, five.ASK) + FIVE, 1, True, 40),
    "five_again": Kind(_text(five.SYSTEM, five.ASK) + FIVE, 1, True, 40),
    # two calls each: of source and edit, and of the edit alone; here their mean
    "complex_edit": Kind(
        _text(complex_edit.ALIGNMENT_SYSTEM, complex_edit.ALIGNMENT, complex_edit.QUALITY_SYSTEM) // 2, 1, False, 100
    ),
    "viescore": Kind(_text(viescore.SYSTEM, viescore.CONSISTENCY, viescore.QUALITY) // 2, 1, False, 150),
    "idea_bench": Kind(_text(idea_bench.SYSTEM, idea_bench.ASK) + ITEMS, 1, True, 50),
    "idea_bench_official": Kind(_text(idea_bench_official.SYSTEM, idea_bench_official.ASK) + PROMPT, 1, True, 60),
}
HALF = {"complex_edit", "viescore"}  # every other call shows the source


def tiles(px: int) -> int:
    return 1 if px <= SMALL_PX else math.ceil(px / TILE_PX) ** 2


def tokens(kind: str, benchmark: str, px: int) -> tuple[float, float]:
    """(sent, answered) of an average call."""
    of = KINDS[kind]
    shown = of.images + sources(benchmark) * of.edited + 0.5 * (kind in HALF)
    return of.characters / CHARACTERS + shown * TILE * tiles(min(px, of.most_px)), of.out


@dataclass(frozen=True)
class Calls:
    """Of one job. money: in the currency of the model's prices."""

    count: int = 0
    sent: float = 0.0
    answered: float = 0.0
    money: float = 0.0
    seconds: float = 0.0
    told: tuple[Told, ...] = ()


def of(config: Config, model: str, asked: dict[tuple[str, str], int]) -> Calls:
    """What so many calls by (kind, benchmark) come to. The program's own answers cost nothing."""
    mllm = config.mllms.get(model)
    if mllm is None or not sum(asked.values()):
        return Calls()
    each = {key: tokens(*key, config.size_px) for key in asked}
    count = sum(asked.values())
    sent, answered = (sum(asked[key] * each[key][side] for key in asked) for side in (0, 1))
    money = (sent * mllm.price_in + answered * mllm.price_out) / 1e6
    pace = a_second(mllm)
    told = (
        Told("calls", count, "calls", "summed over kinds", {f"{k} of {b}": n for (k, b), n in asked.items() if n}),
        Told(
            "money",
            money,
            "by the prices",
            "(tokens sent x price_in + answered x price_out) / 10^6",
            {"sent": sent, "answered": answered, "price_in": mllm.price_in, "price_out": mllm.price_out}
            | {f"tokens of {k}, {b}": f"{n[0]:.0f} sent, {n[1]:.0f} answered" for (k, b), n in each.items()},
        ),
        Told(
            "asking",
            count / pace,
            "s",
            "calls / calls a second",
            {
                "calls a second": pace,
                "at_once": mllm.at_once,
                "a_minute": mllm.a_minute or "no limit",
                "s a call": SECONDS,
            },
        ),
    )
    return Calls(count, sent, answered, money, count / pace, told)


def a_second(mllm: Mllm) -> float:
    """Calls a second: by those under way at once, and the limit a minute. A local model takes one after the other."""
    free = (mllm.at_once if mllm.kind == "endpoint" else 1) / SECONDS
    return min(free, mllm.a_minute / 60) if mllm.a_minute else free


def over(config: Config, model: str, where: str, calls: Calls) -> list[str]:
    """Warnings where a job's estimate is over its model's limits: it would stop there."""
    mllm = config.mllms.get(model)
    if mllm is None:
        return []
    found = []
    if mllm.budget is not None and calls.money > mllm.budget:
        found.append(
            f"{where}: about {calls.money:.2f} is over the budget of {model}, {mllm.budget:g} a job: it stops there"
        )
    if mllm.calls is not None and calls.count > mllm.calls:
        found.append(
            f"{where}: {calls.count:,} calls are over the limit of {model}, {mllm.calls:,} a job: it stops there"
        )
    return found
