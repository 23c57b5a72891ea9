"""From a trainer to a shipped folder: what each part needs, its provenance beside it, and a manifest for Snakemake."""

from __future__ import annotations

from pathlib import Path

from madi.pretrain.settings import NEEDS, Settings
from madi.provenance import PROVENANCE, file_shas, write_provenance
from madi.shards import write_json


def make(what: str, settings: Settings, config: Path, folder: Path, state: Path, manifest: Path) -> None:
    """Train part `what` into `folder`; write `folder`/provenance.json and the manifest."""
    import torch

    torch.set_num_threads(settings.threads)
    quality = TRAIN[what](settings, folder, state)
    provenance(what, settings, config, folder, quality)
    write_json(manifest, {"files": file_shas(folder), "quality": quality})


def provenance(what: str, settings: Settings, config: Path, folder: Path, quality: dict) -> None:
    """What made a folder: command, seed, settings, the files' hashes and held-out quality."""
    own = getattr(settings, what).model_dump(mode="json")
    parts = {name: getattr(settings, name).model_dump(mode="json") for name in NEEDS.get(what, ())}
    facts = {
        "command": f"madi pretrain {what} --config {config.as_posix()}",
        "seed": own.get("seed", own.get("train", {}).get("seed")),
        "settings": own,
        "parts": parts,
        "files": file_shas(folder),
        "quality": quality,
    }
    write_provenance(folder / PROVENANCE, **facts)


def _tokenizer(settings: Settings, folder: Path, state: Path) -> dict:
    from madi.pretrain import tokenizer

    return tokenizer.fit(settings, folder)


def _vae(settings: Settings, folder: Path, state: Path) -> dict:
    from madi.pretrain import vae

    vae.fit(settings, folder, state)
    return vae.fit_decoder(settings, folder, state)


def _base(settings: Settings, folder: Path, state: Path) -> dict:
    from diffusers import AutoencoderKL

    from madi.pretrain import base, vae

    edits = base.fit(settings, state, folder, state)
    return edits | {"vae": vae.quality(AutoencoderKL.from_pretrained(folder / "vae"), settings)}


def _clip(settings: Settings, folder: Path, state: Path) -> dict:
    from madi.pretrain import clip

    return clip.fit(settings, folder, state)


def _vit(settings: Settings, folder: Path, state: Path) -> dict:
    from madi.pretrain import vit

    return vit.fit(settings, folder, state)


TRAIN = {"tokenizer": _tokenizer, "vae": _vae, "base": _base, "clip": _clip, "vit": _vit}
