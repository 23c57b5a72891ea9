"""One judge job: what a judge answers about every edit of a shard, by each protocol of its benchmark."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

from madi import samples, shards
from madi.chat import run as chats
from madi.config import JudgeSlice
from madi.mllms import Mllm
from madi.progress import say
from madi.records import ANSWER, EDIT
from madi.samples import Sample
from madi.score.judges import again, complex_edit, five, idea_bench, idea_bench_official, oracle, truth, viescore
from madi.score.judges.asking import Asking, Case
from madi.score.rows import by_sample, edits_of, image_of

PROTOCOLS = {
    protocol.NAME: protocol for protocol in (five, again, complex_edit, idea_bench, idea_bench_official, viescore)
}


def run(
    job: JudgeSlice,
    edits: Path,
    files: dict[str, Path],
    questions: dict[str, Path],
    out: Path,
    cache: Path | None,
    mllm: Mllm | None = None,
) -> None:
    """Answers about the edits in `edits` to `out`. files and questions: samples and questions by benchmark.

    cache: where a model's answers are kept, so that nothing is paid twice; mllm: how it is reached. Errors: MadiError
    naming file, row and column.
    """
    asked = {name: samples.load(path) for name, path in files.items()}
    bank = {name: by_sample(path) for name, path in questions.items()}
    keys, of = edits_of(edits, asked)
    chat = chats.chat_with(mllm, cache, oracle.NAME, oracle.REVISION)
    calls = sum(
        protocol.CALLS * job.times(protocol.NAME)
        for key, sample in zip(keys, of)
        for protocol in protocols(job, key, sample)
        if key["status"] == "ok"
    )
    undecided: Counter[str] = Counter()
    shards.write(out, counted(rows(job, chat, cases(edits, of, bank), calls), undecided), ANSWER)
    for protocol, number in undecided.items():
        say(f"judge {job.job}: {number} answers of {protocol} undecided: {job.judge} could not tell")


def protocols(job: JudgeSlice, edit: dict, sample: Sample) -> list:
    """The protocols by which an edit of a sample is judged; the oracle can judge nothing whose truth is not told, and
    of what it judges it tells its own numbers, too."""
    if job.mllm is None and "ops" not in sample.spec():
        return []
    named = [PROTOCOLS[name] for name in job.protocols.get(edit["benchmark"], ())] + [truth] * (job.mllm is None)
    return [protocol for protocol in named if protocol.asks(sample, edit)]


def counted(found: Iterator[dict], undecided: Counter) -> Iterator[dict]:
    """The rows, those counted by protocol in which the judge could not tell."""
    for row in found:
        undecided[row["protocol"]] += row["status"] == "undecided"
        yield row
    for protocol in [name for name, number in undecided.items() if not number]:
        del undecided[protocol]


def cases(edits: Path, of: list[Sample], bank: dict) -> Iterator[Case]:
    """The edits of a shard, streamed. bank: questions by benchmark and sample."""
    for number, edit in enumerate(shards.stream(edits, EDIT)):
        where = f"{edits} row {number} column image"
        bare = {name: value for name, value in edit.items() if name != "image"}
        questions = tuple(bank.get(edit["benchmark"], {}).get(edit["sample_id"], ()))
        yield Case(bare, of[number], image_of(edit, where), where, questions)


def rows(job: JudgeSlice, chat: chats.Chat, found: Iterator[Case], calls: int) -> Iterator[dict]:
    """The Answer rows of all cases, in their order, those about failed edits among them."""
    waiting: deque[Asking] = deque()

    def requests():
        for case in found:
            for protocol in protocols(job, case.edit, case.sample):
                for asking in protocol.askings(case, job.times(protocol.NAME)):
                    waiting.append(asking)
                    if asking.request is not None:
                        asking.request.temperature = job.temperature_of.get(protocol.NAME)
                        yield asking.request

    def answered(asking: Asking, reply=None) -> Iterator[dict]:
        return asking.rows(reply, job.judge, job.temperature(asking.protocol))

    for request, reply in chat.ask(requests(), calls, f"judge {job.job}"):
        while waiting[0].request is not request:
            yield from answered(waiting.popleft())
        yield from answered(waiting.popleft(), reply)
    while waiting:
        yield from answered(waiting.popleft())
