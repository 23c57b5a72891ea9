"""Many requests, some at once, in order: from the cache, else from the model, within a budget and a rate.

A kill loses the calls in flight and no other. Faults of one request are its own: it is missing, with the reason. A
fault of the model (no key, no answer to anyone) stops the run, and what was answered is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from madi.chat.ask import Reply, Request, Unfit, key_of, read
from madi.chat.cache import Cache
from madi.chat.endpoint import Busy, Passing, Refused, Said
from madi.errors import MadiError, Paused
from madi.mllms import Mllm
from madi.progress import progress, say

AHEAD, MOST = 4, 64  # requests a call at once: that are not answered yet, and that wait for one before them
FIRST, LONGEST = 1.0, 60.0  # seconds before the second try, and before any
BUSY_TRIES = 40  # of "too many requests": half an hour and more, since quotas are by the minute
TOLD = 3  # names a reason at the end


class Spent(Paused):
    """The budget is used up: what was answered is kept, and more budget goes on from there."""


def open_chat(settings: Mllm, path: Path | None) -> Chat:
    """A chat with the model of some settings. path: its cache; what others in its folder hold is not asked again."""
    beside = sorted(set(path.parent.glob("*.jsonl")) - {path}) if path is not None else []
    cache = Cache(path, [*map(Path, settings.answers), *beside])
    if settings.kind == "local":
        from madi.chat.local import Local as Model
    else:
        from madi.chat.endpoint import Endpoint as Model
    return Chat(Model(settings), cache, settings.budget, settings.calls, offline=settings.offline)


def chat_with(mllm: Mllm | None, path: Path | None, own: str, revision: str = "1") -> Chat:
    """A chat with a model, or without one with what the program itself knows, under the name `own`."""
    return open_chat(mllm, path) if mllm else told(own, revision)


def told(name: str, revision: str) -> Chat:
    """A chat with what the program itself knows."""
    from madi.chat.told import Told

    return Chat(Told(name, revision), Cache(None))


class Chat:
    """Asks one model. model: has `who`, `at_once`, `a_minute`, `tries`, `most`, `cost`, `call` and `close`.

    money and calls: hard limits over all runs with this cache; None: no limit. offline: ask nobody.
    """

    def __init__(self, model, cache: Cache, money: float | None = None, calls: int | None = None, offline=False):
        self.model, self.cache, self.money, self.calls, self.offline = model, cache, money, calls, offline
        self.failed: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.answered = 0  # in this run
        self._reserved, self._flying, self._not_before = 0.0, 0, 0.0  # for calls in flight; when the next may begin
        self._doubtful: list[dict] = []  # failures since the last answer: they may be the model's own
        self._stopped: MadiError | None = None
        self._same: dict[str, asyncio.Future] = {}
        self._warned = False

    def ask(self, requests: Iterable[Request], total: int, label: str) -> Iterator[tuple[Request, Reply]]:
        """(request, reply) of each request, in order; `requests` is read as far ahead as calls are made.

        A request's images are let go when it is answered. Errors: Spent where the budget ends, MadiError where the
        model answers nobody: calls in flight are waited for.
        """
        yield from progress(self._replies(requests), total, label, self.note)
        for reason, number in self.failed.most_common():
            say(f"{label}: {number} missing: {reason} (such as {', '.join(self.examples[reason])})")

    def note(self) -> str:
        """Money spent and failures, for the progress line."""
        failed = f", {sum(self.failed.values())} missing" if self.failed else ""
        return f"({self.cache.spent:.2f} spent on {self.cache.calls} calls{failed})"

    def _replies(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        loop, waiting = asyncio.new_event_loop(), deque()
        self._at_once, self._halt = asyncio.Semaphore(self.model.at_once), asyncio.Event()
        self._listen(loop)
        try:
            for request in requests:
                waiting.append((request, loop.create_task(self._entry(request))))
                yield from self._ready(loop, waiting, AHEAD * self.model.at_once, MOST * self.model.at_once)
            yield from self._ready(loop, waiting, 1, 1)
        finally:
            self._end(loop, [task for _, task in waiting])
        if self._doubtful:
            self._settle(in_vain=not self.answered and not self._only_refused())

    def _ready(self, loop, waiting: deque, most: int, held: int) -> Iterator[tuple[Request, Reply]]:
        """Hand on answered requests from the front until fewer than `most` are unanswered and `held` wait at all."""
        while len(waiting) >= held or sum(not task.done() for _, task in waiting) >= most:
            if self._stopped:
                raise self._stopped
            if not waiting[0][1].done():
                left = [task for _, task in waiting if not task.done()]
                halt = loop.create_task(self._halt.wait())
                loop.run_until_complete(asyncio.wait([*left, halt], return_when=asyncio.FIRST_COMPLETED))
                halt.cancel()
                continue
            request, entry = waiting[0][0], waiting[0][1].result()
            waiting.popleft()
            yield request, self._reply(request, entry)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop in order when the process is interrupted or told to end; at once, when it is told twice."""

        def stop(which: signal.Signals) -> None:
            loop.remove_signal_handler(which)
            do = "run again: it goes on from here"
            self._stopped = self._stopped or Paused(f"{which.name} came, calls in flight were waited for", do=do)
            self._halt.set()

        for which in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(RuntimeError, NotImplementedError, ValueError):  # not the main thread, not Unix
                if signal.getsignal(which) != signal.SIG_IGN:
                    loop.add_signal_handler(which, stop, which)

    def _end(self, loop: asyncio.AbstractEventLoop, tasks: list[asyncio.Task]) -> None:
        """Let calls in flight finish, since they are paid for, and begin no other."""
        self._stopped = self._stopped or Paused("stopped")
        self._halt.set()
        for which in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(which)
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
            [task.exception() for task in tasks]  # looked at: one of them is what ended the run
        loop.run_until_complete(self.model.close())
        loop.close()
        self._stopped = None

    async def _entry(self, request: Request) -> dict:
        """The cache's entry of a request, asked for where there is none; equal requests ask once."""
        key = key_of(request, self.model.who)
        entry = self.cache.get(key)
        if entry is None or not fits(entry, request):
            if key not in self._same:
                self._same[key] = asyncio.ensure_future(self._asked(request, key))
                self._same[key].add_done_callback(lambda _: self._same.pop(key))
            entry = await self._same[key]
        request.images = ()
        return entry

    async def _asked(self, request: Request, key: str) -> dict:
        """Ask until there is an answer that fits, or patience with one kind of fault is at its end."""
        entry = {"key": key, "name": request.name, "tokens_in": 0, "tokens_out": 0, "cost": 0.0, "revision": ""}
        entry |= {"status": "missing", "raw": "", "reason": "not among the stored answers"}
        if self.offline:
            return entry  # and not kept: another run may ask
        tries: Counter[type] = Counter()
        while True:
            try:
                await self._once(request, entry)
                return entry
            except (Passing, Unfit, Refused) as fault:
                entry["reason"] = fault.reason
                tries[type(fault)] += 1
                if tries[type(fault)] >= self._patience(fault):
                    return self._given_up(entry, fault)
                await self._sleep(self._wait(fault, tries.total() - 1))

    def _patience(self, fault: Exception) -> int:
        passing, unfit = self.model.tries
        if isinstance(fault, Busy):
            return BUSY_TRIES
        if isinstance(fault, Passing):
            return min(passing, fault.most)
        return unfit if isinstance(fault, Unfit) else 1

    async def _once(self, request: Request, entry: dict) -> None:
        """One call, and what it cost, on disk: with its answer, where there is one.

        Errors: Passing, Unfit, Refused; MadiError for a fault of the model.
        """
        async with self._at_once:
            await self._pace()
            most = self._reserve(request)
            said = Said("", 0, 0, "")
            try:
                said = await self.model.call(request)
                entry |= {"raw": said.text, "revision": said.revision}
                if said.fault:
                    raise Unfit(said.fault)
                read(said.text, request.schema)
                entry |= {"status": "ok", "reason": None}
            except MadiError as fault:
                self._stopped = self._stopped or fault
                raise
            except Passing as fault:
                self._hold_back(fault)
                if fault.billed:  # it may have been answered, and is paid for as if it had
                    said = Said("", 0, 0, "", paid=most)
                raise
            finally:
                self._reserved -= most
                self._flying -= 1
                self._account(entry, said)

    def _account(self, entry: dict, said: Said) -> None:
        """Keep what a call cost: as the answer's line, or as a line of its own, so that no kill can hide it."""
        paid = self.model.cost(said.tokens_in, said.tokens_out) if said.paid is None else said.paid
        for name, more in (("tokens_in", said.tokens_in), ("tokens_out", said.tokens_out), ("cost", paid)):
            entry[name] += more
        if entry["status"] == "ok":
            self.answered += 1
            self._settle()
            self.cache.put(entry | {"paid": paid, "calls": 1})
        else:
            self.cache.attempt(entry["key"], paid)

    def _reserve(self, request: Request) -> float:
        """Set aside the most that a call may cost. Errors: Spent where that is more than is left; why a run stopped."""
        most = self.model.most(request)
        if not self._stopped:
            if self.money is not None and self.cache.spent + self._reserved + most > self.money:
                self._stopped = self._end_of(f"budget of {self.money:g}", "budget", most)
            elif self.calls is not None and self.cache.calls + self._flying >= self.calls:
                self._stopped = self._end_of(f"limit of {self.calls} calls", "calls", most)
        if self._stopped:
            raise self._stopped
        self._reserved += most
        self._flying += 1
        return most

    def _end_of(self, limit: str, key: str, most: float) -> Spent:
        used = f"{self.cache.spent:.6g} spent on {self.cache.calls} calls of this job, another may cost {most:.2g}"
        do = f"raise `{key}` of this model and run again: what was answered is kept"
        return Spent(f"the {limit} ends here ({used})", self.model.who["model"], do=do)

    def _hold_back(self, fault: Passing) -> None:
        """A pause that the model asks for is asked of all; that it does is said once."""
        self._not_before = max(self._not_before, time.monotonic() + (fault.wait or 0))
        if isinstance(fault, Busy) and not self._warned:
            self._warned = True
            say(f"{self.model.who['model']} asks for fewer calls: {fault.said}")

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
        """Seconds before another try: twice as long each time, spread, and no less than the model asked for."""
        wait = min(LONGEST, FIRST * 2 ** min(attempt, 10)) * random.uniform(0.75, 1.25)
        return max(wait, fault.wait or 0.0) if isinstance(fault, Passing) else wait

    def _given_up(self, entry: dict, fault: Exception) -> dict:
        """Keep a failure; one that may be the model's own only once an answer shows that it is there."""
        entry |= {"paid": 0.0, "calls": 0}
        if isinstance(fault, Unfit):
            self.cache.put(entry)
            return entry
        self._doubtful.append(entry | {"refused": isinstance(fault, Refused)})
        if len(self._doubtful) >= max(8, self.model.at_once):
            self._settle(in_vain=True)
        return entry

    def _only_refused(self) -> bool:
        """Whether the doubtful were refused, by a model that answered others before."""
        refused = all(entry["refused"] for entry in self._doubtful)
        return refused and any(entry["status"] == "ok" for entry in self.cache.entries.values())

    def _settle(self, in_vain: bool = False) -> None:
        """What becomes of doubtful failures: they are kept, or in_vain: there are too many of them.

        Errors: MadiError where nobody is answered.
        """
        if in_vain:
            self._stopped = MadiError(
                f"{len(self._doubtful)} requests in a row came to nothing, last: {self._doubtful[-1]['reason']}",
                self.model.where,
                "answers",
                f"{self._advice()}; what was answered is kept, and a second run goes on",
            )
            raise self._stopped
        while self._doubtful:
            entry = self._doubtful.pop()
            self.cache.put({name: value for name, value in entry.items() if name != "refused"})

    def _advice(self) -> str:
        if all(entry["refused"] for entry in self._doubtful):
            return "see what it takes (`structured`, `max_tokens_as`, `detail`)"
        return "see whether it is there"

    def _reply(self, request: Request, entry: dict) -> Reply:
        used = {name: entry[name] for name in ("raw", "reason", "tokens_in", "tokens_out", "cost", "revision")}
        if entry["status"] == "ok":
            return Reply("ok", read(entry["raw"], request.schema), **used)
        self.failed[entry["reason"]] += 1
        names = self.examples.setdefault(entry["reason"], [])
        names += [request.name] if len(names) < TOLD else []
        return Reply("missing", None, **used)


def fits(entry: dict, request: Request) -> bool:
    """Whether a stored entry is still an answer: what is asked for may have become stricter since."""
    if entry["status"] != "ok":
        return True
    try:
        read(entry["raw"], request.schema)
        return True
    except Unfit:
        return False
