"""When to stop by oneself: a time budget is nearly used up, or the machine wants its processor back (SIGTERM)."""

from __future__ import annotations

import signal
import threading
import time


class Deadline:
    """minutes: of this process, from its making; None: no end. Listens for SIGTERM within `with`."""

    def __init__(self, minutes: float | None):
        self.began, self.seconds = time.monotonic(), None if minutes is None else 60 * minutes
        self.asked = self.spent = False
        self.longest, self.mark = 0.0, self.began

    def __enter__(self) -> Deadline:
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *_) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)

    def _ask(self, *_) -> None:
        self.asked = True

    def over(self) -> bool:
        """Whether no more step fits: twice the longest time between two askings (a step, a save) is kept free."""
        now = time.monotonic()
        self.longest, self.mark = max(self.longest, now - self.mark), now
        self.spent = self.seconds is not None and now - self.began + 2 * self.longest > self.seconds
        return self.asked or self.spent

    @property
    def why(self) -> str:
        return "asked to stop" if self.asked else "the time budget is used up"
