"""Who is asked where no model is: what the program itself knows of a request, such as a scene's truth.

The answer goes the way of any model's: as text, through the schema.
"""

from __future__ import annotations

import json

from madi.chat.ask import Request
from madi.chat.endpoint import Said


class Told:
    """Answers with what a request's `truth`, a function of nothing, gives. It may raise Unfit."""

    at_once, a_minute, tries = 1, None, (1, 1)

    def __init__(self, name: str, revision: str):
        self.name, self.where, self.revision = name, name, revision

    @property
    def who(self) -> dict:
        return {"model": self.name, "revision": self.revision}

    def most(self, request: Request) -> float:
        return 0.0

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        return 0.0

    async def call(self, request: Request) -> Said:
        return Said(json.dumps(request.truth(), ensure_ascii=False), 0, 0, self.revision)

    async def close(self) -> None:
        pass
