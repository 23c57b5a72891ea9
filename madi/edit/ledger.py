"""What edits by an endpoint have cost, over all runs of a shard, in a file that is only ever added to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from madi.chat.cache import cut_to_whole_lines
from madi.editors import Spending
from madi.errors import MadiError, Paused


class Line(BaseModel):
    sample: str
    paid: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Ledger:
    """One price for each call that may have been answered. Errors: MadiError for a line that is no entry."""

    def __init__(self, spending: Spending, path: Path):
        self.price, self.budget, self.path, self.spent, self.calls = spending.price, spending.budget, path, 0.0, 0
        if path.is_file():
            cut_to_whole_lines(path)
            for number, line in enumerate(path.read_bytes().splitlines(), 1):
                try:
                    self.spent += Line.model_validate_json(line).paid
                except ValidationError:
                    raise MadiError(
                        "no entry", f"{path} line {number}", "what an edit cost", "delete the line"
                    ) from None
                self.calls += 1

    def check(self, where: str) -> None:
        """Errors: Paused where another call would cost more than is left of the budget."""
        if self.budget is not None and self.spent + self.price > self.budget * (1 + 1e-9):
            used = f"{self.spent:.6g} spent on {self.calls} edits of this shard, another costs {self.price:g}"
            do = "raise `budget` of this editor and run again: edits that are made are kept"
            raise Paused(f"the budget of {self.budget:g} ends here ({used})", where, do=do)

    def pay(self, sample: str) -> None:
        """Count a call, on disk before anything else is done."""
        self.spent += self.price
        self.calls += 1
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"sample": sample, "paid": self.price}) + "\n")
