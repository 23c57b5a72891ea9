"""How small a difference a benchmark of n samples can show, and which printed differences are smaller.

Two systems edit the same n samples. If their differences by sample have spread s (standard deviation), the mean
difference has spread s / sqrt(n), and a two-sided test at 5 % finds a true difference of

    d = (z(0.975) + z(0.8)) x s / sqrt(n) = 2.80 x s / sqrt(n)

in 80 of 100 repetitions. The paper prints no spread of scores: d is then told in units of s, and for each printed
difference the spread that it needs. Outcomes that are right or wrong have one: s^2 = p (1 - p) + q (1 - q) for rates p
and q of outcomes that are independent of each other. Where the two systems fail on the same samples s is smaller: what
is printed does not say.
"""

import math

from scipy.stats import norm

from madi.tables.audit.counts import IDEA_SIZE, MOST, RATES, denominators
from madi.tables.audit.finding import HOLDS, NOTE, Check, Value, shown
from madi.tables.audit.geneval import IMAGES, PROMPTS

KIND = "power"
LEVEL, POWER = 0.05, 0.8
FULL, PART = "9/without inference scaling/total_test_set_size", "9/with inference scaling/subset_samples"
NAMES = {"emu_edit": "Emu-Edit", "magicbrush": "MagicBrush", "complex_edit": "Complex-Edit (Real)"}


def detectable(spread: float, n: float, level: float = LEVEL, power: float = POWER) -> float:
    """The smallest mean difference that a paired two-sided test over n samples finds with this power."""
    return float(norm.ppf(1 - level / 2) + norm.ppf(power)) * spread / math.sqrt(n)


def outcome_spread(p: float, q: float) -> float:
    """Spread of the difference of two independent outcomes, right with probabilities p and q."""
    return math.sqrt(p * (1 - p) + q * (1 - q))


def signed(after: Value, before: Value) -> str:
    change = after.number - before.number
    return f"{after.column} {after.text} - {before.text} = {'+' * (change > 0)}{shown(change)}"


def means(size: Value, *pairs: Value) -> tuple[str, str]:
    """The difference in units of the spread, and how small a spread each printed difference needs."""
    n = int(size.number)
    unit = detectable(1, n)
    needs = [
        f"{signed(after, before)} needs s <= {shown(abs(float(after.number - before.number)) / unit)}"
        for after, before in zip(pairs[::2], pairs[1::2])
    ]
    return NOTE, f"{size}: {detectable(1, 1):.2f} s / sqrt({n}) = {unit:.3f} s; {'; '.join(needs)}"


def rates(n: int, after: Value, before: Value, percent: bool = True) -> tuple[bool, str]:
    """Whether n independent outcomes can show the difference of two rates, and the arithmetic."""
    scale = 100 if percent else 1
    digits = 1 if percent else 3
    p, q = float(after.number) / scale, float(before.number) / scale
    spread = outcome_spread(p, q)
    least, needed = detectable(spread, n) * scale, abs(p - q) / detectable(1, n)
    words = f"{n} independent outcomes: s = {shown(spread, 3)}, detectable {shown(least, digits)}"
    return abs(p - q) * scale >= least, f"{words} against {signed(after, before)}, which needs s <= {shown(needed, 3)}"


def verdict(enough: bool, words: str) -> tuple[str, str]:
    return (HOLDS, words) if enough else (NOTE, f"{words}: the printed difference is too small")


def idea(before: Value, after: Value, size: Value) -> tuple[str, str]:
    """By the smallest number of outcomes that gives both rates; by the size that Table 9 prints too."""
    found = denominators([before, after], MOST)
    n = found[0] if found else int(size.number)
    least = 100 * detectable(outcome_spread(float(after.number) / 100, float(before.number) / 100), int(size.number))
    enough, words = rates(n, after, before)
    return verdict(enough, f"{size}: detectable {shown(least, 1)}; {words}")


