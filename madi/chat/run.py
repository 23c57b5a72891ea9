"""Many requests, some at once, in order: from the cache, else from the model, within a budget and a rate.

A kill loses the calls in flight and no other. Faults of one request are its own: it is missing, with the reason. A
fault of the model (no key, no answer to anyone) stops the run, and what was answered is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from madi.chat.ask import Reply, Request, Unfit, key_of, read
from madi.chat.cache import Cache
from madi.chat.endpoint import Passing, Refused
from madi.errors import MadiError, Paused
from madi.mllms import Mllm
from madi.progress import progress, say

AHEAD = 4  # requests a call at once that wait in order, so that a slow one holds up few
FIRST, LONGEST = 1.0, 60.0  # seconds before the second try, and before any
TOLD = 3  # names a reason at the end


def open_chat(settings: Mllm, path: Path | None) -> Chat:
    """A chat with the model of some settings. path: its cache, where answers are kept."""
    from madi.chat.endpoint import Endpoint

    cache = Cache(path, map(Path, settings.answers))
    if settings.kind == "local":
        from madi.chat.local import Local

        return Chat(Local(settings), cache, calls=settings.calls)
    return Chat(Endpoint(settings), cache, settings.budget, settings.calls, offline=settings.offline)


def told(name: str, revision: str) -> Chat:
    """A chat with what the program itself knows."""
    from madi.chat.told import Told

    return Chat(Told(name, revision), Cache(None))


class Spent(Paused):
    """The budget is used up: what was answered is kept, and more budget goes on from there."""


class Chat:
    """Asks one model. model: has `who`, `at_once`, `a_minute`, `tries`, `most`, `cost`, `call` and `close`.

    money and calls: hard limits over all runs with this cache; None: no limit. offline: ask nobody.
    """

    def __init__(self, model, cache: Cache, money: float | None = None, calls: int | None = None, offline=False):
        self.model, self.cache, self.money, self.calls, self.offline = model, cache, money, calls, offline
        self.failed: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.spent, self.made = cache.spent, cache.calls  # by all runs so far, unusable answers among them
        self._reserved, self._not_before = 0.0, 0.0  # money for calls in flight; when the next may begin
        self._doubtful: list[dict] = []  # failures since the last answer: they may be the model's own
        self._stopped: MadiError | None = None
        self._same: dict[str, asyncio.Future] = {}

    def ask(self, requests: Iterable[Request], total: int, label: str) -> Iterator[tuple[Request, Reply]]:
        """(request, reply) of each request, in order; `requests` is read as far ahead as calls are made.

        Errors: Spent where the budget ends, MadiError where the model answers nobody: calls in flight are waited for.
        """
        yield from progress(self._replies(requests), total, label, self.note)
        for reason, number in self.failed.most_common():
            say(f"{label}: {number} missing: {reason} (such as {', '.join(self.examples[reason])})")

    def note(self) -> str:
        """Money spent and failures, for the progress line."""
        failed = f", {sum(self.failed.values())} missing" if self.failed else ""
        return f"({self.spent:.2f} spent on {self.made} calls{failed})"

    def _replies(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        loop, waiting = asyncio.new_event_loop(), deque()
        self._at_once, self._halt = asyncio.Semaphore(self.model.at_once), asyncio.Event()
        before = self.made

        def next_one():
            request, task = waiting.popleft()
            return request, self._reply(request, loop.run_until_complete(task))

        try:
            for request in requests:
                waiting.append((request, loop.create_task(self._entry(request))))
                if len(waiting) >= AHEAD * self.model.at_once:
                    yield next_one()
            while waiting:
                yield next_one()
        finally:
            self._end(loop, [task for _, task in waiting])
        if self._doubtful:  # the last ones: theirs alone if others were answered
            self._settle(answered=self.made - before > sum(entry["calls"] for entry in self._doubtful))

    def _end(self, loop: asyncio.AbstractEventLoop, tasks: list[asyncio.Task]) -> None:
        """Let calls in flight finish, since they are paid for, and begin no other."""
        self._stopped = self._stopped or Paused("stopped")
        self._halt.set()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
            [task.exception() for task in tasks]  # looked at: one of them is what ended the run
        loop.run_until_complete(self.model.close())
        loop.close()
        self._stopped = None

    async def _entry(self, request: Request) -> dict:
        """The cache's entry of a request, asked for where there is none; equal requests ask once."""
        key = key_of(request, self.model.who)
        if (entry := self.cache.get(key)) is not None:
            return entry
        if key not in self._same:
            self._same[key] = asyncio.ensure_future(self._asked(request, key))
            self._same[key].add_done_callback(lambda _: self._same.pop(key))
        return await self._same[key]

    async def _asked(self, request: Request, key: str) -> dict:
        """Ask until there is an answer that fits, or patience with one kind of fault is at its end."""
        entry = {"key": key, "name": request.name, "tokens_in": 0, "tokens_out": 0, "cost": 0.0, "calls": 0}
        entry |= {"status": "missing", "raw": "", "reason": "not among the stored answers", "revision": ""}
        if self.offline:
            return entry  # and not kept: another run may ask
        patience = dict(zip((Passing, Unfit, Refused), (*self.model.tries, 1)))
        for attempt in count():
            try:
                await self._once(request, entry)
                self._settle(answered=True)
                self.cache.put(entry)
                return entry
            except (Passing, Unfit, Refused) as fault:
                entry["reason"] = fault.reason
                patience[type(fault)] -= 1
                if not patience[type(fault)]:
                    return self._given_up(entry, fault)
                await self._sleep(self._wait(fault, attempt))

    async def _once(self, request: Request, entry: dict) -> None:
        """One call, its answer into the entry. Errors: Passing, Unfit, Refused; MadiError for a fault of the model."""
        async with self._at_once:
            await self._pace()
            most = self._reserve(request)
            entry["calls"] += 1
            try:
                said = await self.model.call(request)
            except MadiError as fault:
                self._stopped = self._stopped or fault
                raise
            except Passing as fault:  # a pause that is asked for is asked of all
                self._not_before = max(self._not_before, time.monotonic() + (fault.wait or 0))
                raise
            finally:
                self._reserved -= most
        cost = self.model.cost(said.tokens_in, said.tokens_out)
        self.spent += cost
        for name, more in (("tokens_in", said.tokens_in), ("tokens_out", said.tokens_out), ("cost", cost)):
            entry[name] += more
        entry |= {"raw": said.text, "revision": said.revision}
        if said.fault:
            raise Unfit(said.fault, said.text)
        read(said.text, request.schema)
        entry |= {"status": "ok", "reason": None}

    def _reserve(self, request: Request) -> float:
        """Set aside the most that a call may cost. Errors: Spent where that is more than is left; why a run stopped."""
        most = self.model.most(request)
        if not self._stopped:
            if self.money is not None and self.spent + self._reserved + most > self.money:
                self._stopped = self._end_of(f"{self.money:.2f}")
            elif self.calls is not None and self.made >= self.calls:
                self._stopped = self._end_of(f"{self.calls} calls")
        if self._stopped:
            raise self._stopped
        self._reserved += most
        self.made += 1
        return most

    def _end_of(self, budget: str) -> Spent:
        used = f"{self.spent:.2f} on {self.made} calls"
        return Spent(f"the budget of {budget} ends here ({used}, and another may pass it)", do="raise it and run again")

    async def _pace(self) -> None:
        """Wait for this call's turn under the rate, and for the pause that the model asked everyone for."""
        now = time.monotonic()
        turn = max(now, self._not_before)
        if self.model.a_minute:
            self._not_before = turn + 60 / self.model.a_minute
        if turn > now:
            await self._sleep(turn - now)

    async def _sleep(self, seconds: float) -> None:
        """Errors: why the run stopped, if it does meanwhile."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._halt.wait(), seconds)
        if self._stopped:
            raise self._stopped

    def _wait(self, fault: Exception, attempt: int) -> float:
        """Seconds before another try: what the model asked for, else twice as long each time, spread."""
        if isinstance(fault, Passing) and fault.wait is not None:
            return fault.wait
        return min(LONGEST, FIRST * 2**attempt) * random.uniform(0.75, 1.25)

    def _given_up(self, entry: dict, fault: Exception) -> dict:
        """Keep a failure; one that may be the model's own only once an answer shows that it is there."""
        if isinstance(fault, Unfit):
            self.cache.put(entry)
            return entry
        self._doubtful.append(entry)
        if len(self._doubtful) >= max(8, self.model.at_once):
            self._settle(answered=False)
        return entry

    def _settle(self, answered: bool) -> None:
        """What becomes of doubtful failures. Errors: MadiError where nobody is answered."""
        if not answered:
            self._stopped = MadiError(
                f"{len(self._doubtful)} requests in a row came to nothing, last: {self._doubtful[-1]['reason']}",
                self.model.who["model"],
                "answers",
                "see whether it is there; what was answered is kept, and a second run goes on",
            )
            raise self._stopped
        while self._doubtful:
            self.cache.put(self._doubtful.pop())

    def _reply(self, request: Request, entry: dict) -> Reply:
        used = {name: entry[name] for name in ("raw", "reason", "tokens_in", "tokens_out", "cost", "revision")}
        if entry["status"] == "ok":
            return Reply("ok", read(entry["raw"], request.schema), **used)
        self.failed[entry["reason"]] += 1
        names = self.examples.setdefault(entry["reason"], [])
        names += [request.name] if len(names) < TOLD else []
        return Reply("missing", None, **used)
