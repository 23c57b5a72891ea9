"""Edits by an endpoint that speaks OpenAI's image edits: a picture and an instruction go, a picture comes back."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import time
from collections.abc import Sequence
from itertools import count
from urllib.parse import unquote_to_bytes, urljoin

from pydantic import ValidationError

from madi import images
from madi.chat.answers import Wired
from madi.chat.faults import Busy, Passing, Refused, Words, check, fault_of, status_in, without, words_of
from madi.chat.run import BUSY_FOR, FIRST, LONGEST
from madi.chat.wire import Received, Wire
from madi.edit.editors.folder import read
from madi.edit.editors.reference import NO_MODEL
from madi.edit.ledger import Ledger
from madi.edit.work import Result, Useless, Work
from madi.editors import EndpointEditor
from madi.errors import MadiError

MOST_BYTES = 96 * 2**20  # of an answer with a picture, a third of which is what base64 adds
BARREN = 8  # edits in a row of no use: no more are paid for
FETCHES = 3  # of a picture that an answer names by its address


class Picture(Wired):
    b64_json: str | None = None
    url: str | None = None


class Edited(Wired):
    data: list[Picture] | None = None


class Endpoint:
    """Edits one by one; each batch that came is kept by the job. Errors: MadiError for no key, and for any fault that
    all edits would meet; Paused where the budget ends."""

    def __init__(self, settings: EndpointEditor, config_sha: str, ledger: Ledger | None = None):
        secret = os.environ.get(settings.key, "").strip()
        check(secret, settings.key, settings.url)
        self.settings, self.ledger, self._secret = settings, ledger, secret
        self.where = f"{settings.url} ({settings.model})"
        self.facts = NO_MODEL | {"config_sha": config_sha}
        self._barren: dict[tuple, str] = {}  # reasons by edit, since one that was of use
        self._useful = False

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return asyncio.run(self._all(works))

    async def _all(self, works: Sequence[Work]) -> list[Result]:
        wire = Wire(self.settings.url, self._secret, self.settings.timeout_s)
        try:
            return [await self._one(work, wire) for work in works]
        finally:
            await wire.close()

    async def _one(self, work: Work, wire: Wire) -> Result:
        if work.pause:
            return Result(None, "this editor has no pauses")
        if not work.sample.count:
            return Result(None, "this editor makes no picture from words alone")
        words = work.sample.row["instruction"]
        try:
            received = await self._answer(work, wire)
            made = read(await self._picture(received, wire), f"edit of {work.sample.id}")
        except Refused as fault:
            return Result(None, fault.reason, words, refused=True)
        except NoPicture as fault:
            made = Result(None, self._clean(str(fault)))
        if made.image is None:
            self._brake(work, made.reason)
            return Result(None, made.reason, words)
        self._barren, self._useful = {}, True
        return Result(made.image, None, words)  # at the size it came in

    async def _answer(self, work: Work, wire: Wire) -> Received:
        """The answer with HTTP 200, after passing faults. Errors: Refused; MadiError for what all edits would meet."""
        sent, since = self._form(work), time.monotonic()
        for tried in count(1):
            if self.ledger:
                self.ledger.check(self.where)
            try:
                return await self._once(sent, work, wire)
            except Passing as fault:
                if isinstance(fault, Busy):
                    last = time.monotonic() - since >= BUSY_FOR
                else:
                    last = tried >= min(self.settings.tries, fault.most)
                if last:
                    do = "run again later: edits that are made are kept"
                    raise MadiError(f"no answer ({self._clean(fault.reason)})", self.where, do=do) from None
                await asyncio.sleep(fault.wait or min(LONGEST, FIRST * 2 ** min(tried - 1, 10)))

    async def _once(self, sent: dict, work: Work, wire: Wire) -> Received:
        """One call, paid for where it may have been answered."""
        paid = False
        try:
            received = await wire.post("images/edits", MOST_BYTES, **sent)
            paid = received.status == 200
            error = (received.content or {}).get("error") if paid else None
            if not paid or (error and not received.content.get("data")):
                status = status_in(received.content) if paid else received.status
                words = words_of(received.content, received.body) if received.content or not paid else Words()
                raise fault_of(status, received.headers, words, self.where, self.settings.key, self._clean)
            return received
        except Passing as fault:
            paid = paid or fault.billed
            raise
        finally:
            if paid and self.ledger:
                self.ledger.pay(work.sample.id)

    def _form(self, work: Work) -> dict:
        """The request's fields and files."""
        number, data = work.sample.count, {"model": self.settings.model, "prompt": work.sample.row["instruction"]}
        data |= {name: value for name, value in self.settings.call.items() if value is not None}
        pictures = [images.encode_png(work.sample.source(index)) for index in range(number)]
        field = "image" if number == 1 else "image[]"
        return {"data": data, "files": [(field, (f"{n}.png", file, "image/png")) for n, file in enumerate(pictures, 1)]}

    async def _picture(self, received: Received, wire: Wire) -> bytes:
        """The bytes of an answer's first picture, fetched where it is an address. Errors: NoPicture."""
        if received.content is None:
            raise NoPicture(f"no JSON object (begins {words_of(None, received.body).said[:60]!r})")
        try:
            first = (Edited.model_validate(received.content).data or [Picture()])[0]
        except ValidationError as fault:
            problem = fault.errors()[0]
            raise NoPicture(
                f"not an image edit ({'.'.join(map(str, problem['loc']))}: {problem['msg']})"[:160]
            ) from None
        if first.b64_json:
            return decoded(first.b64_json)
        if not first.url:
            raise NoPicture("an answer without a picture")
        return in_address(first.url) if first.url.startswith("data:") else await self._fetched(first.url, wire)

    async def _fetched(self, url: str, wire: Wire) -> bytes:
        """A picture at an address. Errors: NoPicture."""
        for _ in range(FETCHES):
            try:
                received = await wire.get(urljoin(f"{self.settings.url}/", url), MOST_BYTES)
                if received.status == 200:
                    return received.body
                why = f"HTTP {received.status}"
            except Passing as fault:
                why = fault.reason
            except (MadiError, ValueError):
                why = "no address"
                break
        raise NoPicture(f"a picture by its address, which gives none ({why}); see `response_format` in `call`")

    def _brake(self, work: Work, reason: str) -> None:
        """Count an edit of no use. Errors: Useless after too many in a row, which are paid for in vain."""
        self._barren[work.key] = reason
        if len(self._barren) < BARREN:
            return
        own = () if self._useful else list(self._barren)
        what = f"{len(self._barren)} edits in a row came to nothing, last: {reason}"
        raise Useless(what, self.where, "pictures, as base64", "see `url`, `model` and `call`, and run again", own)

    def _clean(self, text: str) -> str:
        return without(self._secret, " ".join(text.encode("utf-8", "replace").decode().split()))


class NoPicture(Exception):
    """An answer without a picture; why, in a few words."""


def decoded(text: str) -> bytes:
    """The bytes of base64, with or without the head of a data address. Errors: NoPicture."""
    text = re.sub(r"\s", "", re.sub(r"^data:[^,]{0,100},", "", text))
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoPicture("a picture in broken base64") from None


def in_address(url: str) -> bytes:
    """What a `data:` address holds. Errors: NoPicture."""
    head, _, data = url.partition(",")
    return decoded(data) if head.endswith(";base64") else unquote_to_bytes(data)
