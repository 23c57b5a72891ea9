"""The sections of a scale and what each value may be, as pydantic models. `madi/config.py` puts them together."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from madi.editors import Editor
from madi.values import Count, Hub, Name, Natural, NonNegative, Part, Positive, Share, worded

BenchmarkName = Literal["emu_edit", "magicbrush", "complex_edit", "idea_bench", "geneval"]
Protocol = Literal["five_questions", "five_again", "complex_edit", "idea_bench", "idea_bench_official", "viescore"]
AskedSet = Literal["validation", "emu_edit", "magicbrush", "complex_edit", "idea_bench", "geneval"]


Shards = Annotated[Count, Field(le=10_000)]  # their files' names have five digits
Address = worded(r"^https?://[^\s]+$", "http://... or https://..., a file's address")


class Source(Part):
    """One published data set to learn from, in the form it is published in: a folder or a file, a hub's repository, or
    a file's address.

    take: how many of its samples, chosen by the scale's seed; None: all.
    """

    reader: Literal["ultraedit", "ultraedit_captions", "magicbrush", "magicbrush_zip", "aurora", "pairs"]
    files: str | None = None
    hub: Hub | None = None
    url: Address | None = None
    take: Count | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "Source":
        if places(self) != 1:
            raise ValueError("one of files, hub and url")
        return self


class TuneSet(Part):
    """Samples to learn from, or to validate on: `edits` and `t2i` (text to image) scenes, or published `sources`, of
    which `edits` and `t2i` then say, for the tables, how many they come to."""

    reader: Literal["scenes", "published"]
    edits: Natural = 0
    t2i: Natural = 0
    sources: dict[Name, Source] = {}

    @model_validator(mode="after")
    def _of_one_kind(self) -> "TuneSet":
        if (self.reader == "published") != bool(self.sources):
            raise ValueError("`sources` with reader published, and with no other")
        return self


class BenchmarkSet(Part):
    """One benchmark: how many samples (turns, for magicbrush), and the complexity levels of a compound. captions: of
    magicbrush's hub, which has none: the zip that has them (val.zip), or a folder with what is in it. Its scenes, or
    its published form (`files`, `hub` or `url`), of which `samples` are chosen by the scale's seed; `split`:
    emu_edit's (`test`), complex_edit's (`test_real`), idea_bench's kind of task (`I2I`; `auto`: the cases of its
    automatic evaluation)."""

    reader: Literal["scenes", "emu_edit", "magicbrush", "magicbrush_zip", "complex_edit", "idea_bench", "geneval"]
    samples: Count
    levels: Annotated[int, Field(ge=1, le=8)] | None = None
    files: str | None = None
    hub: Hub | None = None
    url: Address | None = None
    split: str | None = None
    captions: str | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "BenchmarkSet":
        if places(self) != (self.reader != "scenes"):
            raise ValueError("one of files, hub and url with a published reader, and none with scenes")
        if self.captions and self.reader != "magicbrush":
            raise ValueError("`captions` with reader magicbrush, and with no other")
        return self


def places(part: Source | BenchmarkSet) -> int:
    """How many places a published set is said to be at."""
    return sum(place is not None for place in (part.files, part.hub, part.url))


class Latents(Part):
    """The cache that trainings read: how many shards, the type of its numbers, and where the VAE runs."""

    shards: Count = 1
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"


class Data(Part):
    latents: Latents = Latents()
    train: TuneSet
    validation: TuneSet
    benchmarks: dict[BenchmarkName, BenchmarkSet]


class Plans(Part):
    """Expressive sub-prompts: for which share of the training edits, and at most how many steps each. provider: the
    scenes' own `truth`, the instruction's `grammar`, or the name of one of `mllms`. shards: jobs."""

    provider: Name
    share: Share
    steps: Annotated[int, Field(ge=1, le=5)]
    shards: Count = 1


class Questions(Part):
    """The judge's questions. provider: the scenes' own `truth`, `general` (the same five for any edit), or the name of
    one of `mllms`."""

    provider: Name


class Prompts(Part):
    plans: Plans
    questions: Questions


ModelName = Literal["base", "clip", "dino"]


class Tower(Part):
    """One more embedding model to score by: a CLIP (open_clip's folder) or a ViT (timm's), in `folder`, from `hub` if
    that is said. Its numbers are called `clip_i_NAME`, ..., `dino_NAME`. resize: `squash` shows a CLIP pictures as
    InstructPix2Pix's script does, resized to a square without crop or smoothing."""

    kind: Literal["clip", "dino"]
    folder: str
    hub: Hub | None = None
    resize: Literal["folder", "squash"] = "folder"

    @model_validator(mode="after")
    def _of_clip(self) -> "Tower":
        if self.resize == "squash" and self.kind != "clip":
            raise ValueError("`resize: squash` with kind clip")
        return self


