"""MagicBrush: its hub Parquet files (train, dev), and its zips (val, test) with captions.

Parquet columns: `img_id`, `turn_index` (from 1), `source_img`, `mask_img` (the source, transparent where to edit),
`instruction`, `target_img`; older revisions say `input_img` and `output_img` and have no mask. A later turn's source is
the target of the one before. A zip (password MagicBrush) holds `edit_turns.json`, pictures, and captions by picture:
global ones of input and output, local ones of the output alone.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from madi import images
from madi.data.readers.published import Rejected, fault, files, picture, rows, sample, words
from madi.errors import MadiError

PASSWORD = b"MagicBrush"
COLUMNS = {
    "img_id": "the session",
    "turn_index": "a number from 1",
    "instruction": "a text",
    "source_img?": "a picture",
    "target_img?": "a picture",
    "input_img?": "a picture (older revisions)",
    "output_img?": "a picture (older revisions)",
    "mask_img?": "a picture, transparent where to edit",
}
TURN = re.compile(r"output(\d+)")


def read(folder: Path, captions: Path | None = None) -> Iterator[dict | Rejected]:
    """Edit turns of hub Parquet files, which have no captions: they come from `captions`, a val or test zip or a folder
    with what is in it. Errors: MadiError where there are none, or none of a session of these files."""
    paths = files(folder, "**/*.parquet")
    told = Captions.of(captions) if captions else Captions({}, {})
    if captions:
        told.hold(captions, paths)
    for path in paths:
        for number, row in rows(path, COLUMNS):
            source = picture(row["source_img"]) or picture(row["input_img"])
            target = picture(row["target_img"]) or picture(row["output_img"])
            instruction = words(row["instruction"])
            reason = fault(source, target, instruction)
            if reason:
                yield Rejected(str(path), number, reason)
                continue
            session, turn = str(row["img_id"]), int(row["turn_index"])
            region = picture(row["mask_img"])
            shown = (path.name, number), instruction, source, target, region
            yield turn_of(session, turn, *shown, **told.about(session, turn))


def turn_of(session: str, turn: int, origin: tuple, instruction: str, source, target, region, **captions) -> dict:
    """A turn of a session; it follows the turn before it, whose edit multi-turn evaluation edits."""
    follows = f"magicbrush-{session}-{turn - 1}" if turn > 1 else None
    more = {"group_id": f"magicbrush-{session}", "turn": turn, "follows": follows, "region": region, **captions}
    return sample(f"magicbrush-{session}-{turn}", origin, instruction, [source], target, **more)


@dataclass(frozen=True)
class Captions:
    """Captions by session and picture: global ones of inputs and outputs, local ones of outputs."""

    whole: dict[str, dict[str, str]]
    local: dict[str, dict[str, str]]

    @classmethod
    def of(cls, path: Path) -> Captions:
        """Those of a zip, or of a folder. Errors: MadiError where there is no such file, and for what is no JSON."""
        if not path.exists():
            do = "ask for it as its README says, or set `captions: null`: CLIP-T and CLIP-Dir are then missing"
            raise MadiError("no such file", path, "MagicBrush's captions (val.zip for the hub's dev split)", do)
        if path.is_dir():
            names = {one.name: one for one in sorted(path.rglob("*.json"))}
            return cls.named(path, names, lambda name: name.read_bytes())
        with opened(path) as file:
            return cls.named(path, names_of(file), lambda name: file.read(name, PASSWORD))

    @classmethod
    def named(cls, path: Path, names: dict, content: Callable[[object], bytes]) -> Captions:
        """Of the files called so; the local ones' file has had two names."""
        whole, *local = (
            _json(path, content(names[name]), name) if name in names else None
            for name in ("global_descriptions.json", "local_descriptions.json", "local_captions.json")
        )
        return cls(whole or {}, next((one for one in local if one), {}))

    def hold(self, path: Path, files: list[Path]) -> None:
        """Errors: MadiError where no session of the Parquet files has a caption: they are of another split."""
        sessions = [str(row["img_id"]) for one in files for _, row in rows(one, {"img_id": COLUMNS["img_id"]})]
        if sessions and not {*self.whole, *self.local} & {*sessions}:
            what = "captions of no session of this set"
            raise MadiError(what, path, f"those of its split, with sessions such as {sessions[0]}", "take its zip")

    def about(self, session: str, turn: int) -> dict[str, str | None]:
        """A turn's captions by the record's columns. Its source is the output of the turn before."""
        before = f"{session}-output{turn - 1}.png" if turn > 1 else f"{session}-input.png"
        output, whole = f"{session}-output{turn}.png", self.whole.get(session, {})
        return {
            "source_caption": whole.get(before),
            "target_caption": whole.get(output),
            "target_caption_local": self.local.get(session, {}).get(output),
        }


def zipped(path: Path) -> Iterator[dict | Rejected]:
    """Edit turns of a val or test zip, with captions. Nothing is unpacked to disk: names in it lead nowhere."""
    with opened(path) as file:
        yield from _turns(path, file)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip to read from. Errors: MadiError for what is no zip, or under another password."""
    try:
        with zipfile.ZipFile(path) as file:
            yield file
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as fault_:
        raise MadiError(f"cannot be read ({fault_})", path, "MagicBrush's zip, password MagicBrush") from None


def names_of(file: zipfile.ZipFile) -> dict[str, str]:
    """Members by their names without folders: they are read in place, and lead nowhere."""
    return {PurePosixPath(name).name: name for name in file.namelist()}


def _turns(path: Path, file: zipfile.ZipFile) -> Iterator[dict | Rejected]:
    names = names_of(file)
    if "edit_turns.json" not in names:
        raise MadiError("no edit_turns.json", path, "MagicBrush's val or test zip")
    turns = _json(path, file.read(names["edit_turns.json"], PASSWORD), "edit_turns.json")
    told = Captions.named(path, names, lambda name: file.read(name, PASSWORD))
    for number, turn in enumerate(turns):
        shown = {part: _bytes(file, names, turn.get(part)) for part in ("input", "output", "mask")}
        instruction = words(turn.get("instruction"))
        reason = fault(shown["input"], shown["output"], instruction)
        if reason:
            yield Rejected(str(path), number, reason)
            continue
        session, output = turn["input"].split("-")[0], turn["output"]
        found = TURN.search(output)
        yield turn_of(
            session,
            int(found[1]) if found else 1,
            (path.name, number),
            instruction,
            shown["input"],
            shown["output"],
            shown["mask"],
            source_caption=told.whole.get(session, {}).get(turn["input"]),
            target_caption=told.whole.get(session, {}).get(output),
            target_caption_local=told.local.get(session, {}).get(output),
        )


def _json(path: Path, content: bytes, name: str):
    try:
        return json.loads(content)
    except ValueError as fault_:
        raise MadiError(f"{name} is not JSON ({fault_})", path, do="fetch it again") from None


def _bytes(file: zipfile.ZipFile, names: dict, name: str | None) -> dict | None:
    if not name or name not in names:
        return None
    if file.getinfo(names[name]).file_size > 8 * images.MAX_PIXELS:  # a bomb: more than its pixels could take
        return None
    return picture(file.read(names[name], PASSWORD))
