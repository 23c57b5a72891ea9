"""An endpoint that speaks OpenAI's chat completions with pictures: Gemini's, vLLM's, OpenAI's and others.

One call here is one request over the wire; who calls again, and when, is `run`'s.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from dataclasses import dataclass

from madi.chat.ask import FENCE_RULE, Request, schema_of
from madi.errors import MadiError
from madi.mllms import Mllm

SECRET = 12  # letters: shorter "keys" are words that servers without keys are given
LATE_TRIES = 3  # an answer that does not come holds up others for long
KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}


class Passing(Exception):
    """A fault that may be gone in a moment. wait: seconds that the endpoint asked for, if it did; most: how often it is
    met at the most; billed: whether the call may have been answered, and so be paid for."""

    def __init__(self, reason: str, wait: float | None = None, most: int = 100, billed: bool = False):
        super().__init__(reason)
        self.reason, self.wait, self.most, self.billed = reason, wait, most, billed


class Busy(Passing):
    """Too many requests for now. said: in the endpoint's words."""

    def __init__(self, reason: str, wait: float | None, said: str):
        super().__init__(reason, wait)
        self.said = said


class Refused(Exception):
    """A request that the endpoint will not take however often it is sent."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Said:
    """One answer over the wire, and what it took. fault: why it cannot be used, where that is known already. paid: what
    it cost, where that is not by its tokens."""

    text: str
    tokens_in: int
    tokens_out: int
    revision: str
    fault: str | None = None
    paid: float | None = None


class Endpoint:
    """The endpoint of some settings. Its key comes from the environment and goes nowhere but into the request.

    Errors: MadiError where the environment has no such key.
    """

    def __init__(self, settings: Mllm):
        import openai

        self.settings, self.at_once, self.a_minute = settings, settings.at_once, settings.a_minute
        self.tries = (settings.tries, settings.answers_tried)  # of passing faults, of unusable answers
        self._secret = os.environ.get(settings.key, "").strip()
        if not settings.offline:
            check(self._secret, settings.key, settings.url)
        self._openai = openai
        self._client: openai.AsyncOpenAI | None = None

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
        """Ask once. Errors: Passing, Refused; MadiError for a wrong key, model or address."""
        if self._client is None:  # within the loop that it serves
            limits = {"max_retries": 0, "timeout": self.settings.timeout_s}
            self._client = self._openai.AsyncOpenAI(base_url=self.settings.url, api_key=self._secret, **limits)
        try:
            async with asyncio.timeout(self.settings.timeout_s):  # of the whole, however slowly it drips
                answer = await self._client.chat.completions.create(**self.body(request))
        except TimeoutError:
            raise late() from None
        except self._openai.APIStatusError as fault:
            raise self._status(fault) from None
        except self._openai.APITimeoutError:
            raise late() from None
        except Exception as fault:  # the client lets out whatever its HTTP library raises
            if not isinstance(fault, self._openai.APIError | ValueError | OSError) and not of_the_wire(fault):
                raise
            raise Passing(self.clean(f"a broken connection ({cause(fault)})"), billed=not unreached(fault)) from None
        return self._said(answer, request)

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

    def _said(self, answer, request: Request) -> Said:
        """What came. An answer without choices, as some gateways send with an error in it, is a passing fault."""
        if not getattr(answer, "choices", None):
            raise Passing("an answer with nothing in it")
        choice, used = answer.choices[0], answer.usage
        text = choice.message.content or ""
        fault = None
        if getattr(choice.message, "refusal", None):
            fault, text = "refused", choice.message.refusal
        elif choice.finish_reason == "content_filter":
            fault = "content filter"
        elif choice.finish_reason == "length":
            fault = "cut at max_tokens"
        tokens = (guessed(request), len(text) // 3)  # where the endpoint does not count
        if used:
            tokens = (used.prompt_tokens or 0, used.completion_tokens or 0)
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair can be kept nowhere
        return Said(self.clean(text), *tokens, self.settings.revision or answer.model or "", fault)

    def _status(self, fault) -> Exception:
        """What an HTTP status means for the request."""
        code, said = fault.status_code, self.clean(" ".join(str(fault.message).split()))[:200]
        if code in (401, 403, 404):
            return MadiError(
                f"HTTP {code} ({said})",
                self.where,
                "a key, a model and an address that belong together",
                f"see {self.settings.key}, `url` and `model`",
            )
        wait = _seconds(fault.response.headers.get("retry-after"))
        if code == 429:
            return Busy("HTTP 429", wait, said)
        if code in (408, 409) or code >= 500:
            return Passing(f"HTTP {code}", wait)
        return Refused(f"HTTP {code} ({said})"[:160])

    def clean(self, text: str) -> str:
        """A text without the key, should the endpoint have sent it back."""
        return without(self._secret, text)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None


def without(secret: str, text: str) -> str:
    """A text with a key blotted out; a word in a key's place is no secret."""
    return text.replace(secret, "[key]") if len(secret) >= SECRET else text


def check(secret: str, variable: str, url: str) -> None:
    """Errors: MadiError where the environment has no key, or one that no header can hold."""
    if not secret or not (secret.isascii() and secret.isprintable()):
        what = "no key that can be sent" if secret else "not set"
        raise MadiError(what, f"environment variable {variable}", f"the key of {url}", "export it")


def late() -> Passing:
    return Passing("no answer in time", most=LATE_TRIES, billed=True)


def of_the_wire(fault: Exception) -> bool:
    return type(fault).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "h11")


def unreached(fault: Exception) -> bool:
    """Whether the endpoint cannot have had the request."""
    return "Connect" in type(fault.__cause__ or fault).__name__


def cause(fault: Exception) -> str:
    """What the HTTP library says of a fault, without the numbers that differ from time to time."""
    inner = fault.__cause__ or fault
    said = " ".join(str(inner).split())[:80]
    return f"{type(inner).__name__}: {said}" if said and unreached(fault) else type(inner).__name__


def guessed(request: Request) -> int:
    """Tokens of a request, more rather than fewer: text at three characters a token, a large picture's tiles."""
    return (len(request.prompt) + len(request.system)) // 3 + 1600 * len(request.images) + 500


def _seconds(value: str | None) -> float | None:
    """Seconds that a `retry-after` asks for, if it says so in seconds."""
    try:
        return min(120.0, max(0.0, float(value))) if value is not None else None
    except ValueError:
        return None
