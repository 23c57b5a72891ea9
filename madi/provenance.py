"""Where a thing came from: hashes of files, folders and code, versions, hardware, time. Never part of a record."""

import hashlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from madi.errors import MadiError
from madi.shards import write_json

PROVENANCE = "provenance.json"
PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "peft", "open_clip_torch", "timm", "numpy", "pyarrow")
PACKAGES += ("pillow", "snakemake")


def file_sha(path: Path | str) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise MadiError(fault.strerror or "cannot be read", path, "a file") from None


def folder_sha(path: Path | str, pattern: str = "**/*") -> str:
    """SHA-256 over the names and bytes of all files below a folder, hidden ones and `provenance.json` left out.

    A provenance file holds a time, so that it would make two folders of equal weights look different.
    """
    if not Path(path).is_dir():
        raise MadiError("no such folder", path)
    return joined(file_shas(path, pattern))


def joined(shas: dict[str, str]) -> str:
    """One SHA-256 over the names and hashes of files."""
    return hashlib.sha256("".join(f"{name}\0{sha}\n" for name, sha in shas.items()).encode()).hexdigest()


def files_in(folder: Path | str, pattern: str = "**/*") -> list[str]:
    """Names of the files below a folder that make it what it is: not hidden ones, nor its provenance."""
    names = (file.relative_to(folder) for file in Path(folder).glob(pattern) if file.is_file())
    kept = (n for n in names if n.name != PROVENANCE and not any(part.startswith(".") for part in n.parts))
    return sorted(name.as_posix() for name in kept)


def file_shas(folder: Path | str, pattern: str = "**/*") -> dict[str, str]:
    """File name -> SHA-256 of `files_in` a folder: what a manifest of weights holds."""
    return {name: file_sha(Path(folder, name)) for name in files_in(folder, pattern)}


def code_sha() -> str:
    """SHA-256 over the package's Python files."""
    return folder_sha(Path(__file__).parent, "**/*.py")


def git() -> str:
    """The commit of the code, and whether it was changed since; empty where it is not in a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on (those that are installed)."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, object]:
    """Processor, cores, memory and, where torch is in use already, accelerators."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    torch = sys.modules.get("torch")  # not imported for this: it costs seconds
    cuda = torch.cuda if torch is not None and torch.cuda.is_available() else None
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30, 1),
        "accelerators": [cuda.get_device_name(index) for index in range(cuda.device_count())] if cuda else [],
    }


def write_provenance(path: Path | str, **facts: object) -> None:
    """Write these facts with versions, hardware, code hash and time as JSON."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(path, {**facts, "versions": versions(), "hardware": hardware(), "code": code_sha(), "time": now})
