"""Printed aggregates of a judge's scores, made again from what they are said to be made of."""

from fractions import Fraction
from itertools import combinations

from madi.tables.audit.finding import (
    CONTRADICTION,
    HOLDS,
    IMPOSSIBLE,
    NOTE,
    UNEXPLAINED,
    Check,
    Value,
    rounds_to,
    shown,
)

KIND = "aggregates"
SCALE = (1, 10)  # of the judge's answers (sec. 8: "weighted on a scale of 1-10")


def mean(values: list[Value] | tuple[Value, ...]) -> Fraction:
    return sum(value.number for value in values) / len(values)


def mean_of_others(*values: Value) -> tuple[str, str]:
    """The first is said to be a mean of the others."""
    printed, *parts = values
    found = mean(parts)
    words = f"({' + '.join(part.text for part in parts)}) / {len(parts)} = {shown(found)}, printed {printed.text}"
    if rounds_to(found, printed):
        return HOLDS, words
    least, most = (pick(parts, key=lambda part: part.number) for pick in (min, max))
    if printed.number - printed.half > most.number + most.half:
        return IMPOSSIBLE, f"{words}, more than any of them ({most.column} {most.text}): no weights give it"
    if printed.number + printed.half < least.number - least.half:
        return IMPOSSIBLE, f"{words}, less than any of them ({least.column} {least.text}): no weights give it"
    return CONTRADICTION, words


def means_within(row: list[Value]) -> set[tuple[int, tuple[int, ...]]]:
    """(place, places) wherever one of the values is the mean of two or three others."""
    places = range(len(row))
    return {
        (at, others)
        for at in places
        for size in (2, 3)
        for others in combinations([other for other in places if other != at], size)
        if rounds_to(mean([row[other] for other in others]), row[at])
    }


def reordered(*values: Value) -> tuple[str, str]:
    """Whether columns that were mixed up would explain it: one a mean of others, and the same one in both rows."""
    half = len(values) // 2
    rows = [list(values[:half]), list(values[half:])]
    found = [means_within(row) for row in rows]
    both = sorted(found[0] & found[1])
    words = "; ".join(f"{row[0].row} {', '.join(f'{v.column} {v.text}' for v in row)}" for row in rows)
    if not both:
        return UNEXPLAINED, f"{words}: no column is in both rows the mean of two or three others"
    at, others = both[0]
    return HOLDS, f"{words}: {rows[0][at].column} is the mean of {', '.join(rows[0][o].column for o in others)}"


def weight(aggregate: Value, following: Value, preservation: Value) -> tuple[Fraction, Fraction, Fraction]:
    """Least, likely and greatest weight of IDP in aggregate = (1 - w) IF + w IDP, as rounding allows."""

    def solve(a: Fraction, f: Fraction, p: Fraction) -> Fraction:
        return (a - f) / (p - f)

    corners = [
        solve(aggregate.number + a * aggregate.half, following.number + f * following.half,
              preservation.number + p * preservation.half)
        for a in (-1, 1) for f in (-1, 1) for p in (-1, 1)
    ]  # fmt: skip
    return min(corners), solve(aggregate.number, following.number, preservation.number), max(corners)


def rows_of_three(values: tuple[Value, ...]) -> list[tuple[Value, ...]]:
    return [values[at : at + 3] for at in range(0, len(values), 3)]


def one_weight(*values: Value) -> tuple[str, str]:
    """Whether one weight of IDP gives every row's aggregate."""
    found = [(row[0].row, weight(*row)) for row in rows_of_three(values)]
    words = "; ".join(f"{row[0].row} ({', '.join(v.text for v in row)})" for row in rows_of_three(values))
    words += ". Weight of IDP: "
    words += "; ".join(f"{row} {shown(w[1], 3)} ({shown(w[0], 3)} to {shown(w[2], 3)})" for row, w in found)
    low, high = max(w[0] for _, w in found), min(w[2] for _, w in found)
    if low <= high:
        return HOLDS, f"{words}: {shown(low, 3)} to {shown(high, 3)} serves all"
    return IMPOSSIBLE, f"{words}: none serves all, so the samples' own weights differ or there is a third part"


def implied_quality(*values: Value) -> tuple[str, str]:
    """The PQ that would make each aggregate the mean of IF, IDP and PQ."""
    rows = rows_of_three(values)
    implied = [3 * a.number - f.number - p.number for a, f, p in rows]
    words = "; ".join(f"{a.row} 3 x {a.text} - {f.text} - {p.text} = {shown(q)}" for (a, f, p), q in zip(rows, implied))
    possible = all(SCALE[0] <= q <= SCALE[1] for q in implied)
    return (NOTE, f"{words}: PQ that can be") if possible else (IMPOSSIBLE, f"{words}: not all from 1 to 10")


ROWS_2 = ("omnigen", "ft", "ft_ep", "magd", "magd_ep")
THREES = tuple(f"2/emu_edit/{row}/{column}" for row in ROWS_2 for column in ("MLLM_avg", "IFP", "IDP"))


def complex_edit(row: str) -> tuple[str, ...]:
    return tuple(f"complex_edit/complex_edit/{row}/{column}" for column in ("Avg", "IFP", "IDP", "PQ"))


CHECKS = [
    *(
        Check(
            f"complex-edit-average/{row}",
            KIND,
            f"Complex-Edit's Avg of {row} is the mean of IFP, IDP and PQ",
            complex_edit(row),
            mean_of_others,
        )
        for row in ("omnigen", "magd_ep")
    ),
    Check(
        "complex-edit-average/reordered",
        KIND,
        "with Complex-Edit's columns in another order, one is the mean of others",
        complex_edit("omnigen") + complex_edit("magd_ep"),
        reordered,
    ),
    *(
        Check(
            f"mllm-aggregate/{row}",
            KIND,
            f"Table 2's MLLM of {row} is (IF + IDP) / 2",
            tuple(f"2/emu_edit/{row}/{column}" for column in ("MLLM_avg", "IFP", "IDP")),
            mean_of_others,
        )
        for row in ROWS_2
    ),
    Check(
        "mllm-aggregate/one-weight",
        KIND,
        "Table 2's MLLM is a weighted average of IF and IDP (notes of Table 1), with one weight",
        THREES,
        one_weight,
    ),
    Check(
        "mllm-aggregate/implied-pq",
        KIND,
        "Table 2's MLLM could be the mean of IF, IDP and a PQ that is not printed",
        THREES,
        implied_quality,
    ),
]
