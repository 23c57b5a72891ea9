"""From words and source latents to prompts: the frozen layout, the token ids and the guidance branches.

The layout is stock OmniGen's (`OmniGenMultiModalProcessor`), with the source images first, so that the conditional
and the image-only prompt of one edit begin alike; plan steps end in one pause token each, inference pauses come last:

    <|user|>\\nGenerate an image according to the following instructions\\n
    <img><|image_1|></img> {instruction}[ {step}<|pause|>]*<|pause|>*N<|end|>\\n<|assistant|>\\n<|diffusion|>

Shapes: C latent channels, h x w latent pixels, p patch size; a source image takes (h/p)*(w/p) prompt positions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import torch

from madi.errors import MadiError
from madi.omnigen.tokenizer import PAUSE, Tokenizer, of_stock

FILLER = "and"  # a word that asks for nothing
DROPPED = "<cfg>"  # what OmniGen trains on where text and images are dropped together
OPENING = "<|user|>\nGenerate an image according to the following instructions\n"
CLOSING = "<|end|>\n<|assistant|>\n<|diffusion|>"
NEGATIVE = (
    "low quality, jpeg artifacts, ugly, duplicate, morbid, mutilated, extra fingers, mutated hands, "
    "poorly drawn hands, poorly drawn face, mutation, deformed, blurry, dehydrated, bad anatomy, bad proportions, "
    "extra limbs, cloned face, disfigured, gross proportions, malformed limbs, missing arms, missing legs, "
    "extra arms, extra legs, fused fingers, too many fingers."
)
IMAGE_TAG = re.compile(r"<\|image_\d+\|>")
_BOS = 1  # stock strips exactly this id from every chunk after the first


def content(instruction: str, images: int = 1, plan: Sequence[str] = (), pauses: int = 0) -> str:
    """What a person hands to stock `OmniGenPipeline` as `prompt`: images, instruction, plan steps, N pauses."""
    if pauses < 0:
        raise ValueError(f"pauses = {pauses}: a count of pause tokens is 0 or more")
    seen = [f"<img><|image_{i + 1}|></img>" for i in range(images)]
    words = [instruction] if instruction else []
    return " ".join(seen + words) + "".join(f" {step}{PAUSE}" for step in plan) + PAUSE * pauses


def layout(instruction: str, images: int = 1, plan: Sequence[str] = (), pauses: int = 0) -> str:
    """The whole prompt as text, template included."""
    return OPENING + content(instruction, images, plan, pauses) + CLOSING


@dataclass(frozen=True)
class Prompt:
    """Token ids with image slots: ids[a:b] of slots[i] are placeholders for images[i] (latents [C,h,w])."""

    ids: list[int]
    slots: list[tuple[int, int]] = field(default_factory=list)
    images: list[torch.Tensor] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def marks(self) -> list:
        """What stands at each position: an id, or which image's which token. Prompts with equal marks are alike."""
        marks: list = list(self.ids)
        for (begin, end), image in zip(self.slots, self.images):
            marks[begin:end] = [(id(image), k) for k in range(end - begin)]
        return marks

    def part(self, begin: int, end: int) -> Prompt:
        """Positions [begin, end), with the images that lie in them whole."""
        inside = [(s, i) for s, i in zip(self.slots, self.images) if begin <= s[0] and s[1] <= end]
        slots = [(slot[0] - begin, slot[1] - begin) for slot, _ in inside]
        return Prompt(self.ids[begin:end], slots, [image for _, image in inside])


@dataclass(frozen=True)
class Branches:
    """One sample's prompts under guidance. `image_only` is None where there is no source image (T2I). `pauses`: how
    many inference pauses the conditional prompt ends in; `shift`: how much further the noise stands behind it."""

    conditional: Prompt
    unconditional: Prompt
    image_only: Prompt | None = None
    pauses: int = 0
    shift: int = 0


class Tokens:
    """Prompts around the tokenizer of a weights folder. `patch`: latent pixels a token side (stock: 2).

    tokenizer: `madi.omnigen.tokenizer.load(folder)`, or a fast tokenizer of transformers that was built in memory.
    `pause_id` is None while the vocabulary has no pause token; `add_pause` gives it one.
    """

    def __init__(self, tokenizer, patch: int = 2):
        self.tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else of_stock(tokenizer)
        self.patch = patch
        self.pause_id = self.tokenizer.convert_tokens_to_ids(PAUSE)
        self.filler_id = self.tokenizer(FILLER).input_ids[-1]
        self._chunk = lru_cache(maxsize=65536)(lambda text: tuple(self.tokenizer(text).input_ids))

    def add_pause(self) -> None:
        """Adds the pause token to the vocabulary if it is missing."""
        self.pause_id = self.tokenizer.add_pause()
        self._chunk.cache_clear()  # a text with `<|pause|>` in it has other ids now

    def prompt(self, instruction, images=(), plan=(), pauses=0) -> Prompt:
        """The prompt of `instruction` about `images` (latents [C,h,w], possibly none)."""
        return self.from_text(layout(instruction, len(images), plan, pauses), images)

    def from_text(self, text: str, images=()) -> Prompt:
        """Ids as stock makes them: text between images is tokenized apart, later chunks lose their BOS."""
        chunks = [list(self._chunk(chunk)) for chunk in IMAGE_TAG.split(text)]
        if len(chunks) != len(images) + 1:
            raise MadiError(f"{len(chunks) - 1} image tags", repr(text[:200]), f"one for each of {len(images)} images")
        ids, slots = chunks[0], []
        for chunk, image in zip(chunks[1:], images):
            start, size = len(ids), self._tokens_of(image)
            slots.append((start, start + size))
            ids = ids + [0] * size + chunk[chunk[0] == _BOS :]
        return Prompt(ids, slots, list(images))

    def branches(self, instruction, images=(), pauses=0, pauses_as: str = "pause") -> Branches:
        """Conditional (alone with the pauses), image-only (the same images, no words) and stock's negative prompt.

        pauses_as: what stands for a pause. `filler`, an ordinary word's token, and `shift`, nothing but the room that
        it would take before the time and noise tokens, are controls: is it the token, more tokens, or the place?
        """
        image_only = self.prompt("", images) if len(images) else None
        if pauses_as == "shift":
            return Branches(self.prompt(instruction, images), self.negative(), image_only, 0, pauses)
        conditional = self.prompt(instruction, images, (), pauses)
        if pauses_as == "filler" and pauses:
            conditional = self.filled(conditional, pauses)
        return Branches(conditional, self.negative(), image_only, pauses)

    def filled(self, prompt: Prompt, pauses: int) -> Prompt:
        """The prompt with its last `pauses` pause tokens as fillers; those within a plan stay."""
        places = [place for place, token in enumerate(prompt.ids) if token == self.pause_id][-pauses:]
        ids = list(prompt.ids)
        for place in places:
            ids[place] = self.filler_id
        return Prompt(ids, prompt.slots, prompt.images)

    def negative(self) -> Prompt:
        """The unconditional prompt of inference: stock's negative words, no image."""
        return self.prompt(NEGATIVE)

    def dropped(self) -> Prompt:
        """The unconditional prompt OmniGen trains on: the literal `<cfg>`, no image."""
        return self.prompt(DROPPED)

    def _tokens_of(self, image: torch.Tensor) -> int:
        return (image.shape[-2] // self.patch) * (image.shape[-1] // self.patch)
