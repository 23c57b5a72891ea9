"""What the paper prints of its training, in the text and in Tables 1, 6 and 8."""

from madi.tables.audit.agree import pairs
from madi.tables.audit.finding import (
    CONTRADICTION,
    HOLDS,
    NOTE,
    Check,
    Value,
    same,
    shown,
)

KIND = "training"
ROW_1 = "1/emu_edit/magd_ep"


def steps(said: Value, printed: Value, warmup: Value) -> tuple[str, str]:
    words = f"{said}; {printed}"
    if same(said, printed):
        return HOLDS, f"{words}; {warmup}"
    whole = printed.number + warmup.number
    fits = "they meet if Table 8 leaves the warm-up out" if whole == said.number else "a warm-up left out does not help"
    return CONTRADICTION, f"{words}; with {warmup}, {printed.text} + {warmup.text} = {shown(whole)}: {fits}"


def even_split(whole: Value, part: Value) -> tuple[str, str]:
    half = whole.number / 2
    verdict = HOLDS if part.number <= half else CONTRADICTION
    return verdict, f"{whole} / 2 = {shown(half)} edits; {part}"


def one_pass(batch: Value, done: Value, samples: Value) -> tuple[str, str]:
    seen = batch.number * done.number
    words = f"{batch} x {done} = {shown(seen)} samples seen; {samples}"
    return NOTE, f"{words}: {shown(seen / samples.number, 2)} passes"


def level(remainder: Value, bound: Value) -> tuple[str, str]:
    """T - 0.3 against t >= 0.7, T being 1."""
    verdict = HOLDS if 1 + remainder.number == bound.number else CONTRADICTION
    return verdict, f"{remainder} with T = 1 is {shown(1 + remainder.number)}; {bound}"


CHECKS = [
    Check(
        "training/steps",
        KIND,
        "sec. 4 and Table 8 train for the same number of steps",
        ("text/training//gradient steps", "8/hyperparameters/gradient_steps/value", "8/hyperparameters/warmup/value"),
        steps,
    ),
    Check(
        "training/samples",
        KIND,
        "sec. 4 and Table 8 train on the same number of samples",
        ("text/training//samples", "8/hyperparameters/training_data_size/value"),
        pairs,
    ),
    Check(
        "training/samples-table-1",
        KIND,
        "Tables 1 and 8 train on the same number of samples",
        (f"{ROW_1}/train_data", "8/hyperparameters/training_data_size/value"),
        pairs,
    ),
    Check(
        "training/even-split",
        KIND,
        "with samples split evenly between edits and text-to-image (sec. 4), UltraEdit's fit into the edits",
        ("text/training//samples", "text/training//UltraEdit samples"),
        even_split,
    ),
    *(
        Check(
            f"training/passes/{name}",
            KIND,
            "how often the training data are seen",
            ("8/hyperparameters/batch_size/value", key, "8/hyperparameters/training_data_size/value"),
            one_pass,
        )
        for name, key in (
            ("table-8", "8/hyperparameters/gradient_steps/value"),
            ("text", "text/training//gradient steps"),
        )
    ),
    Check(
        "training/masking-rate",
        KIND,
        "Tables 6 and 8 mask the same share of tokens",
        ("6/emu_edit/magd/r_mask", "8/hyperparameters/masking_rate/value"),
        pairs,
    ),
    Check(
        "training/noise-level",
        KIND,
        "Tables 6 and 8 mask from the same noise level on",
        ("8/hyperparameters/timestep_conditioning/value", "6/emu_edit/magd/tau_MAgD"),
        level,
    ),
]
