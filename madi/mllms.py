"""A multimodal language model that plans, asks or judges, as a config names it."""

from typing import Literal

from pydantic import model_validator

from madi.values import Count, NonNegative, Part, Positive, worded

Variable = worded(r"^[A-Z][A-Z0-9_]*$", "the NAME of an environment variable, capitals, digits and _")
Reach = worded(r"^https?://[^\s@?#]+$", "http://... or https://..., with no key in it")


class Mllm(Part):
    """kind endpoint: any that speaks OpenAI's chat completions (`url`); local: weights of a vision-language model of
    transformers in the folder `model`, on `device`.

    key: the environment variable that holds the secret, which is written nowhere. revision: which version the model is
    said to be, else what the endpoint calls it. structured: how an answer's schema is asked for. at_once, a_minute:
    calls. tries: of a passing fault; answers_tried: of unusable answers. price_in, price_out: money for a million
    tokens; budget (money) and calls are hard limits over all runs of a job. answers: files of stored answers, which are
    read first; offline: nothing else is asked.
    """

    kind: Literal["endpoint", "local"]
    model: str
    url: Reach | None = None
    key: Variable = "OPENAI_API_KEY"
    revision: str = ""
    temperature: NonNegative = 0.0
    max_tokens: Count = 1024
    max_tokens_as: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    structured: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    detail: Literal["low", "high", "auto"] | None = None
    at_once: Count = 16
    a_minute: Count | None = None
    timeout_s: Positive = 120.0
    tries: Count = 6
    answers_tried: Count = 3
    price_in: NonNegative = 0.0
    price_out: NonNegative = 0.0
    budget: Positive | None = None
    calls: Count | None = None
    answers: list[str] = []
    offline: bool = False
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _somewhere(self) -> "Mllm":
        if (self.kind == "endpoint") != (self.url is not None):
            raise ValueError("`url` with kind endpoint, and with no other kind")
        if self.budget and not (self.price_in or self.price_out):
            raise ValueError("`price_in` and `price_out` beside a budget: without them nothing costs anything")
        return self

    @property
    def identity(self) -> "Identity":
        """What of it an answer depends on."""
        return Identity(**{name: getattr(self, name) for name in Identity.model_fields})


class Identity(Part):
    """Which model is asked, and for what; not how it is reached, at what price or pace, which changes no answer."""

    kind: Literal["endpoint", "local"]
    model: str
    revision: str
    temperature: NonNegative
    max_tokens: Count
    structured: str
    detail: str | None
    dtype: str
