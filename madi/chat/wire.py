"""One HTTP exchange with an endpoint, bounded in bytes and in seconds, both of the whole exchange.

What it raises is in `madi/chat/faults.py`. The client is the one of openai, whichever HTTP library that builds on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from madi.chat.faults import LATE_TRIES, Passing, late
from madi.errors import MadiError

MOST_BYTES = 8 * 2**20  # of an answer in words: a long one is a hundredth of it
CONNECT_S = 15.0
OF_SOCKETS = (OSError, ValueError, OverflowError, ExceptionGroup)  # such as a port that there is not
NO_ADDRESS = {"InvalidURL", "UnsupportedProtocol"}


@dataclass(frozen=True)
class Received:
    """An answer over HTTP, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def content(self) -> dict | None:
        """The JSON object of the body, alone or as an item of a list; None where it holds none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        if isinstance(found, list):
            found = next((one for one in found if isinstance(one, dict)), None)
        return found if isinstance(found, dict) else None


class Wire:
    """Exchanges with `url`. secret: sent to it as a bearer token, and to no other address. Within one event loop."""

    def __init__(self, url: str, secret: str, timeout_s: float):
        self.url, self.timeout_s = url.rstrip("/"), timeout_s
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._client = None

    async def post(self, path: str, most: int = MOST_BYTES, **content) -> Received:
        """POST to `path` below the address. content: `json`, or `data` and `files`."""
        return await self._exchange("POST", f"{self.url}/{path}", most, headers=self._headers, **content)

    async def get(self, url: str, most: int) -> Received:
        """GET an address that an answer names. It is not shown the key."""
        return await self._exchange("GET", url, most, headers={}, follow_redirects=True)

    async def _exchange(self, method: str, url: str, most: int, headers: dict, **content) -> Received:
        """Errors: Passing; MadiError for an address or a proxy that can be no such thing."""
        headers = headers | {"Accept-Encoding": "identity"}
        client = self._opened()  # loading a library is none of the endpoint's seconds
        try:
            async with asyncio.timeout(self.timeout_s):
                async with client.stream(method, url, headers=headers, **content) as response:
                    return Received(response.status_code, response.headers, await whole(response, most))
        except TimeoutError:
            raise late() from None
        except Exception as fault:  # the client lets out whatever its HTTP library raises
            if type(fault).__name__ in NO_ADDRESS:
                raise MadiError(f"no address ({fault})", url, "http://... or https://...", "see `url`") from None
            if isinstance(fault, Passing) or not (isinstance(fault, OF_SOCKETS) or of_the_wire(fault)):
                raise
            raise Passing(f"a broken connection ({cause(fault)})", billed=not unreached(fault)) from None

    def _opened(self):
        if self._client is None:
            import openai

            connect = min(CONNECT_S, 0.8 * self.timeout_s)
            try:
                self._client = openai.DefaultAsyncHttpxClient(
                    timeout=(connect, None, None, None), follow_redirects=False
                )
            except Exception as fault:
                if not isinstance(fault, ImportError | ValueError) and type(fault).__name__ not in NO_ADDRESS:
                    raise
                raise no_proxy(fault) from None
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


async def whole(response, most: int) -> bytes:
    """The body of an answer. Errors: Passing for one of more than `most` bytes, of which no more are read."""
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > most:
            raise Passing(f"an answer of more than {most / 2**20:g} MB", most=LATE_TRIES, billed=True)
    return bytes(data)


def no_proxy(fault: Exception) -> MadiError:
    """What a proxy's environment variable that the HTTP library cannot use comes to."""
    what = "a proxy that cannot be used (" + " ".join(str(fault).split())[:120] + ")"
    what = "a SOCKS proxy, which needs socksio" if "socks" in str(fault).lower() else what
    where = "environment variables ALL_PROXY, HTTPS_PROXY, HTTP_PROXY"
    return MadiError(what, where, "http://HOST:PORT", "unset them or name an HTTP proxy, or `pip install socksio`")


def of_the_wire(fault: Exception) -> bool:
    return type(fault).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "h11")


def unreached(fault: Exception) -> bool:
    """Whether the endpoint cannot have had the request."""
    name = type(fault.__cause__ or fault).__name__
    return "Connect" in name or "Proxy" in name


def cause(fault: Exception) -> str:
    """What the HTTP library says of a fault, without the numbers that differ from time to time."""
    inner = fault.__cause__ or fault
    said = " ".join(str(inner).split())[:80]
    return f"{type(inner).__name__}: {said}" if said and unreached(fault) else type(inner).__name__
