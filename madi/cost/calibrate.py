"""`madi cost --calibrate`: what this machine does, measured by the project's own code on a little of the small world.

Every stage's own functions run on a few samples with the config's model. On a CPU the time taken is this process's, so
that others on the machine do not count; on a GPU it is the wall's, until the device is done.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from madi import images, provenance, records, samples, shards
from madi.config import Config, DataSlice, EditSlice, JudgeSlice, LatentSlice, QuestionSlice, ScoreSlice
from madi.cost import edits, model, scores, shapes
from madi.cost.machine import KINDS, PRESETS, Machine
from madi.cost.stages import At
from madi.data import check, latents, prepare
from madi.edit import shard, work
from madi.edit.editors import checkpoint as editors
from madi.editors import EditorSlice
from madi.model import checkpoint, flops
from madi.progress import say
from madi.prompts import questions
from madi.score import judge
from madi.score import shard as score
from madi.score.clip import Clip
from madi.score.dino import Dino
from madi.settings import Ask, BenchmarkSet, TuneSet
from madi.train import examples, loop
from madi.train.batches import Batches
from madi.train.team import Team
from madi.train.trainee import Trainee

SAMPLES, STEPS, PX, SIDE = 24, 4, 1024, 2048
BENCHMARK = "emu_edit"
LIGHT = "import madi.prompts.plan, madi.score.judge, madi.cli"
HEAVY = "import madi.edit.editors.checkpoint, madi.edit.shard, madi.cli"


class Measured:
    """One machine while it is measured. folder: where the stages write; at: what the estimate says of the same work, at
    one operation a second."""

    def __init__(self, config: Config, folder: Path):
        self.config, self.folder = config, folder
        self.device = torch.device("cuda" if config.train.device == "cuda" else "cpu")
        one = Machine("one", self.device.type, 1.0, dict.fromkeys(KINDS, 1.0), "")
        self.at = At(config, one, one)
        self.run = next(iter(config.train.runs.values()))
        self.peak = self._peak(torch.bfloat16 if self.run.precision == "bfloat16" else torch.float32)

    def _peak(self, dtype: torch.dtype) -> float:
        """The most operations a second of a large matrix product, by the same clock as all else."""
        if self.device.type == "cuda":
            return flops.ceiling(self.device, dtype, 1.0)
        a, b = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
        return 2 * SIDE**3 / min(self.seconds(lambda: a @ b) for _ in range(10))

    def seconds(self, work: Callable[[], object]) -> float:
        """How long the work takes."""
        clock = time.perf_counter if self.device.type == "cuda" else time.process_time
        self._wait()
        start = clock()
        work()
        self._wait()
        return clock() - start

    def _wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def share(self, operations: float, work: Callable[[], object]) -> float:
        """Which share of the peak the work reaches, after once without a watch."""
        work()
        return operations / self.seconds(work) / self.peak


def measure(config: Config, name: str) -> Machine:
    """This machine, by one thread or one GPU. Errors: MadiError where the device or the model is not there."""
    checkpoint.load(
        config.model.base, config.train.device
    )  # a missing folder or device is told before a minute is gone
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with TemporaryDirectory() as folder:
            on = Measured(config, Path(folder))
            say(f"{on.peak / 1e9:,.0f} GFLOP/s in a matrix product")
            items = prepared(on)
            shares = {"vae": coding(on), "edit": editing(on), "train": training(on), "embed": embedding(on)}
            say("shares of that: " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items()))
            items |= judged(on, shares)
    finally:
        torch.set_num_threads(threads)
    return described(on, name, shares, items)


def described(on: Measured, name: str, shares: dict[str, float], items: dict[str, float]) -> Machine:
    """The machine's record; what a minute does not measure of a GPU is a preset's."""
    facts, versions = provenance.hardware(), provenance.versions()
    about = f"measured with {on.config.model.base}, torch {versions.get('torch', torch.__version__)}, on "
    if on.device.type == "cuda":
        about += torch.cuda.get_device_name(0)
        like = PRESETS["h100-80gb" if "H100" in about else "a100-80gb"]
        return replace(like, name=name, peak=on.peak, shares=shares, about=about)
    about += f"one of {facts['cores']} cores ({facts['machine']})"
    return Machine(name, "cpu", on.peak, shares, about, seconds=items)


def prepared(on: Measured) -> dict[str, float]:
    """Seconds of starts and of a sample; leaves a training set and a benchmark, the latter edited by who copies."""
    config, folder = on.config, on.folder
    common = {"name": config.name, "seed": config.seed, "size_px": config.size_px}
    bench = DataSlice(set=BENCHMARK, source=BenchmarkSet(reader="scenes", samples=SAMPLES), **common)
    train = DataSlice(set="train", source=TuneSet(reader="scenes", edits=SAMPLES, t2i=SAMPLES), **common)
    prepare.run(bench, folder / "bench.json", {}, None, {})
    sample = on.seconds(lambda: prepare.run(train, folder / "train.json", {}, None, {})) / (2 * SAMPLES)
    copying = EditSlice(
        job="copies",
        name=config.name,
        threads=1,
        size_px=config.size_px,
        base=config.model.base,
        sampler=config.edit.sampler,
        editors={"copy": EditorSlice(kind="copy")},
        asks=[Ask(benchmark=BENCHMARK, editors=["copy"], pauses=[0], seeds=[0])],
    )
    files = {BENCHMARK: folder / "bench.json"}
    edited = (
        on.seconds(lambda: shard.run(copying, files, {}, folder / "edits.parquet", folder / "contact.jpg")) / SAMPLES
    )
    smooth = images.resize(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8), PX, PX)
    picture = images.encode_png(smooth)
    seen = on.seconds(lambda: images.resize(images.decode(picture, "calibration"), PX // 4, PX // 4))
    return {
        "start": started(LIGHT),
        "load": started(HEAVY),
        "sample": sample,
        "edited": edited,
        "megapixel": seen / (PX**2 / 1e6),
    }


def started(words: str) -> float:
    """Seconds of a process that imports so much and ends: the second one, whose files are in memory."""
    times = [0.0, 0.0]
    for turn in (0, 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", words], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times[turn] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return times[1]


def coding(on: Measured) -> float:
    """The VAE's share: a picture to latents and back."""
    codec = checkpoint.load(on.config.model.base, on.device.type).codec
    px = on.config.size_px
    pixels = np.zeros((4, px, px, 3), dtype=np.uint8)
    operations = len(pixels) * (model.encoding(on.at.vae, px) + model.decoding(on.at.vae, px))
    return on.share(operations, lambda: codec.decode(codec.encode(pixels)))


