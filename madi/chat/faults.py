"""What can be wrong with a call: a fault that passes, a request that is refused, or an account that nobody serves.

A request's own fault costs that request. A fault of the account, of the key or of the parameters would meet every
request: it is a MadiError, which stops the job with the endpoint's words.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from madi.errors import MadiError

SECRET = 12  # letters: shorter "keys" are words that servers without keys are given
LATE_TRIES = 3  # an answer that does not come holds up others for long
LONGEST_ASKED = 120.0  # seconds that an endpoint may ask to wait
KEY_OR_MODEL = (401, 403, 404, 405, 407)
GATEWAY = (408, 504, 524)  # the endpoint behind a gateway may have answered, and be paid
MODERATED = re.compile(r"moderation|flagged|content.?(policy|filter)|safety", re.I)
ACCOUNT_CODES = {
    "insufficient_quota",
    "insufficient_user_quota",
    "insufficient_balance",
    "billing_hard_limit_reached",
    "billing_not_active",
    "account_deactivated",
    "access_terminated",
    "consumer_suspended",
    "payment_required",
    "arrearage",
    "invalid_api_key",
    "api_key_invalid",
    "unknown_parameter",
    "unsupported_parameter",
    "unsupported_value",
    "extra_forbidden",
    "model_not_found",
}
ACCOUNT_WORDS = re.compile(
    r"api[ _-]?key.{0,20}(not valid|invalid|expired|missing|incorrect)"
    r"|(invalid|incorrect|expired|missing|no) api[ _-]?key"
    r"|(unknown|unrecognized|unsupported|unexpected) (request )?(parameter|argument|name|field|value|keyword)"
    r"|extra (inputs|fields)( are)? not permitted|additional properties are not allowed"
    r"|billing.{0,20}(hard limit|not active|disabled|inactive)|(spending|usage) (limit|cap)\b.{0,20}(reached|exceeded)"
    r"|insufficient (account )?(balance|credits?|funds|quota)|(out of|no|not enough) credits?|credit balance|overdue"
    r"|(model|deployment)\b.{0,80}(does not exist|not found|is not supported)|location is not supported",
    re.I,
)


class Passing(Exception):
    """A fault that may be gone in a moment. wait: seconds that the endpoint asked for, if it did; most: how often it is
    met at the most; billed: whether the call may have been answered, and so be paid for; tokens: what of, if known."""

    def __init__(
        self,
        reason: str,
        wait: float | None = None,
        most: int = 100,
        billed: bool = False,
        tokens: tuple[int, int] | None = None,
    ):
        super().__init__(reason)
        self.reason, self.wait, self.most, self.billed, self.tokens = reason, wait, most, billed, tokens


class Busy(Passing):
    """Too many requests for now. said: in the endpoint's words."""

    def __init__(self, reason: str, wait: float | None, said: str):
        super().__init__(reason, wait)
        self.said = said


class Refused(Exception):
    """A request that the endpoint will not take however often it is sent."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason, self.tokens = reason, None


def late() -> Passing:
    return Passing("no answer in time", most=LATE_TRIES, billed=True)


@dataclass
class Words:
    """What the body of an error says, whatever its form: its message, its codes and types, the pause it asks for."""

    said: str = ""
    codes: set[str] = field(default_factory=set)
    wait: float | None = None


def words_of(content: object, body: bytes = b"") -> Words:
    """The words of an error's body: of its JSON where it has one, else its text without tags."""
    found = Words()
    for key, value in _leaves(content):
        if key in ("message", "msg", "detail", "error", "error_description", "title"):
            found.said = found.said or " ".join(value.split())
        elif key in ("code", "type", "status", "reason", "quotaid"):
            found.codes.add(value.lower())
        elif key == "retrydelay" and re.fullmatch(r"[\d.]+s", value):
            found.wait = seconds(value[:-1])
    if not found.said:
        text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", body[:4000].decode("utf-8", "replace"))
        found.said = " ".join(text.split())
    return found


