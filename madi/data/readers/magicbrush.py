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
from collections.abc import Iterator
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


def read(folder: Path) -> Iterator[dict | Rejected]:
    """Edit turns of hub Parquet files; captions are in the zips alone."""
    for path in files(folder, "**/*.parquet"):
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
            yield turn_of(session, turn, (path.name, number), instruction, source, target, region)


def turn_of(session: str, turn: int, origin: tuple, instruction: str, source, target, region, **captions) -> dict:
    """A turn of a session; it follows the turn before it, whose edit multi-turn evaluation edits."""
    follows = f"magicbrush-{session}-{turn - 1}" if turn > 1 else None
    more = {"group_id": f"magicbrush-{session}", "turn": turn, "follows": follows, "region": region, **captions}
    return sample(f"magicbrush-{session}-{turn}", origin, instruction, [source], target, **more)


def zipped(path: Path) -> Iterator[dict | Rejected]:
    """Edit turns of a val or test zip, with captions. Nothing is unpacked to disk: names in it lead nowhere."""
    try:
        with zipfile.ZipFile(path) as file:
            yield from _turns(path, file)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as fault_:
        raise MadiError(f"cannot be read ({fault_})", path, "MagicBrush's zip, password MagicBrush") from None


def _turns(path: Path, file: zipfile.ZipFile) -> Iterator[dict | Rejected]:
    names = {PurePosixPath(name).name: name for name in file.namelist()}
    turns = _json(path, file, names, "edit_turns.json")
    whole, local = (_captions(path, file, names, kind) for kind in ("global_descriptions.json", "local"))
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
            source_caption=whole.get(session, {}).get(turn["input"]),
            target_caption=whole.get(session, {}).get(output),
            target_caption_local=local.get(session, {}).get(output),
        )


def _json(path: Path, file: zipfile.ZipFile, names: dict, name: str):
    if name not in names:
        raise MadiError(f"no {name}", path, "MagicBrush's val or test zip")
    try:
        return json.loads(file.read(names[name], PASSWORD))
    except ValueError as fault_:
        raise MadiError(f"{name} is not JSON ({fault_})", path, do="fetch it again") from None


def _captions(path: Path, file: zipfile.ZipFile, names: dict, kind: str) -> dict:
    """Captions by session and picture; the local ones' file has had two names."""
    known = [kind] if kind.endswith(".json") else ["local_descriptions.json", "local_captions.json"]
    return next((_json(path, file, names, name) for name in known if name in names), {})


def _bytes(file: zipfile.ZipFile, names: dict, name: str | None) -> dict | None:
    if not name or name not in names:
        return None
    if file.getinfo(names[name]).file_size > 8 * images.MAX_PIXELS:  # a bomb: more than its pixels could take
        return None
    return picture(file.read(names[name], PASSWORD))
