"""The score job's similarities against the definitions of the scripts that introduced them, on the same weights.

The references below take one picture at a time, in PIL, torchvision and scipy, and nothing of `madi.score`:

- MagicBrush's script: CLIP-I and DINO as 1 - scipy's cosine distance of what the towers give for the edit and its
  reference; CLIP-T the same of the edit and a caption; L1 and L2 as torch's losses on RGB in 0..1, the edit first
  resized to the reference by PIL.
- InstructPix2Pix: CLIP-Dir as the cosine of the difference of the pictures' and that of the captions' embeddings, each
  of unit length first.

All values are equal at any size of edit, source and target: each picture goes through a tower's own preprocessing, and
the edit is resized to its reference for L1 and L2 alone. Two things are otherwise on purpose, and each has its test:

- CLIP-Dir sees pictures as the other CLIP numbers do (short side, centre crop), where InstructPix2Pix squashes them to
  a square, unsmoothed: equal for pictures of the tower's own size, or from a model of `more` with `resize: squash`;
- captions that say the same have no direction: excluded and counted, where the script's cosine gives a 0.
"""

import json
import shutil

import numpy as np
import open_clip
import pytest
import timm
import tiny_towers as tiny
import torch
from PIL import Image
from scipy.spatial.distance import cosine
from torchvision import transforms

from madi import images, records, shards
from madi.config import JudgeSlice, ScoreSlice
from madi.score import shard

SIDE, DINO_SIDE, WHOLE = 32, 32, 36  # px: the towers' own, and what DINO's centre crop is cut from (32 / 0.875)
MEAN, STD = (0.5,) * 3, (0.25,) * 3  # as in `tiny_towers`
APART = 1e-5
# Height and width of source and target.
SIZES = [((64, 64), (64, 64)), ((37, 91), (37, 91)), ((91, 37), (45, 60)), ((33, 32), (32, 33)), ((32, 32), (32, 32)),
         ((17, 29), (50, 50)), ((120, 77), (77, 120))]  # fmt: skip
CAPTIONS = [("a red circle", "a blue circle"), ("grass", "the sky"), ("a star", "two star"), ("a red star", "a star"),
            ("blue", "red"), ("a circle", "a circle and a square"), ("the grass", "the grass")]  # fmt: skip
LOCAL = "a square on the grass"


def stock(size: int, crop: int) -> transforms.Compose:
    """The stock transform: short side to `size`, the middle, 0..1, normalised."""
    bicubic = transforms.InterpolationMode.BICUBIC
    steps = [transforms.Resize(size, bicubic), transforms.CenterCrop(crop), transforms.ToTensor()]
    return transforms.Compose([*steps, transforms.Normalize(MEAN, STD)])


class Official:
    """The scripts' numbers of one edit."""

    def __init__(self, clip, dino):
        self.clip, _ = open_clip.create_model_from_pretrained(f"local-dir:{clip}", precision="fp32")
        self.tokens = open_clip.get_tokenizer(f"local-dir:{clip}")
        self.dino = timm.create_model(f"local-dir:{dino}", pretrained=True, num_classes=0)
        self.clip.eval(), self.dino.eval()

    @torch.inference_mode()
    def f(self, image: Image.Image) -> torch.Tensor:
        return self.clip.encode_image(stock(SIDE, SIDE)(image)[None])[0]

    @torch.inference_mode()
    def g(self, caption: str) -> torch.Tensor:
        return self.clip.encode_text(self.tokens([caption]))[0]

    @torch.inference_mode()
    def cls(self, image: Image.Image) -> torch.Tensor:
        return self.dino(stock(WHOLE, DINO_SIDE)(image)[None])[0]

    def against(self, edit: Image.Image, reference: Image.Image) -> dict[str, float]:
        """MagicBrush's four of an edit and a reference."""
        fitted = edit if edit.size == reference.size else edit.resize(reference.size)
        a, b = (transforms.ToTensor()(one) for one in (fitted, reference))
        return {
            "clip_i": 1 - cosine(self.f(edit), self.f(reference)),
            "dino": 1 - cosine(self.cls(edit), self.cls(reference)),
            "l1": float(torch.nn.L1Loss()(a, b)),
            "l2": float(torch.nn.MSELoss()(a, b)),
        }

    def clip_t(self, edit: Image.Image, caption: str) -> float:
        return 1 - cosine(self.f(edit), self.g(caption))

    def clip_dir(self, source: Image.Image, edit: Image.Image, before: str, after: str, see=None) -> float:
        see = see or self.f
        towards = unit(see(edit)) - unit(see(source)), unit(self.g(after)) - unit(self.g(before))
        return float(torch.nn.functional.cosine_similarity(*towards, dim=0))

    @torch.inference_mode()
    def squashed(self, image: Image.Image) -> torch.Tensor:
        """As InstructPix2Pix sees a picture."""
        pixels = torch.nn.functional.interpolate(
            transforms.ToTensor()(image)[None], size=(SIDE, SIDE), mode="bicubic", align_corners=False
        )
        return self.clip.encode_image(transforms.Normalize(MEAN, STD)(pixels))[0]


