"""Bad input to the evaluation, kind by kind: one line that names it or a row that counts it, and no other score moves.

What is held elsewhere, in the order of the list:

- missing, extra and broken images of a folder: test_a_missing_a_broken_and_a_strange_image_shift_no_other
- too few samples scored, in the tables: test_edits_without_any_score_are_named
- broken bytes in a shard: test_an_unreadable_image_names_file_row_and_field
- an edit or a score of an unknown sample, two scores of one edit: test_an_edit_of_an_unknown_sample_is_named,
  test_scores_of_unknown_samples_are_named, test_two_scores_of_one_edit_are_named
- broken lines of official results: test_official_results_are_taken_by_prompt_and_seed
- edits in another order: test_alone_equals_batched_byte_for_byte
- a shard cut short or of another record: test_damage_is_named_never_read, test_another_record_or_no_file_is_named
- a name that leads elsewhere: test_a_name_from_data_leads_nowhere
"""

import io
import json
import shutil
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tiny_towers as tiny
from PIL import Image

from madi import images, records, samples, shards
from madi.config import DataSlice, JudgeSlice, QuestionSlice, ScoreSlice
from madi.data import prepare
from madi.edit.editors.folder import Folder
from madi.edit.editors.reference import NO_MODEL
from madi.edit.work import Result, Work, record
from madi.editors import FolderEditor
from madi.errors import MadiError
from madi.folder import run as folders
from madi.prompts import questions
from madi.score import geneval_by, judge, shard
from madi.score.judges import five
from madi.settings import GenEval
from madi.tables.board import Board, Query
from madi.tables.sources import read_samples

COUNT = 7
COLOURS = ("red", "green", "blue")
Key = tuple[str, str, str]  # sample, metric, against


@dataclass(frozen=True)
class World:
    """Good samples, edits, questions and answers, and the scores of them. Rows are to be copied, not changed."""

    folder: Path
    towers: tuple[Path, Path]
    samples: list[dict]
    edits: list[dict]
    clean: dict[Key, dict]

    def files(self, out: Path, **changed: list[dict]) -> dict[str, Path]:
        """The world's files with some rows changed, in `out`."""
        out.mkdir(exist_ok=True)
        found = {name: self.folder / f"{name}.parquet" for name in ("samples", "edits", "questions", "answers")}
        for name, rows in changed.items():
            found[name] = out / f"{name}.parquet"
            shards.write(found[name], rows, getattr(records, name.removesuffix("s").upper()))
        return found

    def judge(self, files: dict[str, Path], out: Path) -> None:
        names = ({"emu_edit": files[name]} for name in ("samples", "questions"))
        judge.run(JUDGE, files["edits"], *names, out, None)

    def score(self, files: dict[str, Path], out: Path) -> dict[Key, dict]:
        models = {"clip": str(self.towers[0]), "dino": str(self.towers[1])}
        job = ScoreSlice(job="ft", name="t", threads=1, judge=JUDGE, batch=4, **models)
        names = ({"emu_edit": files[name]} for name in ("samples", "questions"))
        shard.run(job, files["edits"], *names, files["answers"], out)
        return by_key(out)

    def scored(self, out: Path, **changed: list[dict]) -> dict[Key, dict]:
        """The scores where rows are changed, the judge asked again."""
        files = self.files(out, **changed)
        self.judge(files, out / "answers.parquet")
        return self.score(files | {"answers": out / "answers.parquet"}, out / "scores.parquet")

    def refused(self, out: Path, jobs=("judge", "score"), **changed: list[dict]) -> str:
        """The line that every one of `jobs` ends with; none leaves a file."""
        files, said = self.files(out, **changed), set()
        for name in jobs:
            with pytest.raises(MadiError) as fault:
                getattr(self, name)(files, out / "out.parquet")
            said.add(str(fault.value))
            assert not (out / "out.parquet").exists()
        [line] = said
        assert "\n" not in line
        return line


