"""Leak check: no picture that is learnt from may be a picture that a benchmark shows.

Two pictures are the same if their bytes agree, if they are drawn from the same scene, or if they are near-duplicates:
perceptual hashes within `HASH_BITS` and thumbnails within `TOLERANCE` everywhere. The thumbnails decide because a
perceptual hash is grey and coarse: pictures of a red and of a blue circle may share it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from madi import images
from madi.errors import MadiError
from madi.samples import Sample

HASH_BITS = 6  # of 64: recompressed or rescaled copies differ in fewer
THUMB = 32  # px a side
LEAST = 4 * THUMB  # px: what a JPEG is read at, at the least
TOLERANCE = 24  # of 255, in any thumbnail pixel and channel
MOST = 0.05  # share of a set that may leak; above it something is wrong with the split, not with single samples


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of a sample. keys: what equal pictures share; bits: uint8 [8]; thumb: int16 [THUMB,THUMB,3]."""

    sample_id: str
    role: str
    keys: tuple[str, ...]
    bits: np.ndarray
    thumb: np.ndarray


def pictures(sample: Sample) -> Iterator[Picture]:
    """The sources and the target of a sample. Errors: MadiError naming file, row and column of an unreadable image."""
    truth = sample.spec()
    scenes = [*truth.get("sources", []), *([truth["target"]] if "target" in truth else [])]
    encoded = [*sample.row["sources"], *([sample.row["target"]] if sample.row["target"] else [])]
    for index, picture in enumerate(encoded):
        is_source = index < sample.count
        image = sample.source(index, LEAST) if is_source else sample.target(LEAST)
        keys = [images.sha256(picture["bytes"])]
        if len(scenes) == len(encoded):
            keys.append(hashlib.sha256(json.dumps(scenes[index], sort_keys=True).encode()).hexdigest())
        bits = np.frombuffer(bytes.fromhex(images.phash(image)), np.uint8)
        thumb = images.resize(image, THUMB, THUMB).astype(np.int16)
        yield Picture(sample.id, f"source_{index + 1}" if is_source else "target", tuple(keys), bits, thumb)


class Shown:
    """All pictures of some benchmarks, to look others up in."""

    def __init__(self, benchmarks: dict[str, Iterable[Sample]]):
        named = [(name, picture) for name, samples in benchmarks.items() for s in samples for picture in pictures(s)]
        self.pictures = named
        self.by_key = {key: place for place, (_, picture) in enumerate(named) for key in picture.keys}
        self.bits = np.array([picture.bits for _, picture in named], np.uint8).reshape(-1, 8)

    def find(self, picture: Picture) -> dict | None:
        """Where this picture is shown, and how it is known; None if it is nowhere."""
        place = next((self.by_key[key] for key in picture.keys if key in self.by_key), None)
        how = "the same picture"
        if place is None:
            place, how = self._near(picture), "a near-duplicate"
        if place is None:
            return None
        name, shown = self.pictures[place]
        found = {"benchmark": name, "of": shown.sample_id, "of_role": shown.role, "how": how}
        return {"sample_id": picture.sample_id, "role": picture.role, **found}

    def _near(self, picture: Picture) -> int | None:
        distance = np.unpackbits(self.bits ^ picture.bits, axis=1).sum(axis=1)
        for place in np.flatnonzero(distance <= HASH_BITS):
            if np.abs(self.pictures[place][1].thumb - picture.thumb).max() <= TOLERANCE:
                return int(place)
        return None


def leaks(samples: Iterable[Sample], shown: Shown) -> list[dict]:
    """One entry a leaking sample: its first picture that a benchmark shows, too."""
    found = []
    for sample in samples:
        hits = (shown.find(picture) for picture in pictures(sample))
        hit = next((hit for hit in hits if hit is not None), None)
        found += [hit] if hit else []
    return found


def hold(found: list[dict], total: int, where: object) -> None:
    """Errors: MadiError if more than 5 % of a set leak."""
    if found and len(found) > MOST * total:
        first = found[0]
        raise MadiError(
            f"{len(found)} of {total} samples show a benchmark's picture, first {first['sample_id']} ({first['role']}: "
            f"{first['how']} as {first['benchmark']} {first['of']})",
            where,
            f"at most {MOST:.0%}",
            "check the splits of the sets",
        )
