"""The shipped folders: they load in the stock libraries, fit their limits, and are what their provenance says."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from madi.model.prompt import NEGATIVE, PAUSE, content
from madi.pretrain.settings import read
from madi.provenance import PROVENANCE, file_shas
from madi.scenes import samples
from madi.scenes.edits import scene_of
from madi.scenes.parse import read as read_scene
from madi.scenes.render import render
from madi.scenes.splits import until

ROOT = Path(__file__).parents[2]
TINY = ROOT / "assets" / "tiny"
FOLDERS = ("omnigen", "clip", "dino")
MOST = {"omnigen/transformer": 1_900_000, "omnigen/vae": 250_000, "clip": 800_000, "dino": 800_000}


@pytest.fixture(scope="module")
def pipeline():
    from diffusers import OmniGenPipeline

    made = OmniGenPipeline.from_pretrained(TINY / "omnigen")
    made.set_progress_bar_config(disable=True)
    return made


def test_stock_pipeline_makes_an_edit_and_a_picture(pipeline):
    item = next(samples.items("edit", "validation", 1, 0))
    source = Image.fromarray(render(item.sources[0]))
    asked = {"height": 128, "width": 128, "num_inference_steps": 4, "output_type": "np"}
    edit = pipeline(content(item.instruction, 1), [source], generator=torch.Generator().manual_seed(0), **asked).images
    other = pipeline(content("a red circle on grass", 0), generator=torch.Generator().manual_seed(0), **asked).images
    for images in (edit, other):
        assert images.shape == (1, 128, 128, 3)
        assert np.isfinite(images).all() and images.std() > 0.01


def test_negative_prompt_is_short_and_pause_is_one_token(pipeline):
    assert len(pipeline.tokenizer(NEGATIVE).input_ids) <= 80
    assert pipeline.tokenizer(PAUSE).input_ids == [pipeline.tokenizer.convert_tokens_to_ids(PAUSE)]


def test_pause_row_is_the_mean_of_the_others(pipeline):
    rows, pause = pipeline.transformer.embed_tokens.weight.detach(), pipeline.tokenizer.convert_tokens_to_ids(PAUSE)
    others = torch.cat([rows[:pause], rows[pause + 1 :]])
    assert torch.allclose(rows[pause], others.mean(0), atol=1e-5)


@pytest.mark.parametrize("part", MOST)
def test_parameters_stay_below_the_limit(part):
    from safetensors import safe_open

    count = 0
    for path in (TINY / part).glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if not name.endswith(("pos_embed.pos_embed", "attn_mask"))]  # noqa: SIM118
            shapes = [file.get_slice(n).get_shape() for n in names if n != "patch_embedding.pos_embed"]
            count += sum(int(np.prod(shape)) for shape in shapes)
    assert 0 < count <= MOST[part]


def test_all_of_it_fits_fifteen_megabytes():
    assert sum(path.stat().st_size for path in TINY.rglob("*") if path.is_file()) <= 15e6


@pytest.mark.parametrize("folder", FOLDERS)
def test_provenance_holds_the_hashes_of_the_files(folder):
    facts = told_of(folder)
    assert facts["files"] == file_shas(TINY / folder)
    assert facts["quality"] and facts["command"].startswith("madi pretrain ") and facts["versions"]["torch"]


def test_round_trips_keep_the_picture(pipeline):
    from madi.model.codec import Codec

    codec = Codec(pipeline.vae)
    images = np.stack([render(item.target) for item in samples.items("edit", "validation", 16, 5)])
    latents = codec.encode(images)
    assert 0.7 < float(latents.std()) < 1.3
    assert np.abs(codec.decode(latents).astype(int) - images).mean() < 5


def exactly_read(codec, count: int) -> float:
    """Share of validation scenes that the parser reads back from their round trips without a slip."""
    rng = Random("exactly")
    found = [until(lambda: (scene_of(rng), None), "validation")[0] for _ in range(count)]
    trips = codec.decode(codec.encode(np.stack([render(scene) for scene in found])))
    return sum(read_scene(trip).scene == scene for scene, trip in zip(found, trips)) / count


def test_the_parser_reads_round_trips(pipeline):
    from madi.model.codec import Codec

    assert exactly_read(Codec(pipeline.vae), 100) >= 0.97


@pytest.mark.slow
def test_the_parser_reads_all_but_few_of_many_round_trips(pipeline):
    from madi.model.codec import Codec

    assert exactly_read(Codec(pipeline.vae), 1000) >= 0.99


def told_of(folder: str) -> dict:
    """What a folder's provenance says."""
    return json.loads((TINY / folder / PROVENANCE).read_text())


@pytest.mark.parametrize("folder, part", [("omnigen", "base"), ("clip", "clip"), ("dino", "vit")])
def test_the_weights_are_those_of_the_configuration(folder, part):
    own = getattr(read(ROOT / "config/pretrain.yaml"), part)
    assert type(own).model_validate(told_of(folder)["settings"]) == own


def test_the_base_follows_and_over_edits():
    """Held out, of 10: follows at least 6.5 of what is asked, and leaves fine-tuning something to mend."""
    follows, keeps, _ = told_of("omnigen")["quality"]["edits"]["all"]
    assert follows >= 6.5 and 6.5 <= keeps <= 8.5


@pytest.mark.slow
def test_the_base_is_as_good_as_its_provenance_says(tmp_path):
    from madi.model import checkpoint
    from madi.pretrain import quality

    own = read(ROOT / "config/pretrain.yaml").base
    found = quality.edits(checkpoint.load(TINY / "omnigen"), own.sample, own.held_out, 0, sheet=tmp_path / "sheet.jpg")
    scores = [found["all"][name] for name in ("if", "idp", "pq")]
    assert scores == pytest.approx(told_of("omnigen")["quality"]["edits"]["all"], abs=0.3)


def test_clip_is_as_good_as_its_provenance_says():
    from madi.pretrain import clip

    told = told_of("clip")["quality"]
    held = clip.quality(TINY / "clip", read(ROOT / "config/pretrain.yaml"), n=96)
    for name in ("caption_among_16", "clip_dir_sign"):
        assert abs(held[name] - told[name]) < 0.15  # three standard errors of so small a sample
    assert held["clip_dir_sign"] >= 0.92 and told["clip_dir_sign"] >= 0.95 and told["caption_among_16"] >= 0.85
    assert min(told["clip_dir_sign_by_task"].values()) >= 0.85


def test_vit_falls_with_the_share_changed():
    from madi.pretrain import vit

    assert vit.quality(TINY / "dino", read(ROOT / "config/pretrain.yaml"), n=120)["spearman"] <= -0.65
    told = told_of("dino")["quality"]
    assert told["spearman"] <= -0.70  # pairs that nothing changed among them
    assert told["spearman_changed"] <= -0.60  # without them the bar of -0.70 is missed