JUDGE = JudgeSlice(job="ft", judge="oracle", rollouts=1, protocols={"emu_edit": ["five_questions"]})


def by_key(path: Path) -> dict[Key, dict]:
    rows = shards.read(path, records.SCORE)
    found = {(row["sample_id"], row["metric"], row["against"]): row for row in rows}
    assert len(found) == len(rows) == len({row["score_id"] for row in rows})
    return found


def edit_row(sample: dict, image: np.ndarray | None) -> dict:
    columns = {name: None for name in records.SAMPLE.names} | sample
    work = Work("ft", "emu_edit", samples.Sample(columns, "made", 0), 0, 0)
    return record(work, Result(image, None if image is not None else "it broke"), NO_MODEL | {"config_sha": "0"})


def with_bytes(edit: dict, data: bytes) -> dict:
    return edit | {"image": {"bytes": data, "path": None}, "image_sha": images.sha256(data)}


def pixels(edit: dict) -> np.ndarray:
    return images.decode(edit["image"]["bytes"], "edit")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    """Seven samples of the scene world and a twin of the last, with words that the tiny towers know, edited nearly as
    they should be."""
    folder = tmp_path_factory.mktemp("bad")
    job = DataSlice(set="emu_edit", name="t", seed=0, size_px=64, source={"reader": "scenes", "samples": COUNT})
    prepare.run(job, folder / "prepared/samples.json", {}, None, {})
    rows = list(shards.stream(folder / "prepared/samples.json", records.SAMPLE))
    for number, row in enumerate(rows):
        colour = COLOURS[number % 3]
        row |= {"source_caption": f"a {colour} circle", "target_caption": f"{'two ' * (number // 3)}{colour} square"}
    rows[4]["target_caption"] = "grass"  # in this caption alone
    rows.append(rows[-1] | {"sample_id": "twin"})
    edits = []
    for number, row in enumerate(rows):
        target = images.decode(row["target"]["bytes"], "target").astype(int)
        noise = np.random.default_rng(number).integers(-30, 30, target.shape)
        edits.append(edit_row(row, (target + noise).clip(0, 255).astype(np.uint8)))
    shards.write(folder / "samples.parquet", rows, records.SAMPLE)
    shards.write(folder / "edits.parquet", edits, records.EDIT)
    ask = QuestionSlice(benchmark="emu_edit", name="t", seed=0, provider="general")
    questions.run(ask, folder / "samples.parquet", folder / "questions.parquet")
    towers = tiny.clip_folder(folder / "clip"), tiny.dino_folder(folder / "dino")
    made = World(folder, towers, rows, edits, {})
    files = made.files(folder)
    made.judge(files, files["answers"])
    clean = made.score(files, folder / "scores.parquet")
    assert {row["status"] for row in clean.values()} == {"ok"}
    return replace(made, clean=clean)


def stand(found: dict[Key, dict], world: World, *but: str) -> None:
    """Every score of the samples that nothing was done to is the clean one; there are as many as ever."""
    assert found.keys() == world.clean.keys()
    assert {key: row for key, row in found.items() if key[0] not in but} == {
        key: row for key, row in world.clean.items() if key[0] not in but
    }


def told(found: dict[Key, dict], sample: str) -> dict[tuple[str, str], tuple]:
    return {key[1:]: (row["value"], row["status"], row["reason"]) for key, row in found.items() if key[0] == sample}


def at(rows: list[dict], number: int, **changes) -> list[dict]:
    """The rows, one of them changed."""
    return [row | changes if index == number else row for index, row in enumerate(rows)]


# --- images of a shard: sizes, bytes, names


def header(width: int, height: int) -> bytes:
    """A PNG that says it is of this size, and holds nothing."""
    found = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", b""),
        (b"IEND", b""),
    ):
        found += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return found


