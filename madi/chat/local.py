"""A vision-language model of transformers on this machine: no endpoint, no key, nothing to pay.

Weights are safetensors, code is transformers' own. It answers greedily, or samples at a temperature, seeded by the
request, and is asked for its JSON in words: small models often fail at it, and those answers are missing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from PIL import Image

from madi import images, provenance
from madi.chat.ask import FENCE_RULE, Request, schema_of
from madi.chat.endpoint import Said
from madi.errors import MadiError
from madi.mllms import Mllm


class Local:
    """The model in the folder `settings.model`. Errors: MadiError where there is none that transformers knows."""

    at_once, a_minute = 1, None

    def __init__(self, settings: Mllm):
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.settings, self.tries = settings, (1, settings.answers_tried if settings.temperature else 1)
        options = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.processor = AutoProcessor.from_pretrained(settings.model, **options)
            kind = getattr(torch, settings.dtype)
            model = AutoModelForImageTextToText.from_pretrained(
                settings.model, use_safetensors=True, dtype=kind, **options
            )
        except (OSError, ValueError, KeyError) as fault:
            reason = " ".join(str(fault).split())[:160]
            raise MadiError(
                f"no vision-language model ({reason})", settings.model, "a folder that transformers loads"
            ) from None
        self.model = model.to(settings.device).eval()
        self.where = settings.model
        self.asked: Counter[str] = Counter()
        self.revision = settings.revision or provenance.folder_sha(settings.model, "*.safetensors")[:16]

    @property
    def who(self) -> dict:
        """What of the model an answer depends on."""
        told = {name: getattr(self.settings, name) for name in ("temperature", "max_tokens", "dtype")}
        return told | {"model": self.settings.model, "revision": self.revision}

    def most(self, request: Request) -> float:
        return 0.0

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        return 0.0

    async def call(self, request: Request) -> Said:
        """Ask once; nothing else goes on meanwhile."""
        import torch

        shown = [self.picture(data, request.name) for data in request.images]
        words = self.words(request)
        inputs = self.processor(text=words, images=shown or None, return_tensors="pt").to(self.model.device)
        key = f"{words}{request.rollout}"
        self.asked[key] += 1  # another try is another sample
        torch.manual_seed(int(hashlib.sha256(f"{key}{self.asked[key]}".encode()).hexdigest()[:8], 16))
        temperature = self.settings.temperature if request.temperature is None else request.temperature
        sampled = {"do_sample": True, "temperature": temperature} if temperature else {}
        options = {"max_new_tokens": self.settings.max_tokens} | (sampled or {"do_sample": False})
        with torch.no_grad():
            made = self.model.generate(**inputs, **options)[0]
        before = inputs["input_ids"].shape[1]
        text = self.processor.decode(made[before:], skip_special_tokens=True)
        count = len(made) - before
        fault = "cut at max_tokens" if count >= self.settings.max_tokens else None
        return Said(text, before, count, self.revision, fault)

    def words(self, request: Request) -> str:
        """The prompt in the model's own chat template, pictures first."""
        system = f"{request.system}\n\n{FENCE_RULE}".strip()
        asked = f"{request.prompt}\n\nAnswer with one JSON object of this schema and nothing else: "
        shown = [{"type": "image"} for _ in request.images]
        text = f"{system}\n\n{asked}{json.dumps(schema_of(request.schema))}"
        for token in self.processor.tokenizer.all_special_tokens:  # words from data are words, whatever they look like
            text = text.replace(token, f"{token[0]} {token[1:]}")
        turn = [*shown, {"type": "text", "text": text}]
        return self.processor.apply_chat_template([{"role": "user", "content": turn}], add_generation_prompt=True)

    @staticmethod
    def picture(data: bytes, name: str) -> Image.Image:
        return Image.fromarray(images.decode(data, name))

    async def close(self) -> None:
        pass