def _leaves(value: object, key: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The texts and numbers of a JSON value to some depth, with the keys that they stand under."""
    if isinstance(value, dict) and depth < 6:
        for name in sorted(value, key=lambda name: isinstance(value[name], dict | list)):
            yield from _leaves(value[name], str(name).lower(), depth + 1)
    elif isinstance(value, list) and depth < 6:
        for one in value[:20]:
            yield from _leaves(one, key, depth + 1)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield key, str(value)


def fault_of(
    status: int, headers: Mapping[str, str], words: Words, where: str, key: str, clean: Callable[[str], str]
) -> Exception:
    """What an error's status and words mean. key: the variable that holds its secret."""
    said = clean(words.said)[:200]
    what = f"HTTP {status} ({said})" if said else f"HTTP {status}"
    see = f"see {key}, `url` and `model`"
    if 300 <= status < 400:
        moved = clean(str(headers.get("location", "elsewhere")))[:200]
        return MadiError(f"HTTP {status}, moved to {moved}", where, do=see)
    if status == 403 and MODERATED.search(said):
        return Refused(what[:160])
    if status in KEY_OR_MODEL:
        return MadiError(what, where, "a key, a model and an address that belong together", see)
    if status == 402 or words.codes & ACCOUNT_CODES or (status < 500 and ACCOUNT_WORDS.search(said)):
        return MadiError(what, where, "an account that is served and parameters that the model takes", see)
    wait = asked_wait(headers, words)
    if status == 429:
        if any("perday" in code for code in words.codes):
            return MadiError(what, where, "quota left today", "run again tomorrow: what was answered is kept")
        return Busy("HTTP 429", wait, said)
    if status in (408, 409, 425) or status >= 500:
        return Passing(f"HTTP {status}", wait, billed=status in GATEWAY)
    return Refused(what[:160])


def status_in(content: dict) -> int:
    """The HTTP status that an error in the body of an answer names, as gateways pass on another's; else 502."""
    error = content["error"]
    named = [error.get(name) for name in ("code", "status", "status_code")] if isinstance(error, dict) else []
    found = [int(one) for one in named if re.fullmatch(r"[345]\d\d", str(one))]
    return found[0] if found else 502


def asked_wait(headers: Mapping[str, str], words: Words) -> float | None:
    """Seconds that an endpoint asks to wait: by header, in seconds or as a date, or in the error's body."""
    if (wait := seconds(headers.get("retry-after-ms"), 1e-3)) is not None:
        return wait
    value = headers.get("retry-after")
    if value is None:
        return words.wait
    if (wait := seconds(value)) is not None:
        return wait
    try:
        return seconds(str(email.utils.parsedate_to_datetime(value).timestamp() - time.time()))
    except (ValueError, TypeError, OverflowError):
        return words.wait


def seconds(value: str | None, unit: float = 1.0) -> float | None:
    """A time in seconds, at most `LONGEST_ASKED`; None for what is none."""
    try:
        found = float(value) * unit
    except (ValueError, TypeError):
        return None
    return min(LONGEST_ASKED, max(0.0, found)) if math.isfinite(found) else None


def without(secret: str, text: str) -> str:
    """A text with a key blotted out, JSON's escapes and other capitals of it too; a word in a key's place is no
    secret."""
    if len(secret) < SECRET:
        return text
    letters = (rf"(?:{re.escape(letter)}|\\u{ord(letter):04x})" for letter in secret)
    return re.sub("".join(letters), "[key]", text, flags=re.I)


def check(secret: str, variable: str, url: str) -> None:
    """Errors: MadiError where the environment has no key, or one that no header can hold."""
    if not secret or not (secret.isascii() and secret.isprintable()):
        what = "no key that can be sent" if secret else "not set"
        raise MadiError(what, f"environment variable {variable}", f"the key of {url}", "export it")
