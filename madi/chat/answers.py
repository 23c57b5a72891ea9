"""A chat completion as it comes over the wire, read into types: whatever else comes is one request's fault."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

Tokens = Annotated[int, Field(ge=0, le=10**8)]  # more than any model reads is no count
CUT = {"length", "max_tokens"}
FILTERED = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "refusal"}


class Wired(BaseModel):
    """Part of an answer: keys that nobody here reads are let be."""

    model_config = ConfigDict(extra="ignore")


class ContentPart(Wired):
    """type: text is kept; thoughts and pictures are no part of what is said."""

    type: str = "text"
    text: str | None = None


class Message(Wired):
    content: str | list[ContentPart | str] | None = None
    refusal: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            parts = [ContentPart(text=part) if isinstance(part, str) else part for part in self.content]
            return "".join(part.text or "" for part in parts if part.type in ("text", "output_text"))
        return self.content or ""


class Choice(Wired):
    message: Message | None = None
    finish_reason: str | None = None


class Completion(Wired):
    choices: list[Choice] | None = None

    @property
    def said(self) -> tuple[str, str | None]:
        """The text, and why it cannot be used where that is known already."""
        if not self.choices:
            return "", "blocked"
        choice = self.choices[0]
        message, ended = choice.message or Message(), (choice.finish_reason or "").lower()
        if message.refusal:
            return message.refusal, "refused"
        if ended in FILTERED:
            return message.text, "content filter"
        if ended in CUT:
            return message.text, "cut at max_tokens"
        if choice.message is None:
            return "", "blocked"
        return message.text, None


class Details(Wired):
    reasoning_tokens: Tokens | None = None


class Usage(Wired):
    """What an endpoint counts. Some leave a model's thoughts out of `completion_tokens`, and none out of the total."""

    prompt: Annotated[Tokens | None, Field(validation_alias=AliasChoices("prompt_tokens", "input_tokens"))] = None
    completion: Annotated[Tokens | None, Field(validation_alias=AliasChoices("completion_tokens", "output_tokens"))] = (
        None
    )
    total: Annotated[Tokens | None, Field(validation_alias="total_tokens")] = None
    details: Annotated[Details | None, Field(validation_alias="completion_tokens_details")] = None

    @property
    def tokens(self) -> tuple[int, int] | None:
        """(in, out); None where they cannot be told."""
        if not self.prompt or (self.completion is None and self.total is None):
            return None
        out = max(self.completion or 0, (self.total or 0) - self.prompt)
        if self.total is None and self.details:
            out += self.details.reasoning_tokens or 0
        return self.prompt, out


def completion(content: dict) -> tuple[str, str | None]:
    """(text, fault) of the JSON object of an answer. The fault, where there is one, is a few words."""
    try:
        return Completion.model_validate(content).said
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        return "", f"not a chat completion ({where}: {first['msg']})"[:160]


def tokens(content: dict | None) -> tuple[int, int] | None:
    """Tokens (in, out) that an answer counts; None where it has no usable count."""
    try:
        return Usage.model_validate((content or {}).get("usage")).tokens
    except ValidationError:
        return None


def text_at(content: dict, key: str) -> str:
    """A text of an answer; empty where it is none."""
    found: Any = content.get(key)
    return found[:200] if isinstance(found, str) else ""
