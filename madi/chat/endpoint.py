"""An endpoint that speaks OpenAI's chat completions with pictures: Gemini's, vLLM's, OpenAI's and others.

One call here is one request over the wire; who calls again, and when, is `run`'s.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass

from madi.chat import answers
from madi.chat.ask import FENCE_RULE, Request, schema_of
from madi.chat.faults import LATE_TRIES, Passing, Refused, Words, check, fault_of, status_in, without, words_of
from madi.chat.wire import Received, Wire
from madi.mllms import Mllm

KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}


@dataclass(frozen=True)
class Said:
    """One answer over the wire, and what it took. fault: why it cannot be used, where that is known already. counted:
    whether the tokens are the endpoint's own count; else the call is paid for as the dearest one."""

    text: str
    tokens_in: int
    tokens_out: int
    revision: str
    fault: str | None = None
    counted: bool = True


class Endpoint:
    """The endpoint of some settings. Its key comes from the environment and goes nowhere but into the request.

    Errors: MadiError where the environment has no such key.
    """

    brake = True  # an endpoint whose answers are all useless is not asked on and on: they are paid for

    def __init__(self, settings: Mllm):
        self.settings, self.at_once, self.a_minute = settings, settings.at_once, settings.a_minute
        self.tries = (settings.tries, settings.answers_tried)  # of passing faults, of unusable answers
        self._secret = os.environ.get(settings.key, "").strip()
        if not settings.offline:
            check(self._secret, settings.key, settings.url)
        self._wire = Wire(settings.url, self._secret, settings.timeout_s)

    @property
    def who(self) -> dict:
        """What of the endpoint an answer depends on."""
        told = ("model", "revision", "temperature", "max_tokens", "structured", "detail")
        return {name: getattr(self.settings, name) for name in told}

    @property
    def where(self) -> str:
        """The endpoint, for people."""
        return f"{self.settings.url} ({self.settings.model})"

    def most(self, request: Request) -> float:
        """What one call may cost at the most, as far as one can tell before it: text at three characters a token."""
        return self.cost(guessed(request), self.settings.max_tokens)

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self.settings.price_in + tokens_out * self.settings.price_out) / 1e6

    async def call(self, request: Request) -> Said:
        """Ask once. Errors: Passing, Refused; MadiError for a fault of account, key, model or address."""
        try:
            received = await self._wire.post("chat/completions", json=self.body(request))
        except Passing as fault:
            fault.reason = self.clean(fault.reason)
            raise
        if received.status != 200:
            raise self._fault(received.status, received)
        return self._said(received)

    def body(self, request: Request) -> dict:
        """The request as the wire has it."""
        asked = self.settings
        content: list[dict] = []
        for number, image in enumerate(request.images, 1):
            kind = next((kind for start, kind in KINDS.items() if image.startswith(start)), "png")
            data = base64.b64encode(image).decode()
            shown = {"url": f"data:image/{kind};base64,{data}"} | ({"detail": asked.detail} if asked.detail else {})
            content += [{"type": "text", "text": f"Picture {number}:"}, {"type": "image_url", "image_url": shown}]
        content.append({"type": "text", "text": request.prompt})
        system = f"{request.system}\n\n{FENCE_RULE}".strip()
        schema = schema_of(request.schema)
        form: dict = {}
        if asked.structured == "json_schema":
            named = {"name": request.schema.__name__, "schema": schema, "strict": True}
            form = {"response_format": {"type": "json_schema", "json_schema": named}}
        else:
            system += f"\n\nAnswer with one JSON object of this schema and nothing else: {json.dumps(schema)}"
            form = {"response_format": {"type": "json_object"}} if asked.structured == "json_object" else {}
        messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
        temperature = asked.temperature if request.temperature is None else request.temperature
        limits = {asked.max_tokens_as: asked.max_tokens, "temperature": temperature}
        return {"model": asked.model, "messages": messages, **limits, **form}

    def _said(self, received: Received) -> Said:
        """What came with HTTP 200. Errors: those of `call`, for an error in the body and for what is no answer."""
        content = received.content
        if content is None:
            begins = self.clean(words_of(None, received.body).said)[:60]
            raise Passing(f"an answer that is no JSON object (begins {begins!r})", most=LATE_TRIES, billed=True)
        counted = answers.tokens(content)
        if not content.get("choices"):
            if content.get("error"):
                raise self._fault(status_in(content), received)
            if counted is None:
                raise Passing("an answer with nothing in it", billed=True)
        text, fault = answers.completion(content)
        if counted and text and not counted[1]:
            counted = None  # words that took no tokens: no count
        revision = self.settings.revision or self.clean(answers.text_at(content, "model"))
        fault = fault and self.clean(fault)
        return Said(self.clean(text), *(counted or (0, 0)), revision, fault, counted is not None)

    def _fault(self, status: int, received: Received) -> Exception:
        """What an error means for the request; where its body tells tokens they are paid for."""
        words = words_of(received.content, received.body) if received.content or status != 200 else Words()
        found = fault_of(status, received.headers, words, self.where, self.settings.key, self.clean)
        if isinstance(found, Passing | Refused):
            found.tokens = answers.tokens(received.content)
        return found

    def clean(self, text: str) -> str:
        """A text that can be kept: without the key, should the endpoint have sent it back, and without half a surrogate
        pair, which no file holds."""
        return without(self._secret, text.encode("utf-8", "replace").decode())

    async def close(self) -> None:
        await self._wire.close()


def guessed(request: Request) -> int:
    """Tokens of a request, more rather than fewer: text at three characters a token, a large picture's tiles."""
    return (len(request.prompt) + len(request.system)) // 3 + 1600 * len(request.images) + 500
