"""What the paper says of scaling by pause tokens, and of which samples it says so."""

from madi.tables.audit.claims import KIND, T2, T3, claim, rows
from madi.tables.audit.finding import (
    CONTRADICTION,
    HOLDS,
    NOTE,
    UNEXPLAINED,
    Check,
    Value,
    shown,
    told,
)

T5 = "5/complex_edit"


def falling(*levels: Value) -> tuple[str, str]:
    """Whether the score falls from each level of complexity to the next."""
    rises = [f"{b.text} after {a.text}" for a, b in zip(levels, levels[1:]) if b.number >= a.number]
    return (UNEXPLAINED if rises else HOLDS), told(levels) + "".join(f"; it does not fall: {rise}" for rise in rises)


def over(said: Value, *gains: Value) -> tuple[str, str]:
    short = [gain for gain in gains if gain.number <= said.number]
    return (CONTRADICTION if short else HOLDS), f"{said}; {told(gains)}; {len(short)} of {len(gains)} are not over it"


def about(said: Value, *gains: Value) -> tuple[str, str]:
    mean = sum(gain.number for gain in gains) / len(gains)
    verdict = HOLDS if abs(mean - said.number) <= 5 else CONTRADICTION
    least, most = (pick(gains, key=lambda gain: gain.number) for pick in (min, max))
    return verdict, f"{said}; {told(gains)}; mean {shown(mean, 2)}, from {least.text} to {most.text}"


def negligible(scaled: Value, plain: Value, base: Value) -> tuple[str, str]:
    """What scaling loses, in parts of what the training had gained."""
    lost, gained = plain.number - scaled.number, plain.number - base.number
    words = f"{plain} - {scaled} = {shown(lost)}; {plain} - {base} = {shown(gained)}"
    share = f": {100 * float(lost / gained):.0f} % of the gain over {base.row} is lost" if gained > 0 else ""
    return NOTE, words + share


def sizes(full: Value, subset: Value) -> tuple[str, str]:
    words = f"{full}; {subset}"
    if full.number == subset.number:
        return HOLDS, words
    return NOTE, f"{words}: scaled rows are of part of the samples that unscaled rows are of"


def fixed(row: str, side: str, metric: str) -> Check:
    columns = [f"{side}:{name}" for name in (metric, "Recall")]
    sentence = f"at {side} scaling raises {metric} and recall of {row}"
    return claim(f"scaling-at-a-bar/{row}/{side}", sentence, *rows(T3, f"{row}_scaled", row, *columns))


LEVELS = [f"complexity={level}" for level in range(4)]
GAINS = {row: tuple(f"{T5}/{row}_gain/{level}" for level in LEVELS) for row in ("ft_ep", "magd_ep")}
SIZES = {"Emu-Edit": "emu_edit", "MagicBrush": "magicbrush", "Complex-Edit (Real)": "complex_edit"}

CHECKS = [
    *(
        claim(
            f"scaling/{row}/{metric}",
            f"choosing by {metric} among pause counts raises it for {row}, as an oracle must on equal samples",
            (f"{T3}/{row}_scaled/{choice}:{metric}", f"{T2}/{row}/{metric}"),
        )
        for row in ("ft_ep", "magd_ep")
        for choice, metric in (("best_clip_dir", "CLIP-Dir"), ("best_dino", "DINO"))
    ),
    *(
        fixed(row, side, metric)
        for row in ("ft_ep", "magd_ep")
        for side, metric in (("DINO>=0.91", "CLIP-Dir"), ("CLIP-Dir>=0.09", "DINO"))
    ),
    Check(
        "claim/negligible-loss",
        KIND,
        "scaling by CLIP-Dir costs a negligible part of DINO (sec. 4.1)",
        (f"{T3}/magd_ep_scaled/best_clip_dir:DINO", f"{T2}/magd_ep/DINO", f"{T2}/omnigen/DINO"),
        negligible,
    ),
    *(
        Check(
            f"claim/monotone/{row}",
            KIND,
            f"a more complex instruction is harder for {row}",
            tuple(f"{T5}/{row}/{level}" for level in LEVELS),
            falling,
        )
        for row in ("ft_ep", "ft_ep_scaled", "magd_ep", "magd_ep_scaled")
    ),
    Check(
        "claim/gain-over",
        KIND,
        "scaling gains ft_ep over 30 % at every complexity (sec. 6.1)",
        ("text/complex_edit_gain/ft_ep/gain over %", *GAINS["ft_ep"]),
        over,
    ),
    Check(
        "claim/gain-about",
        KIND,
        "scaling gains magd_ep about 10 % (sec. 6.1): in the mean, to 5 points",
        ("text/complex_edit_gain/magd_ep/gain about %", *GAINS["magd_ep"]),
        about,
    ),
    *(
        Check(
            f"subset/{row}",
            "subset",
            f"rows with and without scaling are of the same {name} samples",
            (
                f"9/without inference scaling/total_test_set_size/{name}",
                f"9/with inference scaling/subset_samples/{name}",
            ),
            sizes,
        )
        for name, row in SIZES.items()
    ),
]