def unit(row: torch.Tensor) -> torch.Tensor:
    return row / row.norm()


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """Blotches with noise on them."""
    rng = np.random.default_rng(seed)
    blotches = images.resize(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8), height, width).astype(int)
    return (blotches + rng.integers(-25, 26, blotches.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    """A CLIP, and a ViT with the facts that timm publishes of DINO's: tag dino, crop_pct 0.9."""
    folder = tmp_path_factory.mktemp("towers")
    clip, dino = tiny.clip_folder(folder / "clip"), tiny.dino_folder(folder / "dino")
    published = timm.models.get_pretrained_cfg("vit_small_patch16_224.dino")
    config = json.loads((dino / "config.json").read_text())
    config["pretrained_cfg"] |= {"tag": published.tag, "crop_pct": published.crop_pct}
    (dino / "config.json").write_text(json.dumps(config))
    return clip, dino


@pytest.mark.parametrize(
    "tag, crop_pct, shown",
    [("dino", 0.9, "resize=36-bicubic crop=32"), ("lvd142m", 1.0, "resize=32-bicubic crop=32"), ("", 0.9, "resize=35")],
)
def test_the_vits_of_dinos_authors_are_shown_pictures_by_its_protocol(tag, crop_pct, shown, towers, tmp_path):
    """224 of 256 px (here 32 of 36), not timm's 224 of 248; other ViTs as their folder says."""
    from madi.score.dino import Dino

    folder = shutil.copytree(towers[1], tmp_path / "vit")
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"] |= {"tag": tag, "crop_pct": crop_pct}
    (folder / "config.json").write_text(json.dumps(config))
    dino = Dino(folder)
    assert dino.transform.transforms[0].size == int(shown.split("-")[0].split("=")[1])
    assert shown in dino.name


@pytest.fixture(scope="module")
def official(towers):
    return Official(*towers)


def sample_row(number: int) -> dict:
    source, target = SIZES[number]
    return {
        "sample_id": f"s{number}", "set": "magicbrush", "split": "bench", "group_id": f"s{number}",
        "sources": [images.picture(picture(number, *source))], "target": images.picture(picture(50 + number, *target)),
        "instruction": "edit", "source_caption": CAPTIONS[number][0], "target_caption": CAPTIONS[number][1],
        "target_caption_local": LOCAL, "phash": "", "sha256": "", "origin": {"file": "f", "row": 0, "revision": ""},
    }  # fmt: skip


def edit_row(number: int, image: np.ndarray) -> dict:
    row = {"editor": "e", "benchmark": "magicbrush", "sample_id": f"s{number}", "pause": 0, "seed": 0, "status": "ok"}
    row |= {"prompt": "", "tokens": 0, "rope": "none", "sampler_steps": 0, "guidance_text": 0.0, "config_sha": "0"}
    row |= {"guidance_image": 0.0, "height": image.shape[0], "width": image.shape[1], "image": images.picture(image)}
    return row | {"edit_id": records.edit_id(row)}


def scored(towers, folder, edits: list[np.ndarray]) -> list[dict]:
    """The score job's rows by (metric, against), an edit after the other; edit n is of sample n."""
    shards.write(folder / "samples.parquet", map(sample_row, range(len(edits))), records.SAMPLE)
    shards.write(folder / "edits.parquet", map(edit_row, range(len(edits)), edits), records.EDIT)
    shards.write(folder / "answers.parquet", [], records.ANSWER)
    asked = JudgeSlice(job="e", judge="oracle", protocols={}, rollouts=1)
    models = {"clip": str(towers[0]), "dino": str(towers[1])}
    models |= {"more": {"ip2p": {"kind": "clip", "folder": str(towers[0]), "resize": "squash"}}}
    job = ScoreSlice(job="e", name="t", threads=1, judge=asked, batch=4, **models)
    files = {"magicbrush": folder / "samples.parquet"}
    shard.run(job, folder / "edits.parquet", files, {}, folder / "answers.parquet", folder / "scores.parquet")
    found: dict[str, dict] = {}
    for row in shards.read(folder / "scores.parquet", records.SCORE):
        found.setdefault(row["sample_id"], {})[row["metric"], row["against"]] = row
    return list(found.values())


def shown(record: dict) -> Image.Image:
    return Image.fromarray(images.decode(record["bytes"], "made"))


@pytest.fixture(scope="module")
def kept(towers, tmp_path_factory):
    """Edits of their sources' sizes, and their scores."""
    edits = [picture(100 + number, *source) for number, (source, _) in enumerate(SIZES)]
    return edits, scored(towers, tmp_path_factory.mktemp("kept"), edits)


@pytest.mark.parametrize("number", range(len(SIZES)))
def test_magicbrushs_numbers_against_source_and_target(number, official, kept):
    edits, found = kept
    edit, sample = Image.fromarray(edits[number]), sample_row(number)
    for against, reference in (("source", shown(sample["sources"][0])), ("target", shown(sample["target"]))):
        wanted = official.against(edit, reference)
        assert {name: found[number][name, against]["value"] for name in wanted} == pytest.approx(wanted, abs=APART)
        assert wanted["clip_i"] < 1 - 10 * APART and wanted["dino"] < 1 - 10 * APART
    for against, caption in (("global_caption", CAPTIONS[number][1]), ("local_caption", LOCAL)):
        value = found[number]["clip_t", against]["value"]
        assert value == pytest.approx(official.clip_t(edit, caption), abs=APART)


@pytest.mark.parametrize("number", range(len(SIZES)))
def test_instruct_pix2pixs_direction_and_none_where_captions_say_the_same(number, official, kept):
    edits, found = kept
    edit, source = Image.fromarray(edits[number]), shown(sample_row(number)["sources"][0])
    before, after = CAPTIONS[number]
    row = found[number]["clip_dir", "source"]
    wanted = official.clip_dir(source, edit, before, after)
    if before == after:
        assert (row["value"], row["status"], row["reason"]) == (None, "excluded", "identical captions") and wanted == 0
        return
    assert row["value"] == pytest.approx(wanted, abs=APART) and abs(wanted) > 10 * APART
    squashed = official.clip_dir(source, edit, before, after, official.squashed)
    asked = found[number]["clip_dir_ip2p", "source"]
    assert asked["value"] == pytest.approx(squashed, abs=APART) and "resize=32-bicubic-squash" in asked["backend"]
    assert (row["value"] == pytest.approx(squashed, abs=APART)) == (SIZES[number][0] == (SIDE, SIDE))


def test_an_edit_of_another_size_goes_through_the_towers_as_it_is(towers, official, tmp_path):
    """Nothing is resized before CLIP and DINO, which would move a cosine by more than an edit does."""
    edits = [picture(200 + number, height + 9, 2 * width - 5) for number, ((height, width), _) in enumerate(SIZES)]
    for number, found in enumerate(scored(towers, tmp_path, edits)):
        sample, raw = sample_row(number), Image.fromarray(edits[number])
        source, target = shown(sample["sources"][0]), shown(sample["target"])
        for against, reference in (("source", source), ("target", target)):
            wanted = official.against(raw, reference)
            assert {name: found[name, against]["value"] for name in wanted} == pytest.approx(wanted, abs=APART)
        assert found["clip_t", "local_caption"]["value"] == pytest.approx(official.clip_t(raw, LOCAL), abs=APART)
        before, after = CAPTIONS[number]
        if before != after:
            wanted = official.clip_dir(source, raw, before, after)
            assert found["clip_dir", "source"]["value"] == pytest.approx(wanted, abs=APART)
        resized = official.against(raw.resize(source.size), source)
        assert abs(found["clip_i", "source"]["value"] - resized["clip_i"]) > APART
