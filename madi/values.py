"""What values a config may have: names, counts, shares; and the closed kind of section that holds them."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SAID: dict[str, str] = {}  # what a pattern means, for people


def worded(pattern: str, meaning: str):
    """The type of a text of some pattern, which errors tell by its meaning."""
    SAID[pattern] = meaning
    return Annotated[str, Field(pattern=pattern, description=meaning)]


Name = worded(r"^[a-z0-9][a-z0-9_]*$", "lower case letters, digits and _")


def _no_truth(value: Any) -> Any:
    """Python takes `true` for 1; in a config it is a slip."""
    if isinstance(value, bool):
        raise ValueError("a whole number")
    return value


Count = Annotated[int, BeforeValidator(_no_truth), Field(ge=1)]
Threads = Annotated[Count, Field(le=1024)]  # libraries break at more than a machine can have
Natural = Annotated[int, BeforeValidator(_no_truth), Field(ge=0, le=2**31 - 1)]  # as records hold them
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Part(BaseModel):
    """A piece of a config: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Hub(Part):
    """A repository of a model or data hub, at a branch, tag or commit; `files`: patterns of what is wanted of it."""

    repo: worded(r"^[\w.-]+/[\w.-]+$", "owner/name")
    revision: str = "main"
    files: list[str] = []