def geneval(after: Value, before: Value) -> tuple[str, str]:
    return verdict(*rates(PROMPTS[after.column] * IMAGES, after, before))


def geneval_mean(*cells: Value) -> tuple[str, str]:
    """The mean over tags: its variance is the mean of the tags' variances, over their number."""
    after, before = cells[0], cells[1]
    tags = list(zip(cells[2::2], cells[3::2]))
    variance = sum(
        outcome_spread(float(a.number) / 100, float(b.number) / 100) ** 2 / (PROMPTS[a.column] * IMAGES)
        for a, b in tags
    )
    least = 100 * detectable(math.sqrt(variance) / len(tags), 1)
    parts = ", ".join(f"{a.column} {a.text} and {b.text}" for a, b in tags)
    words = f"{signed(after, before)}, detectable {shown(least, 1)} as the mean of {parts}, {IMAGES} images a prompt"
    return verdict(abs(float(after.number - before.number)) >= least, words)


def recall(size: Value, after: Value, before: Value) -> tuple[str, str]:
    enough, words = rates(int(size.number), after, before, percent=False)
    return verdict(enough, f"{words} ({size})")


def differences(name: str, size: str, *pairs: tuple[str, str]) -> Check:
    claim = f"the smallest difference of means that {name.replace('/', ', ')} can show, s being the differences' spread"
    return Check(f"power/{name}", KIND, claim, (size, *(key for pair in pairs for key in pair)), means)


def columns(base: str, after: str, before: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(f"{base}/{after}/{name}", f"{base}/{before}/{name}") for name in names]


FIVE = ("CLIP-I", "DINO", "CLIP-T", "CLIP-Dir", "MLLM")
LEVELS = tuple(f"complexity={level}" for level in range(4))
TAGS = {tag: (f"4/geneval/magd/{tag}", f"4/geneval/ft/{tag}") for tag in PROMPTS}
SHOWN = "independent outcomes can show the printed difference"

CHECKS = [
    *(
        differences(f"{name}/{which}", f"{size}/{NAMES[name]}", *columns(f"1/{name}", after, before, FIVE))
        for name in ("emu_edit", "magicbrush")
        for which, size, after, before in (
            ("all", FULL, "magd_ep", "omnigen"),
            ("subset", PART, "magd_ep_scaled", "magd_ep"),
        )
    ),
    differences(
        "complex_edit/all",
        f"{FULL}/{NAMES['complex_edit']}",
        *columns("complex_edit/complex_edit", "magd_ep", "omnigen", ("IFP", "IDP", "PQ")),
    ),
    differences(
        "complex_edit/subset",
        f"{PART}/{NAMES['complex_edit']}",
        *columns("5/complex_edit", "magd_ep_scaled", "ft_ep_scaled", LEVELS),
    ),
    Check("power/idea_bench", KIND, f"IDEA-Bench: {SHOWN}", (*RATES, IDEA_SIZE), idea),
    *(
        Check(f"power/geneval/{tag.lower().replace(' ', '_')}", KIND, f"GenEval's {tag}: {SHOWN}", keys, geneval)
        for tag, keys in TAGS.items()
    ),
    Check(
        "power/geneval/mean",
        KIND,
        f"GenEval's mean over tags: {SHOWN}",
        ("4/geneval/magd/Avg", "4/geneval/ft/Avg", *(key for keys in TAGS.values() for key in keys)),
        geneval_mean,
    ),
    *(
        Check(
            f"power/recall/{side}/{'scaled' if tail else 'unscaled'}",
            KIND,
            f"recall at {side}{tail.replace('_', ', ')}, magd_ep against ft_ep: {SHOWN}",
            (f"{PART}/Emu-Edit", *(f"3/emu_edit/{row}{tail}/{side}:Recall" for row in ("magd_ep", "ft_ep"))),
            recall,
        )
        for side in ("DINO>=0.91", "CLIP-Dir>=0.09")
        for tail in ("", "_scaled")
    ),
]
