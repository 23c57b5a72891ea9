"""Weights and data sets from a hub, with a manifest of what came: safetensors and configs, or published data files.

Weights go to a folder of one's own, data sets into the hub client's own cache, where other programs find them. What is
there already is not fetched again, and a cut download goes on.
"""

from __future__ import annotations

import shutil
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import tenacity

from madi import provenance, shards
from madi.errors import MadiError
from madi.progress import progress, say

WEIGHTS = ["*.json", "*.safetensors", "*.txt", "*.model"]  # nothing that is unpickled, no code
TRIES, WAIT = 5, 1.0  # attempts; seconds before the second, twice as many before each later one
DO = "check the name, the revision and the network (HF_ENDPOINT, HF_TOKEN), or put the files there yourself"


def weights(repo: str, revision: str, folder: Path, manifest: Path) -> None:
    """Fetch a model's weights into `folder`. manifest: repository, revision, the commit it meant, the files' hashes.

    Errors: MadiError where the hub has no such thing or cannot be reached.
    """
    commit = _fetched(repo, revision, "model", WEIGHTS, folder)[0]
    found = provenance.file_shas(folder)
    if not any(name.endswith(".safetensors") for name in found):
        raise MadiError("no safetensors file", f"{repo}@{revision}", "weights that need no unpickling")
    told = {"repo": repo, "revision": revision, "commit": commit, "folder": str(folder), "files": found}
    shards.write_json(manifest, told)


def data(repo: str, revision: str, patterns: list[str], manifest: Path) -> None:
    """Fetch a data set's files that match the patterns (none: all). The manifest names the folder in the hub's cache,
    and each file with its size; hashes are those of the commit.

    Errors: as `weights`, and where no file matches.
    """
    commit, folder = _fetched(repo, revision, "dataset", patterns or None, None)
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    if not found:
        raise MadiError(f"no file like {', '.join(patterns) or '*'}", f"{repo}@{revision}", "files of the data set")
    told = {"repo": repo, "revision": revision, "commit": commit, "folder": str(folder), "files": found}
    shards.write_json(manifest, told)


def file(url: str, manifest: Path) -> None:
    """Fetch one file to a folder beside the manifest, whole or not at all.

    Errors: MadiError where the address gives nothing.
    """
    folder = manifest.with_suffix("")
    path = folder / (Path(urlsplit(url).path).name or "file")
    try:
        with urlopen(url, timeout=60) as answer, shards.atomic(path) as partial, open(partial, "wb") as out:
            shutil.copyfileobj(answer, out)
            if answer.length:  # what was promised and did not come
                raise OSError(f"cut short, {answer.length} bytes are missing")
    except (OSError, ValueError, HTTPException) as fault:
        raise MadiError(f"cannot be fetched ({fault})", url, do=DO) from None
    told = {"url": url, "folder": str(folder.resolve()), "files": {path.name: provenance.file_sha(path)}}
    shards.write_json(manifest, told)


def _fetched(repo: str, revision: str, kind: str, patterns: list[str] | None, folder: Path | None) -> tuple[str, Path]:
    """(commit, folder) of a repository's files, each of the hash that the hub announces; what is busy, broken or of
    another hash is tried again. With HF_HUB_OFFLINE, what was fetched before."""
    from huggingface_hub import HfApi, constants

    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception(passing),
        wait=tenacity.wait_exponential_jitter(WAIT, 60),
        stop=tenacity.stop_after_attempt(TRIES),
        before_sleep=lambda state: say(f"{repo}: {state.outcome.exception()}, trying again"[:300]),
        reraise=True,
    )
    options = {"repo_type": kind, "local_dir": folder, "allow_patterns": patterns}
    try:
        if constants.HF_HUB_OFFLINE:
            where = Path(HfApi().snapshot_download(repo, revision=revision, **options))
            return (where.name if folder is None else "unknown (offline)"), where
        told = again(HfApi().repo_info, repo, revision=revision, repo_type=kind, files_metadata=True)
        hashes = {one.rfilename: one.lfs.sha256 for one in told.siblings if one.lfs}
        return told.sha, again(_whole, repo, revision, options, hashes)
    except Exception as fault:  # the hub's client lets out whatever its HTTP library raises
        reason = " ".join(str(fault).split())[:200]
        raise MadiError(f"cannot be fetched ({reason})", f"{repo}@{revision}", do=DO) from None


def _whole(repo: str, revision: str, options: dict, hashes: dict[str, str]) -> Path:
    """The folder of a revision's files, hashed: the client itself holds sizes alone against what was announced.

    Errors: OSError naming the first file of another hash, which is deleted.
    """
    from huggingface_hub import HfApi

    where = Path(HfApi().snapshot_download(repo, revision=revision, **options))
    there = {name: where / name for name in hashes if (where / name).is_file()}
    for name, path in progress(there.items(), len(there), f"check the files of {repo}"):
        if provenance.file_sha(path) != hashes[name]:
            path.resolve().unlink()  # the cache's own copy, which a link may stand for
            path.unlink(missing_ok=True)
            raise OSError(f"{name} has another hash than announced")
    return where


def passing(fault: BaseException) -> bool:
    """Whether a fault may be gone in a moment: too many requests, a server's own fault, a broken connection."""
    answer = getattr(fault, "response", None)
    if answer is not None:
        return answer.status_code == 429 or answer.status_code >= 500
    return isinstance(fault, OSError) and "Connect" not in type(fault).__name__ or "Timeout" in type(fault).__name__
