"""A small world to train on: base weights, samples, plans and latents in files, as the earlier stages write them."""

import json

import torch
from safetensors.torch import save_file

from madi import shards
from madi.config import RunSlice
from madi.data.latents import checksum
from madi.model import checkpoint
from madi.records import LATENT, PLAN, SAMPLE
from madi.settings import Run
from madi.train import run
from madi.train.run import Files

SETTINGS = {"seed": 0, "steps": 6, "batch": 4, "learning_rate": 1e-2, "warmup_steps": 2, "weight_decay": 0.1}
SETTINGS |= {"gradient_clip": 1.0, "save_every": 2, "expressive": False, "magd": None, "tracker": None}
SETTINGS |= {"drop": {"all": 0.1, "text": 0.05}}
MAGD = {"probability": 1.0, "noise_level": 0.0, "rate": 0.25, "token": "pool", "pool_size": 16, "pool_width": 8}


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def settings(**changes) -> Run:
    return Run(**SETTINGS | changes)


class World:
    """Files in a folder: 6 samples, the even ones edits with a plan and a masked source, the odd ones text to image."""

    def __init__(self, folder, weights):
        self.folder = folder
        checkpoint.save(folder / "base", weights)
        names = [f"s{i}" for i in range(6)]
        base = {"set": "train", "split": "tune", "sources": [], "phash": "", "sha256": ""}
        base |= {"origin": {"file": "", "row": 0, "revision": ""}}
        rows = [base | {"sample_id": n, "group_id": n, "instruction": f"paint {n}"} for n in names]
        shards.write(folder / "samples.parquet", rows, SAMPLE)
        told = {"plan": ["look.", "act."], "provider": "truth", "model": "none", "prompt_sha": "none", "status": "ok"}
        shards.write(folder / "plans.parquet", [told | {"sample_id": n} for n in names[::2]], PLAN)
        self.write_latents()

    def write_latents(self, change=lambda name, tensor: tensor):
        """All latents, each as `change` gives it, with an index that believes them."""
        roles = [(f"s{i}", r) for i in range(6) for r in (["source_1", "masked_1"] * (i % 2 == 0) + ["target"])]
        tensors = {}
        for number, (sample, role) in enumerate(roles):
            moments = torch.stack([draws(4, 4, 4, seed=number), torch.full((4, 4, 4), 0.1)])
            tensors[f"{sample}.{role}"] = change(f"{sample}.{role}", moments).contiguous()
        (self.folder / "latents").mkdir(exist_ok=True)
        save_file(tensors, self.folder / "latents" / "00000.safetensors")
        index = {"shard": "latents/00000.safetensors", "h": 4, "w": 4}
        rows = [
            index | {"sample_id": s, "role": r, "name": f"{s}.{r}", "sha256": checksum(tensors[f"{s}.{r}"])}
            for s, r in roles
        ]
        shards.write(self.folder / "latents.parquet", rows, LATENT)

    def job(self, **changes) -> RunSlice:
        where = {key: changes.pop(key) for key in ("device", "shard") if key in changes}
        base = str(self.folder / "base")
        return RunSlice(
            run="r", name="t", seed=0, size_px=32, threads=1, base=base, settings=settings(**changes), **where
        )

    def files(self, name="out", **more) -> Files:
        out = self.folder / name
        paths = [self.folder / f"{kind}.parquet" for kind in ("samples", "latents")]
        where = [out / "weights.json", out / "train.csv", self.folder / "state", self.folder / "track"]
        return Files(*paths, *where, self.folder / "plans.parquet", **more)

    def train(self, name="out", minutes=None, files=None, **changes) -> dict:
        """Train, and give what there is but what tells of time and machine: file name to bytes."""
        run.run(self.job(**changes), files or self.files(name), minutes)
        return self.made(name)

    def made(self, name="out") -> dict:
        out = self.folder / name
        found = (path for path in out.rglob("*") if path.is_file() and path.name != "run.json")
        return {str(path.relative_to(out)): path.read_bytes() for path in found}

    def words(self, name="out", more=(), **changes) -> list[str]:
        """The command line of the same training."""
        config = self.folder / f"{name}.json"
        config.write_text(self.job(**changes).model_dump_json())
        files = self.files(name)
        words = ["train", "run", "--config", config, "--samples", files.samples, "--plans", files.plans]
        words += ["--latents", files.latents, "--out", files.out, "--state", files.states, "--table", files.table]
        log = ["--log-to", self.folder / f"{name}.log"]
        return [str(word) for word in [*words, "--track", files.logs, *log, *more]]

    def losses(self, name="out") -> list[float]:
        head, *rows = (self.folder / name / "train.csv").read_text().split()
        return [float(row.split(",")[head.split(",").index("loss")]) for row in rows]

    def states(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "state").glob("*/step-*"))

    def manifest(self, name="out") -> dict:
        return json.loads((self.folder / name / "weights.json").read_text())
