"""The sections of a scale and what each value may be, as pydantic models. `madi/config.py` puts them together."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", description="lower case letters, digits and _")]


def _no_truth(value: Any) -> Any:
    """Python takes `true` for 1; in a config it is a slip."""
    if isinstance(value, bool):
        raise ValueError("a whole number")
    return value


Count = Annotated[int, BeforeValidator(_no_truth), Field(ge=1)]
Natural = Annotated[int, BeforeValidator(_no_truth), Field(ge=0, le=2**31 - 1)]  # as records hold them
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

BenchmarkName = Literal["emu_edit", "magicbrush", "complex_edit", "idea_bench", "geneval"]
AskedSet = Literal["validation", "emu_edit", "magicbrush", "complex_edit", "idea_bench", "geneval"]


class Part(BaseModel):
    """A piece of a config: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TuneSet(Part):
    """Samples to learn from, or to validate on: edits with a target, and text-to-image samples."""

    reader: Literal["scenes"]
    edits: Natural
    t2i: Natural


class BenchmarkSet(Part):
    """One benchmark: how many samples (turns, for magicbrush), and the complexity levels of a compound."""

    reader: Literal["scenes"]
    samples: Count
    levels: Annotated[int, Field(ge=1, le=8)] | None = None


class Data(Part):
    train: TuneSet
    validation: TuneSet
    benchmarks: dict[BenchmarkName, BenchmarkSet]


class Plans(Part):
    """Expressive sub-prompts: for which share of the training edits, and at most how many steps each."""

    provider: Literal["truth"]
    share: Share
    steps: Annotated[int, Field(ge=1, le=5)]


class Questions(Part):
    provider: Literal["truth"]


class Prompts(Part):
    plans: Plans
    questions: Questions


class Weights(Part):
    """Folders of the base editor and of the two scorers."""

    base: str
    clip: str
    dino: str


class Magd(Part):
    """Masking-augmented diffusion: mask `rate` of the noise tokens with `probability` where noise is high."""

    probability: Share
    noise_level: Share
    rate: Share
    token: Literal["pool", "zero"]
    pool_size: Count = 1024
    pool_width: Count = 256


class Drop(Part):
    """Guidance training: how often all conditions are dropped, and how often the text alone."""

    all: Share
    text: Share

    @model_validator(mode="after")
    def _sum(self) -> "Drop":
        if self.all + self.text > 1:
            raise ValueError("all + text at most 1")
        return self


class EditWeight(Part):
    """The edit-weighted loss, over d = |target - source| in latents (clipped 1/d, as in OmniGen's code).

    mean(d) < `discard` gives weight 0; mean(d) <= `whole` gives clip(1/mean(d), low, high) where d > `changed` and
    1 elsewhere; a larger mean(d) gives 1 everywhere.
    """

    discard: NonNegative = 0.001
    changed: NonNegative = 0.3
    whole: NonNegative = 0.8
    low: Positive = 5.0
    high: Positive = 64.0

    @model_validator(mode="after")
    def _ordered(self) -> "EditWeight":
        if self.low > self.high:
            raise ValueError("low at most high")
        return self


class Run(Part):
    """One training. In YAML a run may say `like: OTHER` and name only what differs."""

    seed: Natural
    steps: Count
    batch: Count
    learning_rate: Positive
    warmup_steps: Natural
    weight_decay: NonNegative
    gradient_clip: Positive
    save_every: Count
    expressive: bool
    magd: Magd | None
    drop: Drop
    edit_weight: EditWeight = EditWeight()

    @model_validator(mode="after")
    def _warm(self) -> "Run":
        if self.warmup_steps > self.steps:
            raise ValueError("warmup_steps at most steps")
        return self


class Train(Part):
    runs: dict[Name, Run]


class Sampler(Part):
    """Euler steps, guidance, edits a batch; where the model runs and in which numbers (noise and VAE: float32)."""

    steps: Count
    guidance: NonNegative
    image_guidance: NonNegative
    batch: Count
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"


class Editor(Part):
    """One thing that makes edits. Editors that name the same `job` are run by one job (default: a job each)."""

    kind: Literal["base", "run", "copy", "truth", "truth_vae", "other_truth"]
    run: Name | None = None
    job: Name | None = None

    @model_validator(mode="after")
    def _names_a_run(self) -> "Editor":
        if (self.kind == "run") != (self.run is not None):
            raise ValueError("`run: NAME` with kind run, and with no other kind")
        return self


class Ask(Part):
    """Who edits what: every editor, over every sample of a benchmark, at every pause count and sampling seed."""

    benchmark: AskedSet
    editors: Annotated[list[Name], Field(min_length=1)]
    pauses: Annotated[list[Natural], Field(min_length=1)]
    seeds: Annotated[list[Natural], Field(min_length=1)]


class Edit(Part):
    sampler: Sampler
    editors: dict[Name, Editor]
    asks: Annotated[dict[Name, Ask], Field(min_length=1)]


class Score(Part):
    judge: Literal["oracle"]
    batch: Count


class Threshold(Part):
    """A bar: a fixed `value`, or the `quantile` of the scores that the validation edits got."""

    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    quantile: Share | None = None

    @model_validator(mode="after")
    def _one(self) -> "Threshold":
        if (self.value is None) == (self.quantile is None):
            raise ValueError("one of value, quantile")
        return self


class Tables(Part):
    file: str
    reported: str
    resamples: Count
    dino_threshold: Threshold
    clip_dir_threshold: Threshold
    gallery: Natural