@pytest.mark.parametrize("size", [(32, 32), (128, 128), (96, 40), (1, 1), (3, 900)])
def test_an_edit_of_another_size_or_shape_is_scored_at_its_sources(world, tmp_path, size):
    image = np.asarray(Image.fromarray(pixels(world.edits[2])).resize(size))
    name = world.samples[2]["sample_id"]
    found = world.scored(tmp_path, edits=at(world.edits, 2, **edit_row(world.samples[2], image)))
    stand(found, world, name)
    assert {row["status"] for key, row in found.items() if key[0] == name} == {"ok"}
    fitted = images.resize(image, 64, 64).astype(float) / 255
    source = images.decode(world.samples[2]["sources"][0]["bytes"], "source") / 255
    assert found[name, "l1", "source"]["value"] == pytest.approx(np.abs(fitted - source).mean(), abs=1e-9)


@pytest.mark.parametrize("size, said", [((0, 5), "unreadable image"), ((9000, 9000), "image of 9000x9000 px")])
def test_an_edit_of_no_pixels_or_of_far_too_many_is_named(world, tmp_path, size, said):
    edits = [*world.edits[:1], with_bytes(world.edits[1], header(*size)), *world.edits[2:]]
    line = world.refused(tmp_path, edits=edits)
    assert line.startswith(f"{tmp_path}/edits.parquet row 1 column image: {said}")


def test_an_edit_that_is_there_twice_is_named(world, tmp_path):
    line = world.refused(tmp_path, edits=[*world.edits, world.edits[3]])
    key = f"ft/emu_edit/{world.samples[3]['sample_id']}/0/0"
    assert line.startswith(f"{tmp_path}/edits.parquet row 8: the edit {key} is in {tmp_path}/edits.parquet row 3 too;")


def test_a_sample_that_is_there_twice_is_named(world, tmp_path):
    line = world.refused(tmp_path, samples=[*world.samples, world.samples[1]])
    assert (
        line == f"{tmp_path}/samples.parquet row 8 column sample_id: {world.samples[1]['sample_id']!r} is in row 1 too"
    )


def test_an_image_under_anothers_name_is_named_by_its_hash(world, tmp_path):
    one, other = world.edits[1]["image"], world.edits[2]["image"]
    line = world.refused(tmp_path, edits=at(at(world.edits, 1, image=other), 2, image=one))
    assert f"{tmp_path}/edits.parquet row 1 column image: its bytes hash to {world.edits[2]['image_sha'][:16]}" in line


def test_an_edit_under_anothers_id_is_named(world, tmp_path):
    """Its answers would be another's."""
    line = world.refused(tmp_path, edits=at(world.edits, 1, edit_id=world.edits[2]["edit_id"]))
    assert f"row 1 column edit_id: {world.edits[2]['edit_id']}, but its key's id is {world.edits[1]['edit_id']}" in line


def test_images_swapped_with_their_hashes_swap_their_scores_and_move_no_other(world, tmp_path):
    """Of a sample and its twin, whose sources, targets and captions are the same."""
    seventh, twin = ({name: e[name] for name in ("image", "image_sha")} for e in world.edits[-2:])
    found = world.scored(tmp_path, edits=[*world.edits[:-2], world.edits[-2] | twin, world.edits[-1] | seventh])
    name = world.samples[-2]["sample_id"]
    stand(found, world, name, "twin")
    assert told(found, name) == told(world.clean, "twin") != told(found, "twin") == told(world.clean, name)


# --- embeddings, captions, failed and copied edits


def spoilt(embed):
    """A tower's `images`, which gives no number for a picture that is of one colour all over."""

    def images_(tower, prepared):
        rows = embed(tower, prepared).copy()
        rows[[bool((one == one[:, :1, :1]).all()) for one in prepared]] = np.nan
        return rows

    return images_


