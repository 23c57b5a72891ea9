"""The official repository's folder gives the same model as diffusers' own."""

import json

import pytest
import torch
from official_omnigen import BACK
from safetensors.torch import load_file, save_file

from madi.errors import MadiError
from madi.model import checkpoint, official


@pytest.fixture
def folder(tmp_path, tiny_weights):
    """The tiny weights as the official repository lays them out."""
    checkpoint.save(tmp_path / "stock", tiny_weights())
    state = load_file(next((tmp_path / "stock" / "transformer").glob("*.safetensors")))
    out = {}
    for name, value in state.items():
        old = next(theirs + name[len(ours) :] for ours, theirs in BACK.items() if name.startswith(ours))
        out[old.replace("self_attn.to_out.0.", "self_attn.o_proj.")] = value
    for name in [name for name in out if name.endswith("to_q.weight")]:
        stem = name.removesuffix("to_q.weight")
        out[f"{stem}qkv_proj.weight"] = torch.cat([out.pop(f"{stem}to_{to}.weight") for to in "qkv"])
    told = json.loads((tmp_path / "stock" / "transformer" / "config.json").read_text())
    theirs = {"num_layers": "num_hidden_layers", "rope_base": "rope_theta"}
    config = {theirs.get(name, name): value for name, value in told.items() if not name.startswith("_")}
    for name in ("in_channels", "patch_size", "pos_embed_max_size", "time_step_dim"):
        config.pop(name)  # the official config is a Phi-3's
    made = tmp_path / "official"
    (tmp_path / "stock" / "tokenizer").rename(made)
    (tmp_path / "stock" / "vae").rename(made / "vae")
    (made / "config.json").write_text(json.dumps(config))
    save_file(out, made / "model.safetensors")
    return made


def test_it_gives_the_same_weights(folder, tiny_weights):
    wanted, made = tiny_weights(), checkpoint.load(folder)
    assert {n: tuple(v.shape) for n, v in made.packed.state_dict().items()} == {
        n: tuple(v.shape) for n, v in wanted.packed.state_dict().items()
    }
    for name, value in wanted.packed.state_dict().items():
        assert torch.equal(value, made.packed.state_dict()[name]), name
    x, t = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.3])
    with torch.no_grad():
        one, two = (w.packed(x, t, [w.tokens.prompt("make it red")]) for w in (wanted, made))
    assert torch.equal(one, two)


def test_a_tensor_too_many_is_named(folder):
    state = load_file(folder / "model.safetensors") | {"llm.lm_head.weight": torch.zeros(3)}
    save_file(state, folder / "model.safetensors")
    with pytest.raises(MadiError, match=r"1 tensor differs from config.json .*llm.lm_head.weight 3 for none"):
        checkpoint.load(folder)


def test_another_model_is_refused(folder):
    save_file({"weight": torch.zeros(3)}, folder / "model.safetensors")
    with pytest.raises(MadiError, match="expected OmniGen's own checkpoint"):
        checkpoint.load(folder)


@pytest.mark.parametrize("part", ["config.json", "tokenizer.json", "vae"])
def test_a_missing_part_is_named(folder, part):
    (folder / part).rename(folder / "elsewhere")
    with pytest.raises(MadiError, match=f"no {part}"):
        checkpoint.load(folder)


def test_queries_keys_and_values_are_split_by_their_own_heights():
    joined = torch.arange(8.0)[:, None].expand(8, 2)  # 4 rows of queries, 2 of keys, 2 of values
    made = official.renamed({"llm.layers.3.self_attn.qkv_proj.weight": joined}, 4, 2)
    rows = {name.split("to_")[1]: value[:, 0].tolist() for name, value in made.items()}
    assert rows == {"q.weight": [0, 1, 2, 3], "k.weight": [4, 5], "v.weight": [6, 7]}
    assert all(name.startswith("layers.3.self_attn.to_") for name in made)
