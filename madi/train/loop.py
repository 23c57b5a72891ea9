"""The training loop: batches divided, losses joined, AdamW, warm-up and cosine, states kept, stops foreseen.

Shapes as in `batches`. Every step depends on the state before it and on its own number alone, so that an interrupted
training that goes on ends in the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from madi import shards
from madi.errors import MadiError, Paused
from madi.lease import Lease
from madi.progress import progress, say
from madi.settings import Run
from madi.train import magd, state
from madi.train.ahead import ahead
from madi.train.average import Average
from madi.train.batches import Batches, Row, together
from madi.train.deadline import Deadline
from madi.train.meter import Meter
from madi.train.micro import divided
from madi.train.team import Team
from madi.train.trainee import Trainee, learning_rate, optimizer_of

PARTS = ("masked", "unmasked", "edit", "t2i")
COLUMNS = ("step", "loss", *PARTS, "masked_share", "mask_norm", "changed", "skipped", "gradient", "learning_rate")


class Training:
    """A trainee joined with its team, its optimizer and its average."""

    def __init__(self, trainee: Trainee, batches: Batches, run: Run, team: Team):
        self.trainee, self.batches, self.run, self.team = trainee, batches, run, team
        self.model = team.prepared(trainee)
        self.optimizer = optimizer_of(trainee, run)
        self.average = Average(trainee, run.ema) if run.ema is not None else None


@dataclass(frozen=True)
class Around:
    """What a training meets on its way. folder: of its states; look: called after a step, to validate; track: given a
    step's figures."""

    name: str
    folder: Path
    deadline: Deadline
    meter: Meter
    lease: Lease | None
    look: Callable[[int], None]
    track: Callable[[dict, int], None]


def train(training: Training, around: Around) -> state.Progress:
    """Train to the last step, from the newest state if there is one; the loss log is [steps, COLUMNS].

    Errors: MadiError where time is up (the state is kept), for a loss that is not finite, for too many bad latents.
    """
    run, team = training.run, training.team
    kept = state.load(around.folder, training.trainee, training.optimizer, training.average)
    log, before = (kept.log, kept.seconds) if kept else (torch.zeros(0, len(COLUMNS), dtype=torch.float64), 0.0)
    team.agree(len(log), "the state they found")
    if team.main:
        state.put_aside(around.folder, len(log))
    began = time.monotonic()
    for number, (rows, bad), waited in coming(training, around, len(log)):
        team.agree(len(rows), "the samples they can read")
        hold_bad(bad, log, run, team)
        start = time.monotonic()
        row = step(training, rows, len(bad), number, around.folder)
        log = torch.cat([log, row[None]])
        around.deadline.took(step=time.monotonic() - start + waited)
        tell(around, rows, row, waited)
        done = state.Progress(log, before + time.monotonic() - began)
        stop = team.sum(torch.tensor([float(around.deadline.over())])).item() > 0 and len(log) < run.steps
        if stop or len(log) == run.steps or len(log) % run.save_every == 0:
            keep(training, around, done)
        if stop:
            what = f"{around.deadline.why} after step {len(log)} of {run.steps}"
            raise team.stop(Paused(what, around.name, do="run it again: it goes on"))
        around.look(len(log))
    return state.Progress(log, before + time.monotonic() - began)


def coming(training: Training, around: Around, first: int) -> Iterator[tuple]:
    """The steps that are left, their rows read ahead; the main process tells how far it is."""
    steps, name = training.run.steps, f"train {around.name}"
    left = ahead(training.batches, first, steps) if first < steps else iter(())
    if not training.team.main:
        return left
    if first:
        say(f"{name}: goes on after step {first} of {steps}")
    return progress(left, steps - first, name, lambda: around.meter.told)


def tell(around: Around, rows: Sequence[Row], row: torch.Tensor, waited: float) -> None:
    """A step's figures, to whoever tracks them."""
    around.meter.waiting(waited)
    around.meter.count(rows)
    figures = dict(zip(COLUMNS[1:], row[1:].tolist())) | around.meter.read(row[1].item())
    around.track(figures, int(row[0]))


