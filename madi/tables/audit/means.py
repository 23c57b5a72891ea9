"""Printed gains and means of parts, made again from the numbers that they are of."""

from fractions import Fraction

from madi.tables.audit.aggregates import complex_edit, mean
from madi.tables.audit.finding import (
    CONTRADICTION,
    HOLDS,
    IMPOSSIBLE,
    NOTE,
    Check,
    Value,
    rounds_to,
    shown,
    told,
)

KIND = "means"


def gain_percent(*values: Value) -> tuple[str, str]:
    """Printed gain (last) of the second over the first; a note where only unrounded values can give it."""
    before, after, printed = values
    found = 100 * (after.number / before.number - 1)
    words = f"100 x ({after.text} / {before.text} - 1) = {shown(found)}, printed {printed.text}"
    if rounds_to(found, printed):
        return HOLDS, words
    low = 100 * ((after.number - after.half) / (before.number + before.half) - 1)
    high = 100 * ((after.number + after.half) / (before.number - before.half) - 1)
    within = low <= printed.number + printed.half and printed.number - printed.half <= high
    words += f"; what was rounded allows {shown(low, 1)} to {shown(high, 1)}"
    return (NOTE if within else CONTRADICTION), words


def rest(side: str):
    """Whether the samples that the bar leaves out have a mean on its other side, as they must."""

    def judge(overall: Value, admitted: Value, recall: Value) -> tuple[str, str]:
        bar = Fraction(side.partition(">=")[2])
        share = recall.number
        left = (overall.number - share * admitted.number) / (1 - share)
        words = f"({overall} - {recall.text} x {admitted.text}) / (1 - {recall.text}) = {shown(left)} of the others"
        return (HOLDS, f"{words}, below {side}") if left < bar else (IMPOSSIBLE, f"{words}, not below {side}")

    return judge


def filter_lowers(overall: Value, kept: Value) -> tuple[str, str]:
    words = f"{overall}; {kept}"
    return NOTE, f"{words}: {shown(kept.number - overall.number)} by keeping samples whose DINO is high"


def same_run(*values: Value) -> tuple[str, str]:
    """IF and IDP of one table, and the four levels of Table 5 of the same run."""
    *levels, following, preservation = values
    return NOTE, (
        f"mean of {told(levels)} = {shown(mean(levels), 2)}; ({following} + {preservation}) / 2 = "
        f"{shown(mean([following, preservation]), 2)}: Table 5 leaves discordant samples out, over a subset"
    )


LEVELS = tuple(f"complexity={level}" for level in range(4))

CHECKS = [
    *(
        Check(
            f"table-5-gain/{row}/{level}",
            KIND,
            f"Table 5's gain of {row} at {level} follows from its two scores",
            tuple(f"5/complex_edit/{of}/{level}" for of in (row, f"{row}_scaled", f"{row}_gain")),
            gain_percent,
        )
        for row in ("ft_ep", "magd_ep")
        for level in LEVELS
    ),
    *(
        Check(
            f"table-3-rest/{row}/{side}",
            KIND,
            f"what {side} leaves out of {row}'s samples lies below it",
            (f"2/emu_edit/{row}/{metric}", f"3/emu_edit/{row}/{side}:{metric}", f"3/emu_edit/{row}/{side}:Recall"),
            rest(side),
        )
        for row in ("ft_ep", "magd_ep")
        for side, metric in (("DINO>=0.91", "DINO"), ("CLIP-Dir>=0.09", "CLIP-Dir"))
    ),
    *(
        Check(
            f"table-3-filter/{row}",
            KIND,
            f"a bar on DINO changes which of {row}'s samples CLIP-Dir is averaged over",
            (f"2/emu_edit/{row}/CLIP-Dir", f"3/emu_edit/{row}/DINO>=0.91:CLIP-Dir"),
            filter_lowers,
        )
        for row in ("ft_ep", "magd_ep")
    ),
    Check(
        "table-5-run/magd_ep",
        KIND,
        "Table 5 and the Complex-Edit table score one run of magd_ep by two rules",
        (*(f"5/complex_edit/magd_ep/{level}" for level in LEVELS), *complex_edit("magd_ep")[1:3]),
        same_run,
    ),
]
