"""Percentages are counts of something: how many outcomes IDEA-Bench's success rates are shares of."""

from math import ceil, floor

from madi.tables.audit.finding import (
    HOLDS,
    IMPOSSIBLE,
    NOTE,
    UNEXPLAINED,
    Check,
    Value,
    shown,
)

KIND = "counts"
IDEA_CASES, IDEA_TASKS, IDEA_QUESTIONS = 275, 100, 6  # of all of IDEA-Bench, and yes-no questions a case (2024)
MOST = 400  # outcomes searched: more than IDEA-Bench has cases


def counts_of(percent: Value, n: int) -> list[int]:
    """Every k for which 100 k / n may be printed as `percent`."""
    low, high = ((percent.number + sign * percent.half) * n / 100 for sign in (-1, 1))
    return list(range(max(0, ceil(low)), min(n, floor(high)) + 1))


def denominators(percents: list[Value], most: int) -> list[int]:
    """Every n up to `most` of which all these percentages may be shares."""
    return [n for n in range(1, most + 1) if all(counts_of(percent, n) for percent in percents)]


def ratio(percent: Value, n: int) -> str:
    """`24.75 % of 400 = 99`, or that the product is no count."""
    product = percent.number * n / 100
    found = counts_of(percent, n)
    told = shown(found[0] if len(found) == 1 else product)
    return f"{percent.text} % of {n} = {told}{'' if found else ', no count'}"


def smallest(*rates: Value) -> tuple[str, str]:
    found = denominators(list(rates), MOST)
    if not found:
        return IMPOSSIBLE, f"no number of outcomes up to {MOST} gives both {' and '.join(r.text for r in rates)} %"
    parts = ", ".join(f"{rate.text} % = {counts_of(rate, found[0])[0]}/{found[0]}" for rate in rates)
    every = all(n % found[0] == 0 for n in found)
    further = (
        f"the others up to {MOST} ({', '.join(map(str, found[1:]))}) are {'all' if every else 'not all'} multiples"
    )
    return NOTE, f"smallest {found[0]}: {parts}; {further}"


def of_n(n: int, rates: list[Value], what: str) -> tuple[str, str]:
    """Whether the rates may be shares of n cases, or of the questions asked of them."""
    possible = all(counts_of(rate, n) for rate in rates)
    words = f"{what}: " + "; ".join(ratio(rate, n) for rate in rates)
    asked = n * IDEA_QUESTIONS
    single = all(counts_of(rate, asked) for rate in rates)
    words += f"; of {asked} answers ({IDEA_QUESTIONS} a case) they {'can be' if single else 'cannot be either'}"
    return HOLDS if possible else (UNEXPLAINED if single else IMPOSSIBLE), words


RATES = tuple(f"idea_bench/idea_bench/{row}/MLLM success rate %" for row in ("omnigen", "magd_ep"))
IDEA_SIZE = "9/without inference scaling/total_test_set_size/IdeaBench"

CHECKS = [
    Check(
        "idea-denominator/smallest",
        KIND,
        "IDEA-Bench's two success rates are shares of one number of outcomes",
        RATES,
        smallest,
    ),
    Check(
        "idea-denominator/table-9",
        KIND,
        "IDEA-Bench's success rates are shares of the cases that Table 9 prints",
        (*RATES, IDEA_SIZE),
        lambda one, other, size: of_n(int(size.number), [one, other], str(size)),
    ),
    Check(
        "idea-denominator/cases",
        KIND,
        f"IDEA-Bench's success rates are shares of all its {IDEA_CASES} cases",
        RATES,
        lambda *rates: of_n(IDEA_CASES, list(rates), f"{IDEA_CASES} cases"),
    ),
    Check(
        "idea-denominator/tasks",
        KIND,
        f"IDEA-Bench's success rates are shares of its {IDEA_TASKS} tasks",
        RATES,
        lambda *rates: of_n(IDEA_TASKS, list(rates), f"{IDEA_TASKS} tasks"),
    ),
]
