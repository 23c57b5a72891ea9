"""A saved folder is stock's: it loads there, edits alike, and a wrong one is named in one line."""

import json

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, OmniGenPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

from madi.errors import MadiError
from madi.model import checkpoint
from madi.model.codec import Codec
from madi.model.prompt import PAUSE, content
from madi.model.sampler import Sampler


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, tiny_weights):
    checkpoint.save(tmp_path / "weights", tiny_weights(), {"pool": torch.arange(6.0).reshape(2, 3)})
    return tmp_path / "weights"


@pytest.mark.parametrize("edit", [True, False], ids=["edit", "t2i"])
def test_three_branch_guidance_equals_the_stock_pipeline(folder, edit):
    stock = OmniGenPipeline.from_pretrained(folder)
    stock.set_progress_bar_config(disable=True)
    ours = checkpoint.load(folder)
    noise, source = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)), picture(0)
    words = "a long instruction, so that the conditional prompt is the longest of the three branches " * 5
    theirs = stock(
        prompt=[content(words, int(edit), pauses=3)],
        input_images=[[Image.fromarray(source)]] if edit else None,
        height=64,
        width=64,
        num_inference_steps=4,
        guidance_scale=2.5,
        img_guidance_scale=1.5,
        latents=noise,
        output_type="latent",
    ).images
    images = [ours.codec.encode(source[None])[0]] if edit else []
    made = Sampler(ours.packed, 4, 2.5, 1.5)([ours.tokens.branches(words, images, 3)], noise)
    assert (made - theirs).abs().max() < 1e-4
    assert (made - noise).abs().max() > 0.1


def test_a_saved_folder_holds_the_same_numbers(folder, tiny_weights):
    before, after = tiny_weights(), checkpoint.load(folder)
    for name, value in before.packed.state_dict().items():
        assert torch.equal(value, after.packed.state_dict()[name]), name
    assert before.tokens.prompt("a red circle").ids == after.tokens.prompt("a red circle").ids
    assert torch.equal(load_file(folder / checkpoint.MASK_TOKENS)["pool"], torch.arange(6.0).reshape(2, 3))


def test_equal_weights_give_equal_files_wherever_they_were_loaded_from(folder, tmp_path):
    one, two = tmp_path / "one", tmp_path / "elsewhere" / "two"
    checkpoint.save(one, checkpoint.load(folder))
    checkpoint.save(two, checkpoint.load(one))
    held = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in (one, two)]
    assert held[0] == held[1]


def test_a_machine_without_network_saves_the_same_files(folder, tmp_path, monkeypatch):
    """A cluster's jobs are told that there is none."""
    for place, offline in (("one", False), ("two", True)):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        checkpoint.save(tmp_path / place, checkpoint.load(folder))
    name = "tokenizer/tokenizer_config.json"
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_saving_replaces_an_older_folder_as_a_whole(folder, tiny_weights):
    checkpoint.save(folder, tiny_weights(seed=1))
    assert not (folder / checkpoint.MASK_TOKENS).exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_tokenizer_without_pauses_gets_one_at_the_mean_embedding(tmp_path, tiny_weights):
    checkpoint.save(tmp_path / "w", tiny_weights(pause=False))
    weights = checkpoint.load(tmp_path / "w")
    used = len(weights.tokens.tokenizer) - 1
    rows = weights.packed.stock.embed_tokens.weight
    assert weights.tokens.pause_id == used
    assert torch.allclose(rows[used], rows[:used].mean(0))
    assert weights.tokens.prompt("x", pauses=3).ids.count(used) == 3
    assert PAUSE in weights.tokens.tokenizer.get_vocab()


def test_no_room_for_the_pause_token_is_named(tmp_path, tiny_weights):
    weights = tiny_weights(pause=False)
    weights = tiny_weights(pause=False, vocab_size=len(weights.tokens.tokenizer))
    checkpoint.save(tmp_path / "w", weights)
    with pytest.raises(MadiError, match="vocab_size"):
        checkpoint.load(tmp_path / "w")


def test_another_width_is_named_with_its_first_tensors(folder):
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_size": 64}))
    with pytest.raises(MadiError, match=r"transformer: \d+ tensors differ.*\d+x32.* for .*64") as caught:
        checkpoint.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["model_index.json", "vae", "scheduler", "tokenizer", "transformer"])
def test_a_missing_part_is_named(folder, part):
    (folder / part).rename(folder / "elsewhere")
    with pytest.raises(MadiError, match=f"no {part}"):
        checkpoint.load(folder)


