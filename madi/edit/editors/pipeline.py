"""Any pipeline of diffusers as an editor: InstructPix2Pix and its kin, OmniGen, FLUX Kontext, Qwen-Image-Edit, ...

Shapes: sources and edits are uint8 [H,W,3]. What a pipeline is shown is resized to about `size_px` on the longer side;
an edit is kept at the size that the pipeline gives it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps

from madi import provenance
from madi.edit.work import Result, Work
from madi.editors import PipelineEditor
from madi.errors import MadiError
from madi.model import device as devices
from madi.model.sampler import generator_for


class Pipeline:
    """A loaded pipeline. Errors: MadiError for a class that diffusers lacks, weights it does not take, and arguments
    that its call does not have."""

    def __init__(self, settings: PipelineEditor, config_sha: str):
        self.settings = settings
        devices.hold(settings.device)
        self.pipe = loaded(settings)
        known = set(inspect.signature(self.pipe.__call__).parameters)
        named = {settings.prompt, settings.image, settings.mask, settings.images, *settings.call} - {None}
        if unknown := sorted(named - known):
            raise MadiError(f"{settings.pipeline} takes no {unknown[0]}", "call", ", ".join(sorted(known - {"self"})))
        call = settings.call
        guidance = [float(call.get(name) or 0.0) for name in ("guidance_scale", "image_guidance_scale")]
        self.facts = {
            "sampler_steps": int(call.get("num_inference_steps") or 0),
            "guidance_text": guidance[0],
            "guidance_image": guidance[1] or float(call.get("img_guidance_scale") or 0.0),
            "weights_sha": provenance.folder_sha(settings.weights),
            "config_sha": config_sha,
        }

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return [self._one(work) for work in works]

    def _one(self, work: Work) -> Result:
        if work.pause:
            return Result(None, "this editor has no pauses")
        sample, settings = work.sample, self.settings
        if not sample.count and (settings.image or settings.images):
            return Result(None, "this editor makes no picture from words alone")
        words = settings.words.format(instruction=sample.row["instruction"])
        given: dict = {settings.prompt: words} | settings.call
        shown = [self.fitted(sample.source(index)) for index in range(sample.count)]
        if shown and settings.image:
            given[settings.image] = shown[0]
        if shown and settings.images:
            given[settings.images] = shown
        if settings.mask:
            given[settings.mask] = self.region(sample, shown[0].size)
        given["generator"] = generator_for("noise", work.seed, f"{work.benchmark}/{sample.id}")
        with torch.no_grad():
            made = self.pipe(**given).images[0].convert("RGB")
        return Result(np.array(made), None, words)  # a copy: torch wants to own its memory

    def fitted(self, image: np.ndarray) -> Image.Image:
        """A source as the pipeline is shown it: resized, and cropped a little to sides that are multiples."""
        sides = shown_size(image.shape[1], image.shape[0], self.settings.size_px, self.settings.multiple)
        return ImageOps.fit(Image.fromarray(image), sides, Image.Resampling.LANCZOS)

    def region(self, sample, size: tuple[int, int]) -> Image.Image:
        """Where to edit, white; all of it where the sample does not say."""
        region = sample.region()
        if region is None:
            return Image.new("RGB", size, "white")
        return ImageOps.fit(Image.fromarray(region), size, Image.Resampling.NEAREST)


def shown_size(width: int, height: int, size_px: int, multiple: int) -> tuple[int, int]:
    """(width, height) px by InstructPix2Pix's rule: with the longer side at `size_px`, the shorter one is rounded up
    to a multiple, both are scaled to that, and the longer one is rounded down: 640x427 to 512x384, 500x333 to 576x384.
    """
    short = min(width, height)
    short_cells = math.ceil(short * (size_px / max(width, height)) / multiple)
    scale = short_cells * multiple / short
    return tuple(max(multiple, int(side * scale // multiple) * multiple) for side in (width, height))


def loaded(settings: PipelineEditor):
    """The pipeline on its weights, no safety checker among them: it blackens pictures, which would be scored."""
    import diffusers

    found = getattr(diffusers, settings.pipeline, None)
    if found is None or not issubclass(found, diffusers.DiffusionPipeline):
        raise MadiError(f"no pipeline {settings.pipeline}", f"diffusers {diffusers.__version__}", "a class that it has")
    takes = inspect.signature(found.__init__).parameters
    more = {"safety_checker": None, "requires_safety_checker": False} if "safety_checker" in takes else {}
    try:
        pipe = found.from_pretrained(
            settings.weights,
            torch_dtype=getattr(torch, settings.dtype),
            use_safetensors=True,
            local_files_only=True,
            **more,
        )
    except (OSError, ValueError, TypeError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise MadiError(
            f"no weights of {settings.pipeline} ({reason})", settings.weights, "a diffusers folder"
        ) from None
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(settings.device)
