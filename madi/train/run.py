"""One training as a job: from its files to a stock weights folder, a manifest and a loss log."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError

from madi import lease, provenance, shards
from madi.config import RunSlice
from madi.errors import MadiError
from madi.model import checkpoint, flops, lora
from madi.progress import say
from madi.train import card, examples, loop, state, track
from madi.train.batches import Batches
from madi.train.deadline import Deadline
from madi.train.meter import Meter
from madi.train.team import Team
from madi.train.trainee import Trainee
from madi.train.validate import Validation

NO_NUMBERS = ("tracker", "keep_states", "bad_samples", "validate_edits", "save_every")  # change no weight


@dataclass(frozen=True)
class Files:
    """samples, latents (the index), plans, validation: what is read. out: the manifest, with the weights in the folder
    `weights` beside it; table: the loss log; states: where interrupted trainings wait; logs: the tracker's folder."""

    samples: Path
    latents: Path
    out: Path
    table: Path
    states: Path
    logs: Path
    plans: Path | None = None
    validation: Path | None = None


def run(job: RunSlice, files: Files, minutes: float | None = None) -> None:
    """Train `job`, alone or as one of several processes. minutes: stop by then, with the state kept.

    The state's folder is named by all that the training depends on, and goes when it is done.
    """
    check(job, files)
    exactly(job)
    team = Team(job.device, job.shard, job.settings.tracker, files.logs)
    latents = examples.Latents(files.latents)
    found = examples.read(files.samples, files.plans, latents)
    inputs = {"samples": examples.sha(found), "latents": provenance.file_sha(files.latents)}
    mark = fingerprint(job, inputs)
    folder = files.states / mark
    writer = lease.only_writer(folder) if team.main else contextlib.nullcontext()
    with Deadline(minutes) as deadline, writer as held:
        team.wait()
        if team.main:
            tell_of_others(files.states, folder)
        if team.sum(torch.tensor([float(team.main and finished(files, mark))])) > 0:
            if team.main:
                say(f"{job.run} is trained already: {files.out}; delete that file to train it anew")
                shutil.rmtree(folder, ignore_errors=True)
            return
        weights = checkpoint.load(job.base)
        batches = Batches(found, latents, weights.tokens, job.settings)
        training = loop.Training(Trainee(weights.packed, job.settings), batches, job.settings, team)
        tracked = track.Track(team, job.settings, job.run)
        done = loop.train(training, around_of(job, files, training, weights, tracked, folder, deadline, held))
        if training.average is not None:
            training.average.swap()
        learned = state.weights(training.trainee)
        if team.main:
            held.hold()
            finish(job, files, learned, done, {"inputs": inputs, "fingerprint": mark, "processes": team.count})
            held.hold()
            shutil.rmtree(folder, ignore_errors=True)
        team.wait()
        tracked.end()


def tell_of_others(states: Path, own: Path) -> None:
    """Say which other trainings wait there: what they are kept for may be gone, and they are large."""
    for folder in sorted(states.iterdir()):
        kept = state.files(folder)
        if folder != own and kept and not (folder / lease.NAME).exists():
            size = sum(path.stat().st_size for path in kept) / 1e9
            say(f"note: {folder} keeps another training's state ({size:.2f} GB); delete it if it is done with")


def finished(files: Files, mark: str) -> bool:
    """Whether this very training has been done: by an earlier go, or by whoever was waited for."""
    told = files.out.parent / "run.json"
    return files.out.is_file() and told.is_file() and shards.read_json(told).get("fingerprint") == mark


def check(job: RunSlice, files: Files) -> None:
    """What can be refused before anything is loaded."""
    if job.settings.wants_plans and files.plans is None:
        raise MadiError(f"{job.run} wants plans, and there are none", "command line", "--plans FILE")
    if job.settings.validate_edits and files.validation is None:
        raise MadiError(f"{job.run} validates, and there are no samples", "command line", "--validation FILE")
    track.check(job.settings)


def around_of(job: RunSlice, files: Files, training: loop.Training, weights, tracked, folder: Path, deadline, held):
    """What the training meets on its way."""
    kind = torch.bfloat16 if job.settings.precision == "bfloat16" else torch.float32
    ceiling = training.team.sum(torch.tensor([flops.ceiling(training.team.device, kind, 0.3)])).item()
    meter = Meter(weights.packed.stock.config, training.team.device, ceiling)
    look = looking(job, files, training, weights, tracked)
    return loop.Around(job.run, folder, deadline, meter, held, look, tracked.figures)


