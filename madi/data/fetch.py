"""Weights from a model hub to a folder, safetensors and their configs alone, with a manifest of what came."""

from __future__ import annotations

from pathlib import Path

from madi import provenance, shards
from madi.errors import MadiError

WANTED = ["*.json", "*.safetensors", "*.txt", "*.model"]  # nothing that is unpickled, no code
DO = "check the name, the revision and the network (HF_ENDPOINT, HF_TOKEN), or put the files there yourself"


def run(repo: str, revision: str, folder: Path, manifest: Path) -> None:
    """Fetch a repository's weights at a revision into `folder`; files that are there already are not fetched again.

    manifest: repository, revision, the commit it meant, and the hash of each file. Errors: MadiError where the hub has
    no such thing or cannot be reached.
    """
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(repo, revision=revision).sha
        HfApi().snapshot_download(repo, revision=commit, local_dir=folder, allow_patterns=WANTED)
    except Exception as fault:  # the hub's client lets out whatever its HTTP library raises
        reason = " ".join(str(fault).split())[:200]
        raise MadiError(f"cannot be fetched ({reason})", f"{repo}@{revision}", do=DO) from None
    found = provenance.file_shas(folder)
    if not any(name.endswith(".safetensors") for name in found):
        raise MadiError("no safetensors file", f"{repo}@{revision}", "weights that need no unpickling")
    shards.write_json(manifest, {"repo": repo, "revision": revision, "commit": commit, "files": found})
