"""A set written shard by shard, so that a preparation that was cut off goes on where it was.

Beside the shards lies a journal: of what the set is made (a key), which shards are whole, and the tally at the end of
the last. The manifest that readers open is written when all are whole, and the journal goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from madi import images, provenance, shards
from madi.data.tally import Tally
from madi.errors import MadiError
from madi.records import SAMPLE

SHARD_BYTES = 256 * 2**20  # of pictures


class Parts:
    """The shards `00000.parquet`, ... of one set, in the folder that bears its manifest's name.

    key: equal for equal sets; of another key's shards none is kept. tally: where to go on.
    """

    def __init__(self, manifest: Path, key: str):
        self.manifest, self.key = manifest, key
        self.folder = manifest.with_suffix("")
        self.journal = self.folder / "journal.json"
        self.manifest.unlink(missing_ok=True)  # what it lists is about to change
        told = self._journal()
        self.shards: list[dict] = told.get("shards", [])
        self.tally = Tally(told.get("tally"))

    def _journal(self) -> dict:
        """What is there to go on from; nothing, where a shard is not as the journal says or the key is another."""
        if not self.journal.is_file():
            return {}
        try:
            told = shards.read_json(self.journal)
            whole = all(
                provenance.file_sha(self.manifest.parent / one["file"]) == one["sha256"] for one in told["shards"]
            )
            return told if told["key"] == self.key and whole else {}
        except (MadiError, KeyError, TypeError):
            return {}

    def kept(self) -> Iterator[dict]:
        """Id, instruction and hash of each sample in the shards that are whole."""
        paths = [self.manifest.parent / one["file"] for one in self.shards]
        return shards.stream(paths, SAMPLE, ["sample_id", "instruction", "sha256"])

    def write(self, rows: Iterator[dict]) -> None:
        """Write the rows that are left, a shard at a time; then the manifest. `rows` keeps the tally as it is read."""
        for first in rows:
            path = self.folder / f"{len(self.shards):05}.parquet"
            count = shards.write(path, self._some(chain([first], rows)), SAMPLE)
            name = path.relative_to(self.manifest.parent).as_posix()
            self.shards.append({"file": name, "rows": count, "sha256": provenance.file_sha(path)})
            told = {"key": self.key, "shards": self.shards, "tally": self.tally.facts()}
            shards.write_json(self.journal, told)
        listed = {self.manifest.parent / one["file"] for one in self.shards}
        for stale in set(self.folder.glob("*.parquet")) - listed:
            stale.unlink()
        shards.write_json(self.manifest, {"samples": self.tally.samples, "shards": self.shards})
        self.journal.unlink(missing_ok=True)

    def _some(self, rows: Iterator[dict]) -> Iterator[dict]:
        """Rows until there are pictures enough for a shard; not one is taken that the shard does not get."""
        size = 0
        for row in rows:
            yield row
            shown = [*row["sources"], row["target"], row["region"]]
            size += sum(len(one["bytes"]) for one in shown if one)
            if size >= SHARD_BYTES:
                return


def key_of(told: dict, files: list[Path]) -> str:
    """A key of a slice and of what it reads: names, sizes and times of files, and of this code."""
    found = [images.sha256(repr(sorted(told.items())).encode()), provenance.code_sha()]
    for path in files:
        for one in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            seen = one.stat()
            found.append(f"{one}\0{seen.st_size}\0{seen.st_mtime_ns}")
    return images.sha256("\n".join(found).encode())