def test_a_picture_that_embeds_as_no_number_is_counted(world, tmp_path, monkeypatch):
    from madi.score.clip import Clip
    from madi.score.dino import Dino

    for tower in (Clip, Dino):
        monkeypatch.setattr(tower, "images", spoilt(tower.images))
    name = world.samples[3]["sample_id"]
    white = edit_row(world.samples[3], np.full((64, 64, 3), 255, np.uint8))
    found = world.scored(tmp_path, edits=at(world.edits, 3, **white))
    stand(found, world, name)
    lost = {key[0] for key, row in told(found, name).items() if row == (None, "missing", "not a finite number")}
    assert lost == {"clip_i", "clip_t", "clip_dir", "dino"}


def test_a_text_that_embeds_as_no_number_is_counted(world, tmp_path):
    from safetensors.torch import load_file, save_file

    clip = Path(shutil.copytree(world.towers[0], tmp_path / "clip"))
    weights = load_file(clip / "open_clip_model.safetensors")
    words = json.loads((clip / "tokenizer.json").read_text())["model"]["vocab"]
    weights["token_embedding.weight"][words["grass"]] = np.nan
    save_file(weights, clip / "open_clip_model.safetensors")
    found = replace(world, towers=(clip, world.towers[1])).scored(tmp_path / "o", edits=world.edits)
    name = world.samples[4]["sample_id"]
    lost = {key: row for key, row in found.items() if row["status"] == "missing"}
    assert {key for key in lost} == {(name, "clip_t", "global_caption"), (name, "clip_dir", "source")}
    assert {row["reason"] for row in lost.values()} == {"not a finite number"}
    others = found.keys() - lost.keys()  # under another backend's name: other weights have another hash
    assert {key: found[key]["value"] for key in others} == {key: world.clean[key]["value"] for key in others}


@pytest.mark.parametrize(
    "changes, lost, why",
    [
        ({"target_caption": None}, {"clip_t", "clip_dir"}, "no caption"),
        ({"target_caption": "  "}, {"clip_t", "clip_dir"}, "no caption"),
        ({"source_caption": None}, {"clip_dir"}, "no caption"),
        ({"source_caption": "red  square", "target_caption": "red square "}, {"clip_dir"}, "identical captions"),
    ],
)
def test_a_caption_that_is_missing_or_says_the_same_is_excluded_and_counted(world, tmp_path, changes, lost, why):
    name = world.samples[0]["sample_id"]
    found = world.scored(tmp_path, samples=at(world.samples, 0, **changes))
    stand(found, world, name)
    gone = {key[0]: row for key, row in told(found, name).items() if row[1] != "ok"}
    assert gone == dict.fromkeys(lost, (None, "excluded", why))


def test_a_failed_edit_is_missing_in_every_metric_and_a_copy_goes_nowhere(world, tmp_path):
    source = images.decode(world.samples[5]["sources"][0]["bytes"], "source")
    failed, copy = edit_row(world.samples[1], None), edit_row(world.samples[5], source)
    edits = [world.edits[0], failed, *world.edits[2:5], copy, *world.edits[6:]]
    found = world.scored(tmp_path, edits=edits)
    first, second = world.samples[1]["sample_id"], world.samples[5]["sample_id"]
    stand(found, world, first, second)
    assert set(told(found, first).values()) == {(None, "missing", "edit failed: it broke")}
    assert told(found, second)["clip_dir", "source"] == (0.0, "ok", "copied")
    units = asked(found, world, "clip_dir/source")
    assert units.missing == {first} and not units.excluded
    assert dict(zip(units.samples, units.values)) == {
        key[0]: row["value"] for key, row in found.items() if key[1] == "clip_dir" and key[0] != first
    }


# --- how a picture is kept


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(image: Image.Image) -> bytes:
    """On its side, with the note that it is to be turned upright."""
    exif = image.getexif()
    exif[0x0112] = 6
    return saved(image.transpose(Image.Transpose.ROTATE_90), exif=exif)


def deep(grey: Image.Image) -> bytes:
    return saved(Image.fromarray(np.asarray(grey.convert("L")).astype(np.uint16) * 257))


