"""GenEval's percentages are counts of images: of how many a prompt, what they average to, where the gain lies."""

from fractions import Fraction

from madi.tables.audit.counts import KIND, counts_of, ratio
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

# prompts of each tag, by Table 4's columns: GenEval's evaluation_metadata.jsonl (Ghosh et al., 2023), 553 lines
PROMPTS = {"Position": 100, "Colors": 94, "Color_attr": 100, "Counting": 80, "Single object": 80, "Two object": 99}
IMAGES = 4  # a prompt: what GenEval's own scripts make unless told otherwise
SEEDS = 5  # "averaging across fixed 5 seeds": caption of Table 4


def granularity(tag: str):
    """Whether a tag's cells may be shares of four images a prompt; of five and of one it is told."""

    def judge(*cells: Value) -> tuple[str, str]:
        possible = all(counts_of(cell, PROMPTS[tag] * IMAGES) for cell in cells)
        lines = [
            f"{each} images a prompt: " + "; ".join(ratio(cell, PROMPTS[tag] * each) for cell in cells)
            for each in (IMAGES, SEEDS, 1)
        ]
        return HOLDS if possible else IMPOSSIBLE, ". ".join(lines)

    return judge


def images_a_prompt(each: int):
    """Whether all cells may be shares of `each` images a prompt."""

    def judge(*cells: Value) -> tuple[str, str]:
        none = [cell for cell in cells if not counts_of(cell, PROMPTS[cell.column] * each)]
        first = "; ".join(f"{cell.row} {cell.column} {ratio(cell, PROMPTS[cell.column] * each)}" for cell in cells)
        return IMPOSSIBLE if none else HOLDS, f"{len(none)} of {len(cells)} cells are no count: {first}"

    return judge


def runs_of_four(*cells: Value) -> tuple[str, str]:
    """Five runs of four images can give any share of four images; that all twelve are such shares is no accident."""
    counts = [counts_of(cell, PROMPTS[cell.column] * IMAGES * SEEDS) for cell in cells]
    whole = [any(k % SEEDS == 0 for k in found) for found in counts]
    words = f"{sum(whole)} of {len(cells)} counts at {IMAGES * SEEDS} images a prompt are multiples of {SEEDS}: "
    words += "; ".join(f"{cell.row} {ratio(cell, PROMPTS[cell.column] * IMAGES * SEEDS)}" for cell in cells)
    if not all(counts):
        return IMPOSSIBLE, words
    return (UNEXPLAINED if all(whole) else HOLDS), f"{words}; by chance 1 in {SEEDS}^{len(cells)}"


def exact(cell: Value) -> Fraction:
    """The percentage before it was rounded, if it is a count of four images a prompt; else as printed."""
    n = PROMPTS[cell.column] * IMAGES
    found = counts_of(cell, n)
    return Fraction(100 * found[0], n) if len(found) == 1 else cell.number


def average(*cells: Value) -> tuple[str, str]:
    """Of the six tags; the printed mean is the last."""
    *tags, printed = cells
    mean = sum(map(exact, tags)) / len(tags)
    pooled = sum(exact(tag) * PROMPTS[tag.column] for tag in tags) / sum(PROMPTS.values())
    words = f"({' + '.join(tag.text for tag in tags)}) / 6 = {shown(mean)}, printed {printed.text}"
    unit = 2 * printed.half
    if rounds_to(mean, printed):
        return HOLDS, words
    if mean // unit * unit == printed.number:
        return NOTE, f"{words}: cut, not rounded"
    return CONTRADICTION, f"{words}; over all images it is {shown(pooled, 2)}"


def gain(*cells: Value) -> tuple[str, str]:
    """Images gained by tag; the first half of the cells is before, the second after."""
    before, after = cells[: len(PROMPTS)], cells[len(PROMPTS) :]
    gained = {b.column: round((exact(a) - exact(b)) * PROMPTS[b.column] * IMAGES / 100) for b, a in zip(before, after)}
    order = sorted(gained, key=gained.get, reverse=True)
    net = sum(gained.values())
    parts = ", ".join(f"{b.column} {b.text} to {a.text} {gained[b.column]:+d}" for b, a in zip(before, after))
    share = f" ({100 * gained[order[0]] / net:.0f} %)" if net > 0 else ""
    words = f"{parts}; net {net:+d} images, {gained[order[0]]:+d} of them from {order[0]}{share}"
    return (HOLDS if set(order[:2]) == {"Two object", "Color_attr"} else CONTRADICTION), words


CELLS = {row: tuple(f"4/geneval/{row}/{tag}" for tag in PROMPTS) for row in ("ft", "magd")}
BOTH = CELLS["ft"] + CELLS["magd"]


def slug(tag: str) -> str:
    return tag.lower().replace(" ", "_")


CHECKS = [
    *(
        Check(
            f"geneval-granularity/{slug(tag)}",
            KIND,
            f"GenEval's {tag} cells are counts of {IMAGES} images a prompt",
            tuple(f"4/geneval/{row}/{tag}" for row in CELLS),
            granularity(tag),
        )
        for tag in PROMPTS
    ),
    Check(
        "geneval-images/4",
        KIND,
        "Table 4's cells are shares of 4 images a prompt, GenEval's default",
        BOTH,
        images_a_prompt(IMAGES),
    ),
    Check(
        "geneval-images/5",
        KIND,
        "Table 4's cells are shares of 5 images a prompt: its caption has 5 fixed seeds",
        BOTH,
        images_a_prompt(SEEDS),
    ),
    Check("geneval-images/1", KIND, "Table 4's cells are shares of 1 image a prompt", BOTH, images_a_prompt(1)),
    Check("geneval-images/20", KIND, "Table 4's cells average 5 runs of 4 images a prompt", BOTH, runs_of_four),
    *(
        Check(
            f"geneval-average/{row}",
            KIND,
            f"Table 4's Avg of {row} is the unweighted mean of its six tags",
            (*cells, f"4/geneval/{row}/Avg"),
            average,
        )
        for row, cells in CELLS.items()
    ),
    Check(
        "geneval-gain", KIND, "MAgD gains most images in two-object and colour-attribute prompts (sec. 4.2)", BOTH, gain
    ),
]