def test_a_broken_tokenizer_is_named(folder):
    (folder / "tokenizer" / "tokenizer.json").write_text("{")
    with pytest.raises(MadiError, match="tokenizer.json: cannot be read"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    "file, text",
    [
        ("transformer/config.json", "{"),
        ("vae/config.json", "{"),
        ("transformer/config.json", '{"hidden_size": 33}'),
        ("transformer/config.json", '{"rope_scaling": null}'),
        ("model_index.json", "{}"),
        ("model_index.json", "[]"),
        ("scheduler/scheduler_config.json", "[]"),
    ],
)
def test_a_broken_description_is_one_line_with_its_file(folder, file, text):
    (folder / file).write_text(text)
    with pytest.raises(MadiError, match=file) as caught:
        checkpoint.load(folder)
    assert "\n" not in str(caught.value)


def test_another_schedule_is_named(folder):
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shift": 3.0}))
    with pytest.raises(MadiError, match="shift is 3"):
        checkpoint.load(folder)


@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_a_truncated_weights_file_is_named(folder, part):
    path = next((folder / part).glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(MadiError, match=path.name):
        checkpoint.load(folder)


def test_sharded_weights_give_the_same_numbers(folder, tmp_path):
    before = checkpoint.load(folder)
    part = folder / "transformer"
    for path in part.glob("*.safetensors"):
        path.unlink()
    before.packed.stock.save_pretrained(part, max_shard_size="20KB")
    assert len(list(part.glob("*-of-*.safetensors"))) > 2 and list(part.glob("*.index.json"))
    after = checkpoint.load(folder)
    for name, value in before.packed.state_dict().items():
        assert torch.equal(value, after.packed.state_dict()[name]), name
    next(part.glob("*-00002-of-*.safetensors")).unlink()
    with pytest.raises(MadiError, match="00002-of-.* a shard that the index lists is missing"):
        checkpoint.load(folder)


@pytest.mark.parametrize("edit", [True, False], ids=["edit", "t2i"])
def test_images_after_twenty_guided_steps_equal_the_stock_pipelines(folder, edit):
    stock, ours = OmniGenPipeline.from_pretrained(folder), checkpoint.load(folder)
    stock.set_progress_bar_config(disable=True)
    noise, source = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2)), picture(1)
    words = "a long instruction, so that the conditional prompt is the longest of the three branches " * 5
    given = dict(num_inference_steps=20, guidance_scale=2.5, img_guidance_scale=1.5, height=64, width=64)
    given |= dict(input_images=[[Image.fromarray(source)]] if edit else None, latents=noise, output_type="pt")
    theirs = stock(prompt=[content(words, int(edit))], **given).images
    latents = [ours.codec.encode(source[None])[0]] if edit else []
    made = Sampler(ours.packed, 20, 2.5, 1.5)([ours.tokens.branches(words, latents)], noise)
    with torch.no_grad():
        pixels = ours.codec.vae.decode(made / ours.codec.vae.config.scaling_factor, return_dict=False)[0]
    assert ((pixels / 2 + 0.5).clamp(0, 1) - theirs).abs().max() < 2e-4


def test_numbers_are_read_as_they_are_stored(tmp_path, tiny_weights):
    weights = tiny_weights()
    torch.nn.Module.to(weights.packed.stock, torch.bfloat16)
    checkpoint.save(tmp_path / "half", weights)
    assert checkpoint.load(tmp_path / "half").packed.stock.dtype == torch.bfloat16
    assert checkpoint.load(tmp_path / "half", dtype="float32").packed.stock.dtype == torch.float32


def test_a_vae_under_older_names_loads_as_stock_loads_it(tmp_path, tiny_weights):
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    vae = AutoencoderKL(block_out_channels=(4,), norm_num_groups=2, latent_channels=4)  # with attention
    vae.save_pretrained(tmp_path / "vae")
    file = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    renamed = {}
    for name, value in state.items():
        for new, former in old.items():
            name = name.replace(f".{new}.", f".{former}.") if "attentions" in name else name
        renamed[name] = value
    assert renamed.keys() != state.keys()
    save_file(renamed, file, {"format": "pt"})
    loaded = Codec.load(tmp_path).vae.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


@pytest.mark.parametrize("name", ["model.safetensors", "diffusion_pytorch_model-00001-of-00002.safetensors"])
def test_tensors_that_diffusers_would_not_open_are_named(tmp_path, tiny_weights, name):
    checkpoint.save(tmp_path / "base", tiny_weights())
    part = tmp_path / "base" / "transformer"
    (part / "diffusion_pytorch_model.safetensors").rename(part / name)
    with pytest.raises(MadiError, match=f"{name}, but no file that diffusers opens"):
        checkpoint.load(tmp_path / "base")
