"""Who sees whom in one sample, run by run: text is causal, an image is bidirectional, both see everything earlier.

Plain arithmetic, so that what a sample costs can be told without torch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """Positions [begin, end) of one sample. Causal (text): each sees up to itself; else (image): up to `end`."""

    begin: int
    end: int
    causal: bool


def runs(prompt: int, slots: list[tuple[int, int]], target: int) -> list[Run]:
    """Prompt tokens (causal but for the image `slots`), one time token (causal), `target` noise tokens."""
    words = prompt_runs(prompt + 1, slots)
    return [*words, Run(prompt + 1, prompt + 1 + target, False)]


def prompt_runs(length: int, slots: list[tuple[int, int]]) -> list[Run]:
    """The runs of `length` tokens, causal but for the image slots."""
    out, at = [], 0
    for begin, end in slots:
        out += [Run(at, begin, True)] * (at < begin) + [Run(begin, end, False)]
        at = end
    return out + [Run(at, length, True)] * (at < length)


def part(whole: list[Run], begin: int, end: int) -> list[Run]:
    """What of the runs lies in [begin, end). Errors: ValueError where that would cut an image in two."""
    out = []
    for run in whole:
        cut = Run(max(run.begin, begin), min(run.end, end), run.causal)
        if cut.begin < cut.end:
            if not run.causal and cut != run:
                raise ValueError(f"positions {begin}-{end} cut the image at {run.begin}-{run.end}")
            out.append(cut)
    return out
