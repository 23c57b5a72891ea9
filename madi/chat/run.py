"""Many requests, some at once, in order: from the cache, else from the model, within a budget and a rate.

A kill loses the calls in flight and no other. Faults of one request are its own: it is missing, with the reason. A
fault of the model (no key, no answer to anyone) stops the run, and what was answered is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from madi.chat.ask import Reply, Request, Unfit, key_of, read
from madi.chat.cache import Cache
from madi.chat.endpoint import Said
from madi.chat.faults import Busy, Passing, Refused
from madi.errors import MadiError, Paused
from madi.mllms import Mllm
from madi.progress import progress, say

AHEAD, MOST = 4, 64  # requests a call at once: that are not answered yet, and that wait for one before them
FIRST, LONGEST = 1.0, 60.0  # seconds before the second try, and before any
BUSY_FOR = 2000.0  # seconds of "too many requests": half an hour and more, since quotas are by the minute
BARREN, SAMPLES = 24, 3  # requests in a row, of so many samples, whose answers are of no use: no more are paid for
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
        self.answered = 0  # in this run, whether of use or not
        self._reserved, self._flying, self._not_before = 0.0, 0, 0.0  # for calls in flight; when the next may begin
        self._doubtful: list[dict] = []  # failures since the last answer: they may be the model's own
        self._stopped: MadiError | None = None
        self._same: dict[str, asyncio.Future] = {}
        self._warned: set[str] = set()
        self._barren: dict[str, tuple[str, str, str]] = {}  # by key since a usable answer: sample, reason, words
        self._unproven: list[dict] = []  # failures before any usable answer, which may be the model's own
        self._stale = False  # whether such failures are to be forgotten

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
        with self.cache.writing():
            yield from self._answered(requests)

    def _answered(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        loop, waiting = asyncio.new_event_loop(), deque()
        self._at_once, self._halt = asyncio.Semaphore(self.model.at_once), asyncio.Event()
        self._landed = asyncio.Event()
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
        if not self._stale:
            self._prove()
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
        waited = 0.0  # seconds since it was first busy, without those in the queue for a call
        while True:
            try:
                await self._once(request, entry)
                return entry
            except (Passing, Unfit, Refused) as fault:
                entry["reason"] = fault.reason
                tries[type(fault)] += 1
                wait = self._wait(fault, tries.total() - 1)
                waited += wait * isinstance(fault, Busy)
                if waited >= BUSY_FOR or tries[type(fault)] >= self._patience(fault):
                    return self._given_up(entry, fault)
                await self._sleep(wait)

    def _patience(self, fault: Exception) -> int:
        passing, unfit = self.model.tries
        if isinstance(fault, Busy):
            return sys.maxsize
        if isinstance(fault, Passing):
            return min(passing, fault.most)
        return unfit if isinstance(fault, Unfit) else 1

    async def _once(self, request: Request, entry: dict) -> None:
        """One call, and what it cost, on disk: with its answer, where there is one.

        Errors: Passing, Unfit, Refused; MadiError for a fault of the model.
        """
        async with self._at_once:
            await self._pace()
            most = self.model.most(request)
            held, tokens, paid = await self._reserve(most), (0, 0), 0.0
            try:
                self.cache.hold()
                said = await self.model.call(request)
                tokens, paid = (said.tokens_in, said.tokens_out), self._price(said, most)
                self._use(request, entry, said)
            except MadiError as fault:
                self._stopped = self._stopped or fault
                raise
            except (Passing, Refused) as fault:
                if isinstance(fault, Passing):
                    self._hold_back(fault)
                if fault.tokens:
                    tokens, paid = fault.tokens, self.model.cost(*fault.tokens)
                elif isinstance(fault, Passing) and fault.billed:  # it may have been answered, and is paid for as if
                    paid = self._guess(most)
                raise
            finally:
                self._land(held)
                self._account(entry, tokens, paid)

    def _use(self, request: Request, entry: dict, said: Said) -> None:
        """Read an answer into its entry. Errors: Unfit; MadiError after too many that are of no use."""
        self.answered += 1
        self._settle()
        entry |= {"raw": said.text, "revision": said.revision}
        try:
            if said.fault:
                raise Unfit(said.fault)
            read(said.text, request.schema)
        except Unfit as fault:
            self._brake(request, entry["key"], fault.reason, said.text)
            raise
        entry |= {"status": "ok", "reason": None}
        self._barren.clear()
        self._prove()

    def _brake(self, request: Request, key: str, reason: str, text: str) -> None:
        """Count an answer that is of no use. Errors: MadiError after too many in a row, which are paid for in vain."""
        self._barren[key] = (request.name, reason, " ".join(text.split())[:60])
        few = len(self._barren) < BARREN or len({name for name, _, _ in self._barren.values()}) < SAMPLES
        if few or not getattr(self.model, "brake", False):
            return
        seen = Counter(why for _, why, _ in self._barren.values())
        shown = ", ".join(f"{why}: {number}" for why, number in seen.most_common(3))
        self._stale = not self._proven()
        do = "see `structured`, `max_tokens` and the model, and run again"
        if not self._stale:
            do += "; `madi asked forget` lets those that are missing be asked again"
        what = f"{len(self._barren)} requests in a row have no usable answer ({shown}), last: {text.strip()[:60]!r}"
        self._stopped = self._stopped or MadiError(what, self.model.where, "answers in the schema", do)
        raise self._stopped

    def _proven(self) -> bool:
        """Whether the model has given a usable answer to anything here."""
        return any(entry["status"] == "ok" for entry in self.cache.entries.values())

    def _prove(self) -> None:
        """Keep the failures that came before a usable answer."""
        while self._unproven:
            self.cache.put(self._unproven.pop(0))

    def _price(self, said: Said, most: float) -> float:
        """What an answer cost; one without a usable count as much as the dearest call, which is said once."""
        if said.counted:
            paid = self.model.cost(said.tokens_in, said.tokens_out)
            self.cache.dearest = max(self.cache.dearest or 0.0, paid)
            return paid
        self._warn("count", "gives no usable count of tokens: each such call counts as the dearest that it can be")
        return self._guess(most)

    def _guess(self, most: float) -> float:
        """What a call cost that nobody counted, more rather than less."""
        return max(most, self.cache.dearest or 0.0)

    def _account(self, entry: dict, tokens: tuple[int, int], paid: float) -> None:
        """Keep what a call cost: as the answer's line, or as a line of its own, so that no kill can hide it."""
        for name, more in (("tokens_in", tokens[0]), ("tokens_out", tokens[1]), ("cost", paid)):
            entry[name] += more
        if entry["status"] == "ok":
            self.cache.put(entry | {"paid": paid, "calls": 1})
        else:
            self.cache.attempt(entry["key"], paid)

    async def _reserve(self, most: float) -> float:
        """Set aside what a call is likely to cost: as much as the dearest so far, and before any the most it may cost.
        Where that is more than is left, calls in flight are waited for, which mostly cost less than was set aside.

        Errors: Spent where it is more than is left, and nothing is in flight; why a run stopped.
        """
        while True:
            share = most if self.cache.dearest is None else self.cache.dearest
            fits = self.money is None or self.cache.spent + self._reserved + share <= self.money
            first = not self.cache.spent and not self._flying  # how else would one know what calls cost?
            if not self._stopped and self.calls is not None and self.cache.calls + self._flying >= self.calls:
                self._stopped = self._end_of(f"limit of {self.calls} calls", "calls", share)
            elif not self._stopped and not fits and not first and not self._flying:
                self._stopped = self._end_of(f"budget of {self.money:g}", "budget", share)
            if self._stopped:
                raise self._stopped
            if fits or first:
                break
            await self._landed.wait()
        self._reserved += share
        self._flying += 1
        return share

    def _land(self, held: float) -> None:
        """Free what was set aside for a call, and let those look again who wait for money."""
        self._reserved -= held
        self._flying -= 1
        if not self._flying:
            self._reserved = 0.0  # no rest of rounding
        self._landed.set()
        self._landed = asyncio.Event()

    def _end_of(self, limit: str, key: str, most: float) -> Spent:
        used = f"{self.cache.spent:.6g} spent on {self.cache.calls} calls of this job, another may cost {most:.2g}"
        do = f"raise `{key}` of this model and run again: what was answered is kept"
        return Spent(f"the {limit} ends here ({used})", self.model.who["model"], do=do)

    def _hold_back(self, fault: Passing) -> None:
        """A pause that the model asks for is asked of all; that it does is said once."""
        self._not_before = max(self._not_before, time.monotonic() + (fault.wait or 0))
        if isinstance(fault, Busy):
            self._warn("busy", f"asks for fewer calls: {fault.said}")

    def _warn(self, what: str, words: str) -> None:
        """Say something of the model, once."""
        if what not in self._warned:
            self._warned.add(what)
            say(f"{self.model.who['model']} {words}")

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
        if isinstance(fault, Passing) and fault.wait:
            return fault.wait
        return min(LONGEST, FIRST * 2 ** min(attempt, 10)) * random.uniform(0.75, 1.25)

    def _given_up(self, entry: dict, fault: Exception) -> dict:
        """Keep a failure; one that may be the model's own only once an answer shows that it is there."""
        entry |= {"paid": 0.0, "calls": 0}
        if isinstance(fault, Unfit):
            self._unproven.append(entry)
            if self._proven() or not getattr(self.model, "brake", False):
                self._prove()
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
