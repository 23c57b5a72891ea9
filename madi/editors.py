"""Editors as a config names them: who makes edits, from what, and with which call.

`base` and `run` are weights of OmniGen's; `copy`, `truth`, `truth_vae` and `other_truth` are references; the others are
here: any diffusers pipeline, a folder of images in a benchmark's own layout, edits that were published, an endpoint.
"""

from typing import Literal

from pydantic import model_validator

from madi.mllms import Reach, Variable
from madi.values import Count, Hub, Name, NonNegative, Part, Positive, worded

Layout = Literal["plain", "geneval", "magicbrush", "complex-edit", "idea-bench"]
Turns = Literal["given", "own"]
REFERENCES = ("copy", "truth", "truth_vae", "other_truth")
Argument = worded(r"^[a-z_][a-z0-9_]*$", "an argument's name")
Value = bool | int | float | str | None


class PipelineEditor(Part):
    """A pipeline of diffusers: the class `pipeline` on the weights in the folder `weights` (fetched from
    `hub`, where there is one), called once an edit.

    words: what the prompt says, `{instruction}` in it. prompt, image, mask, images: the names of the arguments that
    take it, the (first) source, the region (white where the sample has none), and all sources; None: not given.
    size_px: about the longer side of what it is shown, both sides multiples of `multiple`, by InstructPix2Pix's rule;
    the edit keeps the size that the pipeline gives it.
    call: further arguments, such as num_inference_steps and guidance_scale.
    """

    weights: str
    hub: Hub | None = None
    pipeline: worded(r"^[A-Z]\w*Pipeline$", "a class of diffusers, such as StableDiffusionInstructPix2PixPipeline")
    prompt: Argument = "prompt"
    image: Argument | None = "image"
    mask: Argument | None = None
    images: Argument | None = None
    words: str = "{instruction}"
    size_px: Count = 512
    multiple: Count = 64
    call: dict[Argument, Value] = {}
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _says_it(self) -> "PipelineEditor":
        if "{instruction}" not in self.words:
            raise ValueError("`{instruction}` in words")
        return self


class FolderEditor(Part):
    """Images in a folder, one a sample, in a benchmark's official layout, or `plain`: `<sample_id>.png`."""

    path: str
    layout: Layout = "plain"


class PublishedEditor(Part):
    """Edits that were published beside a benchmark: Emu Edit's generations, by hash. model: whose, if of many."""

    path: str | None = None
    hub: Hub | None = None
    model: str | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "PublishedEditor":
        if (self.path is None) == (self.hub is None):
            raise ValueError("one of path and hub")
        return self


class Spending(Part):
    """price: money for one edit; budget: a hard limit of a shard over all its runs."""

    price: NonNegative = 0.0
    budget: Positive | None = None


class EndpointEditor(Spending):
    """An endpoint that speaks OpenAI's image edits. key: the environment variable that holds the secret."""

    url: Reach
    model: str
    key: Variable = "OPENAI_API_KEY"
    call: dict[Argument, Value] = {}
    tries: Count = 5
    timeout_s: Positive = 300.0

    @model_validator(mode="after")
    def _priced(self) -> "EndpointEditor":
        if self.budget and not self.price:
            raise ValueError("`price` beside a budget: without it nothing costs anything")
        return self

    @property
    def spending(self) -> Spending:
        return Spending(price=self.price, budget=self.budget)

    @property
    def unpriced(self) -> "EndpointEditor":
        """Without what changes no edit."""
        return self.model_copy(update={"price": 0.0, "budget": None})


class EditorSlice(Part):
    """One thing that makes edits, as its job reads it.

    pauses_as: what stands for a pause in the prompts of weights of ours: its token, or as a control an ordinary word's,
    or nothing but its place.
    turns: what a later turn of a session edits: the source it is given, or the editor's own edit of the turn before
    (MagicBrush's multi-turn protocol; a folder's images named so).
    """

    kind: Literal[
        "base", "run", "copy", "truth", "truth_vae", "other_truth", "pipeline", "folder", "published", "endpoint"
    ]
    run: Name | None = None
    pauses_as: Literal["pause", "filler", "shift"] = "pause"
    turns: Turns = "given"
    pipeline: PipelineEditor | None = None
    folder: FolderEditor | None = None
    published: PublishedEditor | None = None
    endpoint: EndpointEditor | None = None

    @model_validator(mode="after")
    def _says_what_it_is(self) -> "EditorSlice":
        for name in ("run", "pipeline", "folder", "published", "endpoint"):
            if (self.kind == name) != (getattr(self, name) is not None):
                raise ValueError(f"`{name}: ...` with kind {name}, and with no other kind")
        if self.pauses_as != "pause" and self.kind not in ("base", "run"):
            raise ValueError("`pauses_as` with kind base or run, and with no other kind")
        if self.turns != "given" and self.kind in (*REFERENCES, "published"):
            raise ValueError("`turns: own` with who edits, not with a reference or what was published")
        return self

    @property
    def chained(self) -> bool:
        """Whether it must have made the edit of one turn before that of the next; a folder has them all."""
        return self.turns == "own" and self.kind != "folder"


class Editor(EditorSlice):
    """Editors that name the same `job` are run by one job (default: a job each)."""

    job: Name | None = None

    @property
    def slice(self) -> EditorSlice:
        """Without its job."""
        return EditorSlice(**{name: getattr(self, name) for name in EditorSlice.model_fields})