def half(image: Image.Image) -> Image.Image:
    """See-through on its left half, whose colours do not show."""
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:, :32] = 0
    return Image.fromarray(np.dstack([np.asarray(image), alpha]))


def on_white(image: Image.Image) -> Image.Image:
    shown = np.asarray(image).copy()
    shown[:, :32] = 255
    return Image.fromarray(shown)


def first_of_two(kind: str, **options):
    black = Image.new("RGB", (64, 64))
    return lambda image: saved(image, kind, save_all=True, append_images=[black], **options)


def cmyk(image: Image.Image) -> bytes:
    return saved(image.convert("CMYK"), "JPEG", quality=95)


KEPT = {  # what is kept, and what it shows
    "grey": (lambda i: saved(i.convert("L")), lambda i: i.convert("L").convert("RGB")),
    "grey of 16 bits": (deep, lambda i: i.convert("L").convert("RGB")),
    "see-through": (lambda i: saved(half(i)), on_white),
    "turned by EXIF": (turned, lambda i: i),
    "CMYK": (cmyk, lambda i: Image.open(io.BytesIO(cmyk(i))).convert("RGB")),
    "an animated WebP": (first_of_two("WEBP", lossless=True), lambda i: i),
    "an animated PNG": (first_of_two("PNG"), lambda i: i),
}


