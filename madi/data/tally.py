"""What became of the rows of a set: kept, rejected, repeated, leaking; counted, never passed over in silence."""

from __future__ import annotations

from collections import Counter, defaultdict

TOLD = 20  # examples of each reason in a report


class Tally:
    """Counts by source and by reason, with examples. read: rows of the set's stream that are dealt with."""

    def __init__(self, told: dict | None = None):
        """told: what an earlier `facts` gave, to go on from."""
        told = told or {}
        self.read: int = told.get("read", 0)
        self.kept: Counter[str] = Counter(told.get("sources", {}))
        self.rejected: Counter[str] = Counter(told.get("rejected", {}))
        self.examples: defaultdict[str, list[str]] = defaultdict(list, told.get("examples", {}))
        self.duplicates: list[str] = list(told.get("duplicates", []))
        self.leaks: list[dict] = list(told.get("leaks", []))

    def reject(self, reason: str, where: str) -> None:
        self.rejected[reason] += 1
        if len(self.examples[reason]) < TOLD:
            self.examples[reason].append(where)

    @property
    def samples(self) -> int:
        return sum(self.kept.values())

    @property
    def whole(self) -> int:
        """Samples that were whole, leaks among them."""
        return self.samples + len(self.leaks)

    def facts(self) -> dict:
        """All of it as JSON holds it."""
        told = {"read": self.read, "samples": self.samples, "sources": dict(self.kept), "leaks": self.leaks}
        return told | {
            "duplicates": self.duplicates,
            "rejected": dict(self.rejected),
            "examples": dict(self.examples),
        }