def editing(on: Measured) -> float:
    """The sampler's share: whole edits without the VAE's time, by the config's own batch. Leaves the edits."""
    sampler, px = on.config.edit.sampler, on.config.size_px
    editor = editors.Checkpoint(Path(on.config.model.base), sampler, px, "calibration")
    asked = {BENCHMARK: samples.load(on.folder / "bench.json")}
    ask = Ask(benchmark=BENCHMARK, editors=["base"], pauses=[0], seeds=[0])
    batches = work.plan([ask], {"base": EditorSlice(kind="base")}, asked, sampler.batch)
    editor.edit(batches[0])
    found: list[work.Result] = []
    whole = on.seconds(lambda: found.extend(one for works in batches for one in editor.edit(works)))
    works = [one for works in batches for one in works]
    rows = (work.record(one, result, editor.facts) for one, result in zip(works, found, strict=True))
    made = shards.write(on.folder / "made.parquet", rows, records.EDIT)
    pixels = np.zeros((1, px, px, 3), dtype=np.uint8)
    codec = editor.weights.codec
    coded = made * on.seconds(lambda: codec.decode(codec.encode(pixels)))
    return made * edits.ours(on.at, BENCHMARK, (0,)) / max(whole - coded, whole / 2) / on.peak


def training(on: Measured) -> float:
    """A training's share: whole steps of the config's first run, from latents to updated weights."""
    config, folder, run = on.config, on.folder, on.run
    job = LatentSlice(
        set="train",
        size_px=config.size_px,
        shards=1,
        dtype="float32",
        device=on.device.type,
        masked=run.masked_source is not None,
    )
    part = folder / "00000.parquet"
    latents.run(job, folder / "train.json", Path(config.model.base), 0, part, folder / "00000.safetensors")
    check.run(job, folder / "train.json", [part], folder / "latents.parquet", folder / "latents.json")
    run = run.model_copy(update={"mixture": {}, "tracker": None, "expressive": False})
    read_ = examples.Latents(folder / "latents.parquet")
    weights = checkpoint.load(config.model.base)
    batches = Batches(examples.read(folder / "train.json", None, read_), read_, weights.tokens, run)
    trainee = Trainee(weights.packed, run)
    made = loop.Training(trainee, batches, run, Team(on.device.type, False))
    noise = shapes.noise(config.size_px)
    operations = 0

    def steps() -> None:
        nonlocal operations
        for number in range(STEPS):
            rows, _ = batches[number]
            loop.step(made, rows, 0, number, folder)
            passes = model.FORWARD + model.BACKWARD + run.checkpoint_blocks
            operations += passes * sum(flops.sample(weights.packed.stock.config, row.prompt, noise) for row in rows)

    steps()
    operations = 0
    took = on.seconds(steps)
    return operations / took / on.peak


