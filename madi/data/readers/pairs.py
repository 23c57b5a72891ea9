"""Text to image from any pictures with captions: Parquet files, webdataset tars, or a folder."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq

from madi import images
from madi.data.readers.published import Rejected, picture, rows, sample, words
from madi.errors import MadiError

PICTURES = ("image", "jpg", "png", "webp", "img")
CAPTIONS = ("caption", "text", "txt", "prompt")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def read(folder: Path) -> Iterator[dict | Rejected]:
    """All pairs of a folder: its Parquet files, its tars, and its loose pictures with a text beside each."""
    if not folder.exists():
        raise MadiError("no such folder", folder, "pictures with captions")
    found = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    for path in found:
        if path.suffix == ".parquet":
            yield from parquet(path)
        elif path.suffix == ".tar":
            yield from tar(path)
        elif path.suffix.lower() in SUFFIXES:
            yield loose(path, folder)


def parquet(path: Path) -> Iterator[dict | Rejected]:
    """Pairs of a Parquet file: the first column with a picture's name, and the first with a caption's."""
    names = pq.read_schema(path).names
    shown, told = (next((n for n in known if n in names), None) for known in (PICTURES, CAPTIONS))
    if shown is None or told is None:
        missing = " or ".join(PICTURES if shown is None else CAPTIONS)
        raise MadiError(f"no column {missing}", path, f"one, beside {', '.join(names)}")
    for number, row in rows(path, {shown: "a picture", told: "a caption"}):
        yield pair(f"{path.stem}-{number}", (path.name, number), picture(row[shown]), words(row[told]))


def tar(path: Path) -> Iterator[dict | Rejected]:
    """Pairs of a webdataset tar: members of one stem, a picture and a .txt or .json. Read in place, never unpacked."""
    try:
        with tarfile.open(path) as file:
            held: dict[str, dict] = {}
            stem = None
            for member in file:
                name = PurePosixPath(member.name)
                if not member.isfile() or member.size > 8 * images.MAX_PIXELS:
                    continue
                if stem not in (None, str(name.with_suffix(""))):
                    yield _member(path, stem, held)
                    held = {}
                stem = str(name.with_suffix(""))
                held[name.suffix.lower()] = file.extractfile(member).read()
            if held:
                yield _member(path, stem, held)
    except tarfile.TarError as fault:
        raise MadiError(f"not a whole tar ({fault})", path, do="fetch it again") from None


def _member(path: Path, stem: str, held: dict[str, bytes]) -> dict | Rejected:
    shown = next((held[suffix] for suffix in SUFFIXES if suffix in held), None)
    text = held.get(".txt", b"").decode("utf-8", "replace")
    if not text.strip() and ".json" in held:
        try:
            told = json.loads(held[".json"])
            text = next((str(told[key]) for key in CAPTIONS if key in told), "")
        except ValueError:
            text = ""
    return pair(f"{path.stem}-{stem}", (f"{path.name}:{stem}", 0), picture(shown), words(text))


def loose(path: Path, folder: Path) -> dict | Rejected:
    """A picture with a text of its name beside it."""
    text = path.with_suffix(".txt")
    told = words(text.read_text(encoding="utf-8", errors="replace")) if text.is_file() else ""
    name = path.relative_to(folder).as_posix() if path != folder else path.name
    return pair(name, (name, 0), picture(path.read_bytes()), told)


def pair(name: str, origin: tuple, shown: dict | None, text: str) -> dict | Rejected:
    """A text-to-image sample."""
    if shown is None or not text:
        return Rejected(str(origin[0]), origin[1], "no picture" if shown is None else "no caption")
    return sample(f"pair-{name}", origin, text, (), shown, target_caption=text)