def looking(job: RunSlice, files: Files, training: loop.Training, weights: checkpoint.Weights, tracked: track.Track):
    """What is done after each step: validation, where the run asks for it and it is time."""
    settings = job.settings
    if settings.validate_edits is None:
        return lambda done: None
    validation = Validation(files.validation, weights, settings, job.size_px)

    def look(done: int) -> None:
        if done % settings.validate_edits.every and done != settings.steps:
            return
        with averaged(training), training.team.whole(training.model):
            made = validation.edits()
        if training.team.main:
            validation.write(files.out.parent / "validation" / f"step_{done:07}.jpg", made)
            tracked.pictures(made, done)

    return look


@contextlib.contextmanager
def averaged(training: loop.Training):
    """Within the block, the averaged weights where there are any."""
    if training.average is not None:
        training.average.swap()
    try:
        yield
    finally:
        if training.average is not None:
            training.average.swap()


def finish(job: RunSlice, files: Files, learned: dict, done: state.Progress, known: dict) -> None:
    """Write weights, card, manifest, loss log and what the training was. Errors: MadiError where the disk will not take
    them; the last state stays, and another go only writes."""
    out = files.out.parent
    try:
        save(out, job, learned)
        card.write(out / "weights", job)
        write_table(files.table, done.log)
        facts = {"config": job.model_dump(mode="json"), "base": provenance.folder_sha(job.base)}
        provenance.write_provenance(out / "run.json", **known, **facts, hours=round(done.seconds / 3600, 4))
        shards.write_json(files.out, provenance.file_shas(out / "weights"))
    except (OSError, SafetensorError) as fault:
        reason = " ".join(str(fault).split())
        raise MadiError(f"the weights cannot be written ({reason})", out, do="make room and run it again") from None


def save(out: Path, job: RunSlice, learned: dict[str, torch.Tensor]) -> None:
    """The trained tensors on the base as a stock folder `weights`, in the base's own type; adapters in `lora` too."""
    base = checkpoint.load(job.base)
    stock, kind = base.packed.stock, base.packed.stock.dtype
    torch.nn.Module.to(stock, torch.float32)
    if job.settings.lora:
        lora.inject(stock, job.settings.lora.rank, job.settings.lora.alpha, job.settings.lora.targets)
    own = {n.removeprefix("packed.stock."): v for n, v in learned.items() if n.startswith("packed.stock.")}
    missing, unknown = stock.load_state_dict(own, strict=False)
    if unknown or (missing and not job.settings.lora):
        raise MadiError(f"tensors {', '.join([*missing, *unknown][:3])} do not fit", job.base, "what was trained")
    if job.settings.lora:
        stock.peft_config["default"].base_model_name_or_path = job.base  # or a copied adapter forgets it
        lora.save(out / "lora", stock)
        lora.merge(stock)
    torch.nn.Module.to(stock, kind)
    masks = {n.removeprefix("mask_tokens."): v for n, v in learned.items() if n.startswith("mask_tokens.")}
    checkpoint.save(out / "weights", base, masks or None)


def exactly(job: RunSlice) -> None:
    """The same sums in the same order: threads from the config and, on a CPU, deterministic kernels."""
    torch.set_num_threads(job.threads)
    torch.use_deterministic_algorithms(job.device == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs time, and nothing reads such memory


def fingerprint(job: RunSlice, inputs: dict[str, str]) -> str:
    """What a kept state belongs to: the run's settings, its inputs by content (not where they lie), and the code that
    trains. Settings that change no weight may change on the way.

    The index of the latents holds the checksum of each tensor, so that the tensors need not be read again.
    """
    facts = job.model_dump(mode="json", exclude={"base", "name", "device", "shard"})
    facts["settings"] = {key: value for key, value in facts["settings"].items() if key not in NO_NUMBERS}
    code = [provenance.folder_sha(Path(__file__).parents[1] / part, "**/*.py") for part in ("model", "train")]
    return state.key(facts, inputs, provenance.folder_sha(job.base), code)


def write_table(path: Path, log: torch.Tensor) -> None:
    """The loss log as CSV; a part that had no sample in a step is empty."""
    lines = [",".join("" if value != value else f"{value:.9g}" for value in row) for row in log.tolist()]
    with shards.atomic(path) as partial:
        partial.write_text("\n".join([",".join(loop.COLUMNS), *lines]) + "\n")
