"""A printed value with the precision it is printed in, a check of some of them, and what the check finds.

Numbers are exact fractions: whether 31.25 rounds to 31.3 must not hang on how floats are stored. A value's address is
`table/block/row/column` as in the CSV; in the text, whose rows only the system tells apart, `text/row/system/column`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from madi.tables.sources import reported_rows

HOLDS, CONTRADICTION, IMPOSSIBLE = "holds", "contradiction", "impossible"
UNEXPLAINED, NOTE, UNCHECKED = "unexplained", "note", "unchecked"
VERDICTS = (CONTRADICTION, IMPOSSIBLE, UNEXPLAINED, NOTE, HOLDS, UNCHECKED)
NUMBER = re.compile(r"(?:~|>=|T)?(-?\d+(?:\.(\d+))?(?:e-?\d+)?)(k?)", re.IGNORECASE)  # ~3k, >=0.7, T-0.3, 400k
SEVERAL_BLOCKS = {"1", "9"}


@dataclass(frozen=True)
class Value:
    """One printed number: as printed, exactly, and half a unit of its last digit (what rounding may have changed)."""

    key: str
    system: str
    text: str
    number: Fraction
    half: Fraction

    @property
    def row(self) -> str:
        return self.key.split("/")[2]

    @property
    def column(self) -> str:
        return self.key.split("/")[3]

    def __str__(self) -> str:
        table, block, row, column = self.key.split("/")
        if table == "text":
            return f"text {block} {column} {self.text}"
        name = f"Table {table}" if table.isdigit() else table.replace("_", " ")
        return f"{name} {f'{block} ' * (table in SEVERAL_BLOCKS)}{row} {column} {self.text}"


@dataclass(frozen=True)
class Finding:
    """What one check found; `keys` are the addresses of the printed values that it used."""

    id: str
    kind: str
    verdict: str
    claim: str
    evidence: str
    keys: tuple[str, ...] = ()


Judge = Callable[..., tuple[str, str]]  # the values in the order of the keys -> verdict and evidence
Printed = dict[str, Value | str]  # by address: a number, or the text of what is none


@dataclass(frozen=True)
class Check:
    """A claim about the printed values at `keys`, and who judges it."""

    id: str
    kind: str
    claim: str
    keys: tuple[str, ...]
    judge: Judge

    def against(self, printed: Printed) -> Finding:
        """The finding; `unchecked` where a value is missing or is no number."""
        values = []
        for key in self.keys:
            value = printed.get(key)
            if not isinstance(value, Value):
                why = f"cannot be checked: no value for {key}" if value is None else f"no number for {key}: {value!r}"
                return Finding(self.id, self.kind, UNCHECKED, self.claim, why)
            values.append(value)
        try:
            verdict, evidence = self.judge(*values)
        except (ArithmeticError, ValueError) as fault:  # a rate above 100 %, a recall of 1, no samples
            verdict, evidence = UNCHECKED, f"cannot be checked: {told(values)} give {fault}"
        return Finding(self.id, self.kind, verdict, self.claim, evidence, self.keys)


def read_printed(path: str | Path) -> Printed:
    """All printed values by address. Errors: MadiError of an unreadable CSV, in one line."""
    found: Printed = {}
    for table, block, row, column, system, text in reported_rows(path):
        place = (row, system) if table == "text" else (block, row)
        key = "/".join((table, *place, column))
        found[key] = value_of(key, system, text) or text
    return found


def value_of(key: str, system: str, text: str) -> Value | None:
    """The number in a printed text, None if it is none."""
    if not (match := NUMBER.fullmatch(text or "")):
        return None
    scale = 1000 if match[3] else 1
    unit = Fraction(scale, 10 ** len(match[2] or ""))
    return Value(key, system, text, Fraction(match[1]) * scale, unit / 2)


def rounds_to(number: Fraction, printed: Value) -> bool:
    """Whether `number` may be printed so; of a number in the middle both neighbours are right."""
    return abs(number - printed.number) <= printed.half


def same(one: Value, other: Value) -> bool:
    """Whether both may be the same number: they differ by no more than the coarser one's rounding."""
    return abs(one.number - other.number) <= max(one.half, other.half)


def shown(number: Fraction | float, digits: int = 4) -> str:
    """As a decimal with no zeros at its end."""
    text = f"{float(number):.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def told(values: list[Value] | tuple[Value, ...]) -> str:
    return ", ".join(map(str, values))
