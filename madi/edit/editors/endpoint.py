"""Edits by an endpoint that speaks OpenAI's image edits: a picture and an instruction go, a picture comes back."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence

from madi import images
from madi.chat.faults import check, without
from madi.edit.editors.folder import read
from madi.edit.editors.reference import NO_MODEL
from madi.edit.work import Result, Work
from madi.editors import EndpointEditor
from madi.errors import MadiError


class Endpoint:
    """Edits one by one; each batch that came is kept by the job. Errors: MadiError for no key, a wrong key or model."""

    def __init__(self, settings: EndpointEditor, config_sha: str):
        import openai

        secret = os.environ.get(settings.key, "").strip()
        check(secret, settings.key, settings.url)
        self.settings, self._openai, self._secret = settings, openai, secret
        options = {"base_url": settings.url, "timeout": settings.timeout_s, "max_retries": settings.tries - 1}
        self.client = openai.OpenAI(api_key=secret, **options)
        self.facts = NO_MODEL | {"config_sha": config_sha}

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return [self._one(work) for work in works]

    def _one(self, work: Work) -> Result:
        if work.pause:
            return Result(None, "this editor has no pauses")
        if not work.sample.count:
            return Result(None, "this editor makes no picture from words alone")
        words, shown = work.sample.row["instruction"], []
        for index in range(work.sample.count):
            file = io.BytesIO(images.encode_png(work.sample.source(index)))
            file.name = f"{index + 1}.png"
            shown.append(file)
        try:
            answer = self.client.images.edit(
                model=self.settings.model,
                prompt=words,
                image=shown[0] if len(shown) == 1 else shown,
                **self.settings.call,
            )
        except self._openai.APIStatusError as fault:
            return self._status(fault, words)
        except self._openai.APIError as fault:
            raise MadiError(f"no answer ({type(fault).__name__})", self.settings.url, do="run again later") from None
        data = (answer.data or [None])[0]
        if data is None or not data.b64_json:
            return Result(None, "an answer without a picture", words)
        made = read(base64.b64decode(data.b64_json), f"edit of {work.sample.id}")
        if made.image is None:
            return Result(None, made.reason, words)
        return Result(images.resize(made.image, *work.sample.source().shape[:2]), None, words)

    def _status(self, fault, words: str) -> Result:
        """A refusal is this edit's own; anything that all edits would meet stops the job, and what is made is kept."""
        said = without(self._secret, " ".join(str(fault.message).split()))[:160]
        if fault.status_code in (400, 422):
            return Result(None, said, words, refused=True)
        where = f"{self.settings.url} ({self.settings.model})"
        raise MadiError(f"HTTP {fault.status_code} ({said})", where, do=f"see {self.settings.key}, `url` and `model`")
