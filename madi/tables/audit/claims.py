"""What the paper says in words of which is greater, held against the cells that it would have to be seen in."""

from fractions import Fraction

from madi.tables.audit.finding import (
    CONTRADICTION,
    HOLDS,
    NOTE,
    UNEXPLAINED,
    Check,
    Value,
    shown,
)
from madi.tables.audit.geneval import PROMPTS

KIND = "claims"
T1, T2, T3, T4, T6, T7 = "1/emu_edit", "2/emu_edit", "3/emu_edit", "4/geneval", "6/emu_edit", "7/emu_edit"
MB, CE = "1/magicbrush", "complex_edit/complex_edit"


def greater(otherwise: str = CONTRADICTION, or_equal: bool = False):
    """Of pairs (greater, less), one after the other: the claim holds if all are in this order."""

    def judge(*values: Value) -> tuple[str, str]:
        pairs = list(zip(values[::2], values[1::2]))
        right = all(a.number > b.number or or_equal and a.number == b.number for a, b in pairs)
        return HOLDS if right else otherwise, "; ".join(f"{a} {sign(a, b)} {b.text} of {b.row}" for a, b in pairs)

    return judge


def sign(one: Value, other: Value) -> str:
    return "<" if one.number < other.number else ">" if one.number > other.number else "="


def broken(small: Value, large: Value) -> tuple[str, str]:
    """The same weights at two resolutions: a CLIP-T that halves is no matter of size."""
    part = small.number / large.number
    return (UNEXPLAINED if part < Fraction(2, 3) else HOLDS), f"{small} is {shown(100 * part, 0)} % of {large}"


def claim(name: str, sentence: str, *pairs: tuple[str, str], judge=None) -> Check:
    keys = tuple(key for pair in pairs for key in pair)
    return Check(f"claim/{name}", KIND, sentence, keys, judge or greater())


def rows(base: str, better: str, worse: str, *columns: str) -> list[tuple[str, str]]:
    """The pairs of two rows (of `base`, a table/block) by column."""
    return [(f"{base}/{better}/{column}", f"{base}/{worse}/{column}") for column in columns]


FOUR = ("CLIP-I", "DINO", "CLIP-T", "CLIP-Dir")
RIVALS = {"ultraedit": FOUR, "seededit": ("CLIP-I", "CLIP-Dir"), "omnigen": (*FOUR, "MLLM")}
ALONE = "even without expressive prompts MAgD raises"
EP, EP_MAGD = "expressive prompts raise", "with MAgD, expressive prompts raise"

CHECKS = [
    *(
        claim(
            f"magd-alone/{column}-over-{rival}",
            f"{ALONE} {column} over {rival} (sec. 4.1)",
            *rows(T2, "magd", rival, column),
        )
        for rival in ("omnigen", "ft")
        for column in ("CLIP-Dir", "DINO")
    ),
    claim(
        "magd-alone/CLIP-I-over-ft",
        "MAgD raises faithfulness over finetuning, seen in CLIP-I",
        *rows(T2, "magd", "ft", "CLIP-I"),
    ),
    *(
        claim(
            f"expressive/ft/{column}",
            f"{EP} instruction following, seen in {column} (sec. 4.1)",
            *rows(T2, "ft_ep", "ft", column),
        )
        for column in ("CLIP-Dir", "IFP", "MLLM_avg")
    ),
    *(
        claim(
            f"expressive/magd/{column}",
            f"{EP_MAGD} faithfulness, seen in {column} (sec. 4.1)",
            *rows(T2, "magd_ep", "magd", column),
        )
        for column in ("CLIP-I", "DINO", "IDP")
    ),
    *(
        claim(
            f"expressive/magd/{column}",
            f"{EP_MAGD} instruction following, seen in {column}",
            *rows(T2, "magd_ep", "magd", column),
        )
        for column in ("CLIP-Dir", "IFP", "MLLM_avg")
    ),
    *(
        claim(
            f"outperforms/emu_edit/{row}/{rival}",
            f"{row} consistently outperforms {rival} on Emu-Edit (sec. 4.1)",
            *rows(T1, row, rival, *columns),
        )
        for row in ("magd_ep", "magd_ep_scaled")
        for rival, columns in RIVALS.items()
    ),
    *(
        claim(
            f"outperforms/magicbrush/{row}/omnigen",
            f"{row} consistently outperforms omnigen on MagicBrush (sec. 4.1)",
            *rows(MB, row, "omnigen", *FOUR, "MLLM"),
        )
        for row in ("magd_ep", "magd_ep_scaled")
    ),
    *(
        claim(
            f"complex-edit/{column}", f"MAgD raises {column} on Complex-Edit", *rows(CE, "magd_ep", "omnigen", column)
        )
        for column in ("Avg", "IFP", "IDP")
    ),
    claim(
        "complex-edit/PQ",
        "the improvements show in edit quality too (sec. 4.1): PQ on Complex-Edit rises",
        *rows(CE, "magd_ep", "omnigen", "PQ"),
    ),
    claim(
        "idea-bench",
        "MAgD raises the success rate on IDEA-Bench",
        *rows("idea_bench/idea_bench", "magd_ep", "omnigen", "MLLM success rate %"),
    ),
    claim(
        "geneval",
        "MAgD is nowhere behind finetuning on GenEval",
        *rows(T4, "magd", "ft", *PROMPTS, "Avg"),
        judge=greater(or_equal=True),
    ),
    *(
        claim(
            f"masking-rate/{column}",
            f"a masking rate of 0.25 improves more consistently than 0.5 (sec. 7): {column} is higher",
            *rows(T6, "magd", "magd_rate05", column),
            judge=greater(otherwise=NOTE),  # the paper calls the two comparable
        )
        for column in (*FOUR, "MLLM_avg")
    ),
    claim(
        "learnable-mask/CLIP-Dir",
        "a learnable mask has a better CLIP-Dir than zeros (caption of Table 7)",
        *rows(T7, "magd", "magd_zero", "CLIP-Dir"),
    ),
    claim(
        "learnable-mask/faithfulness",
        "a learnable mask is as faithful as zeros",
        *rows(T7, "magd", "magd_zero", "CLIP-I", "DINO"),
        judge=greater(otherwise=NOTE),
    ),
    Check(
        "claim/resolution",
        KIND,
        "OmniGen at 512 px draws what the caption says nearly as well as at 1024",
        (f"{MB}/omnigen_512/CLIP-T", f"{MB}/omnigen/CLIP-T"),
        broken,
    ),
]
