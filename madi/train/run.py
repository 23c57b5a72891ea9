"""One training as a job: from its files to a stock weights folder, a manifest and a loss log."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from madi import provenance, shards
from madi.config import RunSlice
from madi.errors import MadiError
from madi.model import checkpoint
from madi.records import LATENT
from madi.train import examples, loop, state
from madi.train.batches import Batches


def run(job: RunSlice, samples: Path, plans: Path | None, latents: Path, out: Path, states: Path, table: Path) -> None:
    """Train `job`. latents: the index; out: the manifest, with the weights in the folder `weights` beside it.

    states: where interrupted trainings wait; this one's is named by all it depends on, and goes when it is done.
    """
    if job.settings.expressive and plans is None:
        raise MadiError(f"{job.run} is expressive, and there are no plans", "command line", "--plans FILE")
    exactly(job.threads)
    folder = states / fingerprint(job, samples, plans, latents)
    with state.only_writer(folder):
        weights = checkpoint.load(job.base)
        found = examples.Latents(latents)
        batches = Batches(examples.read(samples, plans, found), found, weights.tokens, job.settings)
        trainee = loop.Trainee(weights.packed, job.settings)
        log = loop.train(trainee, batches, job.settings, folder, job.run)
        learned = trainee.mask_tokens.state_dict() if trainee.mask_tokens else {}
        checkpoint.save(out.parent / "weights", weights, learned or None)
        write_table(table, log)
        shards.write_json(out, provenance.file_shas(out.parent / "weights"))
        shutil.rmtree(folder)


def exactly(threads: int) -> None:
    """The same sums in the same order: threads from the config, deterministic kernels."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs time, and nothing reads such memory


def fingerprint(job: RunSlice, samples: Path, plans: Path | None, latents: Path) -> str:
    """What a kept state belongs to: the run's settings, its inputs (not where they lie), and the code.

    The index names pictures and no tensors, so that a VAE made anew leaves it as it was: the tensors count themselves.
    """
    names = {row["shard"] for row in shards.stream(latents, LATENT)}
    tensors = [latents.parent / name for name in sorted(names)]
    inputs = [provenance.file_sha(path) for path in (samples, plans, latents, *tensors) if path is not None]
    facts = job.model_dump(mode="json", exclude={"base", "name"})
    return state.key(facts, inputs, provenance.folder_sha(job.base), provenance.code_sha())


def write_table(path: Path, log: torch.Tensor) -> None:
    """The loss log as CSV; a part that had no sample in a step is empty."""
    lines = [",".join("" if value != value else f"{value:.9g}" for value in row) for row in log.tolist()]
    with shards.atomic(path) as partial:
        partial.write_text("\n".join([",".join(loop.COLUMNS), *lines]) + "\n")
