"""When to stop by oneself: a time budget is nearly used up, or the machine wants its processor back (SIGTERM)."""

from __future__ import annotations

import signal
import threading
import time


class Deadline:
    """minutes: of this process, from its making; None: no end. Listens for SIGTERM within `with`."""

    def __init__(self, minutes: float | None):
        self.began, self.seconds = time.monotonic(), None if minutes is None else 60 * minutes
        self.asked = False
        self.step, self.save = 0.0, 0.0  # the longest of each, seconds

    def __enter__(self) -> Deadline:
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *_) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)

    def _ask(self, *_) -> None:
        self.asked = True

    def took(self, step: float = 0.0, save: float = 0.0) -> None:
        """A step, or the writing of a state, took so many seconds."""
        self.step, self.save = max(self.step, step), max(self.save, save)

    def over(self) -> bool:
        """Whether no more step fits with a state after it: twice the longest of each is kept free."""
        spent = time.monotonic() - self.began + 2 * (self.step + self.save)
        return self.asked or (self.seconds is not None and spent > self.seconds)

    @property
    def why(self) -> str:
        return "asked to stop" if self.asked else "the time budget is used up"