def step(training: Training, rows: Sequence[Row], bad: int, number: int, folder: Path) -> torch.Tensor:
    """One update by a batch's rows; gives its row of the log.

    The loss is the sum over all samples of their weighted means, divided by how many have a weight: the same however
    the rows are divided among processes and micro-batches. Errors: MadiError where it is not finite; weights stay.
    """
    run, team = training.run, training.team
    for group in training.optimizer.param_groups:
        group["lr"] = learning_rate(number, run) * group["scale"]
    training.optimizer.zero_grad(set_to_none=True)
    total = max(1, int(magd.counts(torch.stack([row.weight for row in rows])).sum()))
    mine = divided([row.length for row in rows], team.count, run.micro_tokens)[team.number]
    sums = torch.zeros(2 + len(PARTS), dtype=torch.float64, device=team.device)
    for places in mine:
        some = [rows[place] for place in places]
        batch = together(some or [min(rows, key=lambda row: row.length)]).to(team.device)
        with team.joining(training.model, places is mine[-1]):
            loss, plain = training.model(batch)
            share = team.count / total if some else 0.0  # gradients are averaged over processes; a filler has none
            (loss.sum() * share).backward()
        if some:
            sums += tally(loss.detach(), plain, batch.mask.any(1), batch.edit, training.trainee.mask_norms)
    sums = team.sum(sums)
    gradient = torch.nn.utils.clip_grad_norm_(training.trainee.parameters(), run.gradient_clip)
    gradient = float(gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient)
    if not math.isfinite(sums[0]) or not math.isfinite(gradient):
        fault = not_finite(rows, sums[0].item() / total, gradient, number, folder, team.main)
        team.wait()
        raise team.stop(fault)
    training.optimizer.step()
    if training.average is not None:
        training.average.update()
    return log_row(number, sums, rows, total, bad, gradient, learning_rate(number, run))


def tally(loss, plain: torch.Tensor, masked: torch.Tensor, edit: torch.Tensor, norms: torch.Tensor | None):
    """Sums [2 + PARTS] of a micro-batch: the weighted loss, the plain errors of each part, and the mask tokens'
    lengths, NaN without mask tokens."""
    length = loss.new_tensor(math.nan) if norms is None else norms.sum()
    return torch.stack([loss.sum(), *(plain[some].sum() for some in (masked, ~masked, edit, ~edit)), length]).double()


def log_row(number: int, sums, rows: Sequence[Row], total: int, bad: int, gradient: float, rate: float) -> torch.Tensor:
    """COLUMNS of one step: `loss` weighted, as trained on; the four parts plain, NaN where a part has no sample."""
    masked, edit = torch.tensor([row.mask.any() for row in rows]), torch.tensor([row.edit for row in rows])
    parts = [value / some.sum() for value, some in zip(sums[1:-1], (masked, ~masked, edit, ~edit))]
    changed = torch.tensor([row.changed for row in rows], dtype=torch.float64).nanmean()
    values = [
        number + 1,
        sums[0] / total,
        *parts,
        masked.double().mean(),
        sums[-1] / len(rows),
        changed,
        bad,
        gradient,
        rate,
    ]
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


def keep(training: Training, around: Around, done: state.Progress) -> None:
    """Write a state; all processes give their part, the main one writes."""
    start = time.monotonic()
    tensors = state.gathered(training.trainee, training.optimizer, training.average, done, training.team.main)
    if training.team.main:
        if around.lease is not None:
            around.lease.hold()
        state.write(around.folder, tensors, training.run.keep_states)
        say(f"train {around.name}: {describe(done.log[-training.run.save_every :])}")
    training.team.wait()  # nobody leaves while the main process writes: its launcher would end it
    around.deadline.took(save=time.monotonic() - start)


def hold_bad(bad: Sequence[MadiError], log: torch.Tensor, run: Run, team: Team) -> None:
    """Say which latents were left out. Errors: MadiError where they are too many, in all steps together."""
    if not bad:
        return
    do = "delete that shard and its .parquet, then make them anew: `snakemake --cores all data`, with your --configfile"
    count = int(log[:, COLUMNS.index("skipped")].sum()) + len(bad)
    if count > run.bad_samples:
        what = f"{count} samples with broken latents, the last in {bad[-1].where}: {bad[-1].what}"
        raise team.stop(MadiError(what, "bad_samples", f"at most {run.bad_samples}", do))
    if len(bad) == run.batch:
        raise team.stop(MadiError("no sample of this batch has whole latents", bad[-1].where, do=do))
    for fault in bad if team.main else ():
        say(f"warning: {fault.where}: {fault.what}; its sample is left out")


def not_finite(rows, loss: float, gradient: float, number: int, folder: Path, write: bool) -> MadiError:
    """The error of a step whose loss or gradient is not finite, with the batch's samples on file."""
    path = folder / f"not-finite-step-{number + 1:07}.json"
    if write:
        told = [{"sample": row.id, "t": row.t.item(), "masked": bool(row.mask.any())} for row in rows]
        shards.write_json(path, {"step": number + 1, "loss": str(loss), "gradient": str(gradient), "batch": told})
    what = f"loss {loss:.4g} with gradient {gradient:.4g} in step {number + 1}"
    return MadiError(what, path, "finite numbers", "its samples are in that file; the state before it is kept")


def describe(log: torch.Tensor) -> str:
    """The means of the last steps, in words."""
    last = dict(zip(COLUMNS, log.nanmean(0).tolist()))
    parts = ", ".join(f"{name} {last[name]:.3f}" for name in PARTS if not math.isnan(last[name]))
    changed = "" if math.isnan(last["changed"]) else f", {last['changed']:.0%} of an edit's latents change"
    norm = "" if math.isnan(last["mask_norm"]) else f", mask tokens of length {last['mask_norm']:.1f}"
    return f"step {int(log[-1, 0])}, loss {last['loss']:.3f} ({parts}){changed}{norm}"