def embedding(on: Measured) -> float:
    """The embedding models' share, in float32: CLIP's and the ViT's pictures."""
    device, count = on.device.type, on.config.score.batch
    clip, dino = Clip(on.config.model.clip, device), Dino(on.config.model.dino, device)
    pixels = np.zeros((on.config.size_px, on.config.size_px, 3), dtype=np.uint8)
    shown = [clip.prepare(pixels)] * count, [dino.prepare(pixels)] * count
    picture, _ = shapes.clip_of(on.config.model.clip)
    operations = count * (model.embedding(picture) + model.embedding(shapes.dino_of(on.config.model.dino)))
    return on.share(operations, lambda: (clip.images(shown[0]), dino.images(shown[1])))


def judged(on: Measured, shares: dict[str, float]) -> dict[str, float]:
    """Seconds until the oracle's first verdict, of a verdict, of an answer's row, of an edit's scores without its
    embeddings."""
    config, folder = on.config, on.folder
    files = {BENCHMARK: folder / "bench.json"}
    bank = {BENCHMARK: folder / "questions.parquet"}
    asker = QuestionSlice(benchmark=BENCHMARK, name=config.name, seed=config.seed, provider="truth")
    asked = on.seconds(lambda: questions.run(asker, files[BENCHMARK], bank[BENCHMARK])) / SAMPLES
    oracle = JudgeSlice(job="copies", judge="oracle", protocols={BENCHMARK: ["five_questions"]}, rollouts=1)
    made, answers = folder / "made.parquet", folder / "answers.parquet"
    first = on.seconds(lambda: judge.run(oracle, folder / "edits.parquet", files, bank, answers, None))
    told = on.seconds(lambda: judge.run(oracle, made, files, bank, answers, None)) / SAMPLES
    towers = {"clip": config.model.clip, "dino": config.model.dino}
    job = ScoreSlice(job="copies", name=config.name, threads=1, judge=oracle, batch=config.score.batch, **towers)
    whole = on.seconds(lambda: score.run(job, made, files, bank, answers, folder / "scores.parquet"))
    seen = {"pictures": 3 * SAMPLES, "faithful": 3 * SAMPLES, "texts": scores.TEXTS * SAMPLES}
    spent = sum(seen[kind] * operations for kind, operations in scores.towers(on.at)) / on.peak / shares["embed"]
    return {
        "oracle": max(first - told * SAMPLES, told),
        "verdict": told,
        "row": asked,
        "scored": max(whole - spent, whole / 4) / SAMPLES,
    }
