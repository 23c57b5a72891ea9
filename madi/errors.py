"""The one error a person reads: what is wrong, where, what was expected, and what to do about it."""


class MadiError(Exception):
    """A fault that a person can mend, told in one line: `where: what; expected ...; do`.

    what:      what was found, with the numbers in it
    where:     the file, row and field (or key path) that it was found in
    expected:  what would have been right
    do:        what to do now

    `code` is what the process ends with.
    """

    code = 2

    def __init__(self, what: str, where: object = None, expected: object = None, do: str | None = None):
        super().__init__(what, where, expected, do)  # all four, so that the error survives pickling between processes
        self.what, self.where, self.expected, self.do = what, where, expected, do

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where is not None else str(self.what)]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.do is not None:
            parts.append(self.do)
        return " ".join("; ".join(parts).split())


class Paused(MadiError):
    """Work that stopped by itself and goes on when it is run again: not a fault, though nothing is finished."""

    code = 75  # "try again" among the exit codes of sysexits.h
