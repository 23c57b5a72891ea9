"""All checks over one file of printed values."""

import csv
from collections.abc import Iterable
from pathlib import Path

from madi import shards
from madi.records import SCORE
from madi.tables.audit import aggregates, agree, claims, counts, geneval, means, power, scaling, spreads, training
from madi.tables.audit.finding import Finding, read_printed

GROUPS = (geneval, counts, aggregates, means, agree, training, claims, scaling, power)
CHECKS = [check for group in GROUPS for check in group.CHECKS]
COLUMNS = ("id", "kind", "verdict", "claim", "evidence")
BETWEEN = ("magd_ep", "omnigen")  # whom Table 1 compares


def findings(
    reported_path: str | Path, scores: Iterable[Path] = (), between: tuple[str, str] = BETWEEN
) -> list[Finding]:
    """What the checks find among the printed values; with score files, also what spreads measured between two editors
    can show. Errors: MadiError of an unreadable file, or of an editor that has no scores."""
    printed = read_printed(reported_path)
    checks = list(CHECKS)
    if paths := list(scores):
        found = spreads.spreads(shards.frame(paths, SCORE), *between)
        checks += [spreads.measured(spread, *between, printed) for spread in found]
    return [check.against(printed) for check in checks]


def write_csv(path: Path, found: list[Finding]) -> None:
    """A line a finding."""
    with shards.atomic(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows([getattr(finding, name) for name in COLUMNS] for finding in found)