def test_a_picture_is_scored_as_what_it_shows_however_it_is_kept(world, tmp_path):
    """Each sample's edit is kept in another way; the twin's is left alone."""
    pictures = [Image.fromarray(pixels(edit)) for edit in world.edits]
    ways = list(KEPT.values()) + [(saved, lambda i: i)]
    shown = [with_bytes(e, saved(shows(i))) for e, i, (_, shows) in zip(world.edits, pictures, ways, strict=True)]
    kept = [with_bytes(e, keep(i)) for e, i, (keep, _) in zip(world.edits, pictures, ways, strict=True)]
    plain, found = world.scored(tmp_path / "p", edits=shown), world.scored(tmp_path / "k", edits=kept)
    for way, sample in zip(KEPT, world.samples):
        assert told(found, sample["sample_id"]) == told(plain, sample["sample_id"]), way
    stand(found, world, *(sample["sample_id"] for sample in world.samples[:-1]))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_a_picture_cut_short_is_named(world, tmp_path, kind):
    data = saved(Image.fromarray(pixels(world.edits[1])), kind)
    edits = at(world.edits, 1, **with_bytes(world.edits[1], data[: len(data) * 2 // 3]))
    assert f"{tmp_path}/edits.parquet row 1 column image: unreadable image" in world.refused(tmp_path, edits=edits)


# --- answers and questions


def answers(world: World) -> list[dict]:
    return shards.read(world.folder / "answers.parquet", records.ANSWER)


def test_an_answer_about_no_edit_and_one_that_comes_twice_are_named(world, tmp_path):
    rows = answers(world)
    stray = rows[0] | {"sample_id": "gone"}
    line = world.refused(tmp_path, jobs=["score"], answers=[*rows, stray])
    assert f"answers.parquet row {len(rows)}: an answer about ft/emu_edit/gone/0/0; expected one about an edit" in line
    line = world.refused(tmp_path, jobs=["score"], answers=[*rows, rows[7] | {"key": 0, "value": 1.0}])
    assert f"answers.parquet row {len(rows)}: the answer ft/emu_edit/" in line and "answers.parquet row 7 too" in line


def test_a_question_that_comes_twice_is_named(world, tmp_path):
    rows = shards.read(world.folder / "questions.parquet", records.QUESTION)
    line = world.refused(tmp_path, questions=[*rows, rows[2]])
    assert f"questions.parquet row {len(rows)}: the question {rows[2]['sample_id']}/" in line and "row 2 too" in line


def test_a_question_or_an_answer_that_is_missing_is_counted(world, tmp_path):
    """Means over fewer questions are not the same thing."""
    bank, rows = shards.read(world.folder / "questions.parquet", records.QUESTION), answers(world)
    name = world.samples[1]["sample_id"]
    mine = [number for number, row in enumerate(bank) if row["sample_id"] == name]
    shorter = [row for number, row in enumerate(bank) if number != mine[0]]
    untold = [row for row in rows if (row["sample_id"], row["question_id"]) != (name, bank[mine[0]]["question_id"])]
    quality = {bank[n]["question_id"] for n in mine if bank[n]["tag"] == "PQ"}
    lacking = [row for row in bank if row["question_id"] not in quality]
    for number, (changed, why) in enumerate(
        [
            ({"questions": shorter}, "other questions were answered than the sample's"),
            ({"answers": untold}, "other questions were answered than the sample's"),
            ({"questions": lacking}, "the sample has no question of PQ"),
            ({"answers": [row for row in rows if row["sample_id"] != name]}, None),
        ]
    ):
        out = tmp_path / f"{number}"
        found = world.score(world.files(out, **changed), out / "scores.parquet")
        stand(found, world, name)
        lost = {key[0]: row for key, row in told(found, name).items() if row[1] != "ok"}
        assert lost == dict.fromkeys(five.METRICS, (None, "missing", why or "the sample has no questions"))


# --- tables


def frame_of(found: dict[Key, dict], folder: Path):
    """As the tables read them."""
    shards.write(folder / "frame.parquet", found.values(), records.SCORE)
    return shards.frame(folder / "frame.parquet", records.SCORE)


def asked(found: dict[Key, dict], world: World, part: str):
    known = read_samples({"emu_edit": world.folder / "samples.parquet"})
    query = Query(benchmark="emu_edit", editors=["ft"], pauses=[0], seeds=[0], parts=[part])
    return Board(frame_of(found, world.folder), known).answer(query)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_score_that_is_ok_and_no_number_is_named(world, value):
    key = world.samples[2]["sample_id"], "dino", "source"
    with pytest.raises(MadiError, match=f"^ft/emu_edit/{key[0]}/pause 0/seed 0: a score dino/source that is ok and"):
        asked(world.clean | {key: world.clean[key] | {"value": value}}, world, "dino/source")


def test_a_missing_score_is_no_number_whatever_stands_beside_it(world):
    key = world.samples[2]["sample_id"], "dino", "source"
    units = asked(world.clean | {key: world.clean[key] | {"value": 9.0, "status": "missing"}}, world, "dino/source")
    assert units.missing == {key[0]} and key[0] not in units.samples
    assert dict(zip(units.samples, units.values)) == {
        k[0]: row["value"] for k, row in world.clean.items() if k[1:] == key[1:] and k != key
    }


def test_a_sample_that_is_there_twice_is_named_in_tables(world):
    known = read_samples({"emu_edit": world.folder / "samples.parquet"})
    twice = known.loc[[*known.index, 3]].assign()
    with pytest.raises(MadiError, match=f"^emu_edit: sample {known.sample_id[3]} is there twice"):
        Board(frame_of(world.clean, world.folder), twice)


# --- GenEval


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """Three prompts with two images each in the official layout, half of them wrong: (folder of them, samples)."""
    folder = tmp_path_factory.mktemp("prompts")
    job = DataSlice(set="geneval", name="t", seed=0, size_px=64, source={"reader": "scenes", "samples": 3})
    prepare.run(job, folder / "samples.json", {}, None, {})
    for one in samples.load(folder / "samples.json").values():
        for seed, image in enumerate((one.target(), np.zeros((64, 64, 3), np.uint8))):
            path = folder / f"g/{one.row['origin']['row']:05}/samples/{seed:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(images.encode_png(image))
    return folder


def of_folder(world: World, folder: Path, file: Path, out: Path, layout="plain", benchmark="emu_edit", seeds=1, **more):
    """Scores by sample, seed, metric and against, and the table."""
    rule = more.get("geneval", GenEval())
    facts = dict(
        clip=world.towers[0], dino=world.towers[1], geneval=rule, turns="given", seeds=seeds, batch=4, threads=1
    )
    table = folders.run(folders.Asked(folder, layout, file, benchmark, **facts), out)
    rows = shards.read(out / "scores.parquet", records.SCORE)
    return {(r["sample_id"], r["seed"], r["metric"], r["against"]): r for r in rows}, table.set_index(
        ["metric", "task"]
    )


def of_prompts(world: World, prompts: Path, folder: Path, out: Path, **more):
    return of_folder(world, folder, prompts / "samples.json", out, "geneval", "geneval", 2, **more)


def test_a_prompt_with_fewer_images_than_asked_counts_the_ones_that_are_gone(world, prompts, tmp_path):
    clean, _ = of_prompts(world, prompts, prompts / "g", tmp_path / "c")
    shutil.copytree(prompts / "g", tmp_path / "g")
    (tmp_path / "g/00001/samples/0001.png").unlink()
    found, table = of_prompts(world, prompts, tmp_path / "g", tmp_path / "o")
    [name] = [key for key, one in samples.load(prompts / "samples.json").items() if one.row["origin"]["row"] == 1]
    lost = {key for key, row in found.items() if row["status"] == "missing"}
    assert lost == {key for key in clean if key[:2] == (name, 1)}
    assert {key: found[key] for key in found.keys() - lost} == {key: clean[key] for key in clean.keys() - lost}
    assert table.loc[("geneval_correct", "all"), ["n", "missing"]].tolist() == [3, 1]


def test_official_results_move_to_no_other_image(world, prompts, tmp_path):
    def lines(*more: str) -> Path:
        path = tmp_path / "results.jsonl"
        own = [
            json.dumps({"filename": f"x/{n:05}/samples/{s:04}.png", "correct": n == s})
            for n in range(3)
            for s in (0, 1)
        ]
        path.write_text("\n".join([*own, *more]) + "\n")
        return path

    def scored(path: Path, out: str) -> dict:
        rule = GenEval(detector="results", results=str(path))
        found, _ = of_prompts(world, prompts, prompts / "g", tmp_path / out, geneval=rule)
        return {key: row["value"] for key, row in found.items()}

    clean = scored(lines(), "a")
    other = '{"filename": "x/00099/samples/0000.png", "correct": true}'
    assert scored(lines(other), "b") == clean and sum(v for k, v in clean.items() if k[2] == "geneval_correct") == 2
    for line, said in (
        ('{"filename": "y/00001/samples/0000.png", "correct": true}', "a second line of 00001/samples/0000.png"),
        ('{"filename": "y/00009/samples/0000.png", "correct": "false"}', "no result of an image .*correct is 'false'"),
        ('{"filename": "y/00009/sam', "no result of an image"),
    ):
        with pytest.raises(MadiError, match=f"results.jsonl line 7: {said}"):
            geneval_by.Results(lines(line))
    lines().write_bytes(lines().read_bytes() + b"\xff\xfe{}\n")
    with pytest.raises(MadiError, match="results.jsonl line 7: no result of an image"):
        geneval_by.Results(tmp_path / "results.jsonl")


# --- folders: links, endings, places


@pytest.fixture(scope="module")
def pictures(world, tmp_path_factory):
    """The world's edits as files, and the scores of them."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "p").mkdir()
    for edit in world.edits:
        (folder / f"p/{edit['sample_id']}.png").write_bytes(edit["image"]["bytes"])
    found, _ = of_folder(world, folder / "p", world.folder / "samples.parquet", folder / "o")
    assert {key: row["value"] for key, row in found.items()} == {
        (s, 0, m, a): row["value"] for (s, m, a), row in world.clean.items() if a != "judge"
    }
    return folder / "p", found


def test_links_endings_and_doubles_in_a_folder_move_no_other_score(world, pictures, tmp_path, capsys):
    names = [row["sample_id"] for row in world.samples]
    folder = Path(shutil.copytree(pictures[0], tmp_path / "p"))
    (folder / f"{names[0]}.png").rename(folder / f"{names[0]}.PNG")
    shutil.move(folder / f"{names[1]}.png", tmp_path / "elsewhere")
    (folder / f"{names[1]}.png").symlink_to(tmp_path / "elsewhere")  # a picture all the same
    (folder / f"{names[2]}.png").unlink()
    (folder / f"{names[2]}.png").symlink_to(tmp_path / "nowhere")
    shutil.copy(folder / f"{names[3]}.png", folder / f"{names[3]}.jpg")
    (folder / f"{names[4]}.png").write_bytes(header(9000, 9000))
    (folder / f"{names[5]}.png").unlink()
    (folder / f"{names[5]}.png").mkdir()
    found, table = of_folder(world, folder, world.folder / "samples.parquet", tmp_path / "o")
    gone = {
        names[2]: f"{names[2]}.png is missing",
        names[3]: f"{names[3]}.jpg and {names[3]}.png are both there: one must go",
        names[4]: "image of 9000x9000 px",
        names[5]: f"{names[5]}.png is missing",
    }
    assert {key: row for key, row in found.items() if key[0] not in gone} == {
        key: row for key, row in pictures[1].items() if key[0] not in gone
    }
    lost = {(key[0], row["status"], row["reason"]) for key, row in found.items() if key[0] in gone}
    assert lost == {(name, "missing", f"edit failed: {why}") for name, why in gone.items()}
    assert set(table["missing"].loc[:, "all"]) == {4}
    assert "4 of 8 images are missing or unreadable" in capsys.readouterr().err


def test_a_file_that_may_not_be_read_is_a_failed_edit(tmp_path, monkeypatch):
    (tmp_path / "s.png").write_bytes(b"")

    def locked(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", locked)
    folder = Folder(FolderEditor(path=str(tmp_path)), "0" * 64)
    [result] = folder.edit([Work("e", "b", samples.Sample({"sample_id": "s", "origin": {"row": 0}}, "f", 0), 0, 0)])
    assert (result.image, result.reason) == (None, "s.png cannot be read (Permission denied)")


def test_two_edits_that_would_be_read_from_one_place_are_named(world, prompts, tmp_path):
    """Two prompts of one number; a seed and a sample that is called like one."""
    rows = [
        row | {"origin": row["origin"] | {"row": 0}} for row in shards.stream(prompts / "samples.json", records.SAMPLE)
    ]
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    with pytest.raises(MadiError, match=r"00000/samples/0000\.png: the place of two edits \(.*/0/0 and .*/0/0\)"):
        of_folder(world, prompts / "g", tmp_path / "s.parquet", tmp_path / "o", "geneval", "geneval", 1)
    rows = [world.samples[0] | {"sample_id": name} for name in ("a", "a_seed1")]
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    with pytest.raises(MadiError, match=r"a_seed1\.png: the place of two edits \(a/0/1 and a_seed1/0/0\)"):
        of_folder(world, prompts / "g", tmp_path / "s.parquet", tmp_path / "o", seeds=2)
    assert not (tmp_path / "o/scores.parquet").exists()


def test_a_sample_that_leads_out_of_the_folder_stops_it_with_one_line(world, pictures, tmp_path):
    (tmp_path / "secret.png").write_bytes(world.edits[0]["image"]["bytes"])
    shards.write(tmp_path / "s.parquet", at(world.samples, 0, sample_id="../secret"), records.SAMPLE)
    with pytest.raises(MadiError, match="'../secret' cannot name a file"):
        of_folder(world, pictures[0], tmp_path / "s.parquet", tmp_path / "o")
    assert not (tmp_path / "o/scores.parquet").exists()