class Weights(Part):
    """Folders of the base editor and of the two scorers; those of `hub` are fetched where they are wanted."""

    base: str
    clip: str
    dino: str
    hub: dict[ModelName, Hub] = {}
    more: dict[Name, Tower] = {}

    @property
    def folders(self) -> dict[str, str]:
        return {"base": self.base, "clip": self.clip, "dino": self.dino}


class Magd(Part):
    """Masking-augmented diffusion: mask `rate` of the noise tokens with `probability` where noise is high.

    token: from the learnable pool, the token 0, or the patch embedding of latents that are 0. order: Eq. 4's (noise,
    then mask) or Figure 1's caption (mask the image, then noise all). draw: one pool token a sample, or one each
    masked token. loss: over all tokens (Eq. 5), or over the masked ones of masked samples. pool_init: tokens start as
    long as patch embeddings of noise are, or as N(0, 1) through the layers; pool_learning_rate: of the pool and its
    layers, the run's own by default.
    """

    probability: Share
    noise_level: Share
    rate: Share
    token: Literal["pool", "zero", "zero_latent"]
    order: Literal["noise_first", "mask_first"] = "noise_first"
    draw: Literal["sample", "token"] = "sample"
    loss: Literal["all", "masked"] = "all"
    pool_size: Count = 1024
    pool_width: Count = 256
    pool_init: Literal["patch", "normal"] = "patch"
    pool_learning_rate: Positive | None = None


class MaskedSource(Part):
    """The source with its region blanked, as one more image or in the source's place, for samples with a region; kept
    with probability `keep` (sec. 3.1.3's "CFG of 0.5", read as dropout)."""

    place: Literal["added", "replacing"]
    keep: Share = 0.5


class Lora(Part):
    """Train low-rank adapters (and mask tokens) instead of all weights."""

    rank: Count
    alpha: Positive
    targets: Annotated[list[str], Field(min_length=1)] = ["to_q", "to_k", "to_v", "to_out.0"]


class Portion(Part):
    """A part of the training stream: which samples, and how many an epoch (`count`) or which share of it (`weight`).

    kind: edits or text to image; sets: of the samples' `set` column; planned: with a plan, or without. None: all.
    """

    kind: Literal["edit", "t2i"] | None = None
    sets: list[str] | None = None
    planned: bool | None = None
    count: Count | None = None
    weight: Positive | None = None


class Validate(Part):
    """Edits of the first `samples` validation samples every so many steps, to look at."""

    every: Count
    samples: Count
    steps: Count
    guidance: NonNegative = 2.5
    image_guidance: NonNegative = 1.5


class Drop(Part):
    """Guidance training: how often all conditions are dropped, and how often the text alone. `negative`: which share of
    the former show the negative words that inference is unconditional with, instead of OmniGen's `<cfg>`."""

    all: Share
    text: Share
    negative: Share = 0.5

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
    """One training. In YAML a run may say `like: OTHER` and name only what differs.

    batch: samples a step, over all processes. micro_tokens: tokens that go through the model together on one process
    (None: the whole batch); the gradient is the whole batch's whatever this is. precision: of the computation; the
    weights, their gradients' sum and the optimizer are float32. checkpoint_blocks: recompute blocks in the backward
    pass. ema: decay of averaged weights, which are then the result. posterior: VAE latents as means, or sampled anew at
    each use. bad_samples: how many samples with broken latents are left out before training stops. keep_states: how
    many of the newest states stay on disk.
    """

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
    masked_source: MaskedSource | None = None
    mixture: dict[Name, Portion] = {}
    posterior: Literal["mean", "sample"] = "mean"
    micro_tokens: Count | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_blocks: bool = False
    compile_blocks: bool = False
    ema: Annotated[float, Field(ge=0, lt=1)] | None = None
    lora: Lora | None = None
    bad_samples: Natural = 0
    keep_states: Count = 2
    validate_edits: Validate | None = None
    tracker: Literal["tensorboard", "wandb"] | None = "tensorboard"

    @model_validator(mode="after")
    def _warm(self) -> "Run":
        if self.warmup_steps > self.steps:
            raise ValueError("warmup_steps at most steps")
        return self

    @property
    def wants_plans(self) -> bool:
        """Whether it learns from plans, or is to know which samples have one."""
        return self.expressive or any(portion.planned is not None for portion in self.mixture.values())

    @model_validator(mode="after")
    def _one_measure(self) -> "Run":
        portions = self.mixture.values()
        if portions and not (all(p.weight and not p.count for p in portions) or all(p.count for p in portions)):
            raise ValueError("in a mixture, a count for every portion, or a weight for every portion")
        if any(p.count and p.weight for p in portions):
            raise ValueError("in a mixture, a count or a weight, not both")
        return self


class Train(Part):
    """The trainings, and what each runs on: `processes` with a `device` each; `shard` divides weights and optimizer
    among them (FSDP2), else each holds all (DDP). launcher: what starts them, before `train run ...`; by default
    torchrun on one node. minutes: a go's limit, before which it stops by itself with its state kept."""

    runs: dict[Name, Run]
    device: Literal["cpu", "cuda"] = "cpu"
    processes: Count = 1
    shard: bool = False
    launcher: str | None = None
    minutes: Count = 1440
    memory_mb: Count = 4000  # of the machine, a training


class Sampler(Part):
    """Euler steps, guidance, edits a batch; where the model runs and in which numbers (noise and VAE: float32).

    max_side: longest side in px of a source as OmniGen is shown it; a larger one is shrunk, or its sample is refused
    (`oversized`). rope: whose length picks a guidance branch's rotary factors, its own, as official OmniGen's default,
    or the longest branch's, as in stock diffusers.
    """

    steps: Count
    guidance: NonNegative
    image_guidance: NonNegative
    batch: Count
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_side: Annotated[int, Field(ge=16)] = 1024
    oversized: Literal["shrink", "refuse"] = "shrink"
    rope: Literal["own", "longest"] = "own"


class Ask(Part):
    """Who edits what: every editor, over every sample of a benchmark, at every pause count and sampling seed. take: of
    so many samples alone, the same ones for all asks of that many."""

    benchmark: AskedSet
    editors: Annotated[list[Name], Field(min_length=1)]
    pauses: Annotated[list[Natural], Field(min_length=1)]
    seeds: Annotated[list[Natural], Field(min_length=1)]
    take: Count | None = None


class Edit(Part):
    """shards: into how many jobs each edit job is split, and its judging and scoring: by sources and sessions, which
    stay whole with all their pauses and seeds. shards_of: jobs that are split otherwise, as `madi cost` advises."""

    shards: Shards = 1
    shards_of: dict[Name, Shards] = {}
    sampler: Sampler
    editors: dict[Name, Editor]
    asks: Annotated[dict[Name, Ask], Field(min_length=1)]


class GenEval(Part):
    """What decides GenEval's rule: the scene `parser`, for the small world alone; `mask2former`, the folder `model`,
    with the CLIP `colours` (a folder, or the name of a CLIP in `model.more`; None: `model.clip`); or the official
    evaluator's `results` (JSON lines). device: None is the score stage's."""

    detector: Literal["parser", "mask2former", "results"] = "parser"
    model: str | None = None
    colours: str | None = None
    results: str | None = None
    device: Literal["cpu", "cuda"] | None = None

    @model_validator(mode="after")
    def _said(self) -> "GenEval":
        if (self.detector == "mask2former") != (self.model is not None):
            raise ValueError("`model` with detector mask2former, and with no other")
        if (self.detector == "results") != (self.results is not None):
            raise ValueError("`results` with detector results, and with no other")
        return self


class Score(Part):
    """judge: the scenes' `oracle`, or the name of one of `mllms`, that answers by these `protocols` of each set asked,
    `rollouts` times each. rollouts_of, temperature_of: of single protocols, where they differ (Complex-Edit's authors
    take 20 rollouts at temperature 1). batch: pictures that are embedded at once; device: of CLIP, DINO and the models
    of `model.more`, in float32."""

    judge: Name
    protocols: dict[AskedSet, list[Protocol]]
    rollouts: Count = 1
    rollouts_of: dict[Protocol, Count] = {}
    temperature_of: dict[Protocol, NonNegative] = {}
    geneval: GenEval = GenEval()
    batch: Count
    device: Literal["cpu", "cuda"] = "cpu"


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
