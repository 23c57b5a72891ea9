"""Adapters as they are published: the official repository's names, and peft's on stock diffusers, both ways."""

import copy
import json

import official_omnigen as official
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from madi.cli import main
from madi.errors import MadiError
from madi.model import checkpoint, lora

RANK, WIDTH = 3, 32


def drawn(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.1


def official_adapter(folder, layers=2, rows=3 * WIDTH, extra=(), **changes):
    """What `model.save_pretrained` of the official training script writes for target_modules qkv_proj and o_proj."""
    folder.mkdir(parents=True)
    state, seed = {}, 0
    for layer in range(layers):
        for name, out in (("self_attn.qkv_proj", rows), ("self_attn.o_proj", WIDTH), *extra):
            stem = f"base_model.model.llm.layers.{layer}.{name}"
            state[f"{stem}.lora_A.weight"] = drawn(RANK, WIDTH, seed=(seed := seed + 1))
            state[f"{stem}.lora_B.weight"] = drawn(out, RANK, seed=(seed := seed + 1))
    save_file(state, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": ["qkv_proj", "o_proj"]}
    config |= {"auto_mapping": {"base_model_class": "OmniGen", "parent_library": "OmniGen.model"}}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"init_lora_weights": "gaussian"} | changes))
    return folder, state


def merged_by_hand(state, before, scale=1.0):
    """The official tensors with every adapter added: W + scale B A."""
    after = dict(before)
    for name in state:
        if name.endswith("lora_A.weight"):
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            b = state[name.replace("lora_A", "lora_B")]
            after[f"{module}.weight"] = before[f"{module}.weight"] + scale * b @ state[name]
    return after


@pytest.mark.parametrize(
    ("changes", "extra", "scale"),
    [
        ({}, (), 1.0),
        ({"lora_alpha": 6}, (), 2.0),
        ({"target_modules": r".*\.(qkv_proj|o_proj)"}, (), 1.0),
        ({"target_modules": ["qkv_proj", "o_proj", "gate_up_proj"]}, (("mlp.gate_up_proj", 96),), 1.0),
        ({"alpha_pattern": {"qkv_proj": 6, "o_proj": 6}}, (), 2.0),
    ],
)
def test_an_official_adapter_merges_to_the_official_product(tmp_path, changes, extra, scale):
    """A is shared by queries, keys and values and B is split by rows, which is exact."""
    base = official.folder(tmp_path / "base", pause=True)
    folder, state = official_adapter(tmp_path / "lora", extra=extra, **changes)
    weights = checkpoint.load(base)
    lora.merge(lora.load(folder, weights.packed.stock))
    made = official.state(weights.packed.stock)
    before = load_file(base / "model.safetensors")
    for name, value in merged_by_hand(state, before, scale).items():
        assert torch.allclose(made[name], value, atol=1e-6), name
    assert any(not torch.equal(made[name], before[name]) for name in before)


def test_export_merges_an_official_adapter(tmp_path):
    base, (folder, _) = official.folder(tmp_path / "base"), official_adapter(tmp_path / "lora")
    words = ["export", "--weights", base, "--lora", folder, "--merge", "--out", tmp_path / "out"]
    assert main(list(map(str, words))) == 0
    weights = checkpoint.load(base)
    lora.merge(lora.load(folder, weights.packed.stock))
    made = checkpoint.load(tmp_path / "out").packed.stock.state_dict()
    assert all(torch.equal(value, made[name]) for name, value in weights.packed.stock.state_dict().items())


def test_an_official_adapter_of_another_model_is_named(tmp_path):
    weights = checkpoint.load(official.folder(tmp_path / "base"))
    wide, _ = official_adapter(tmp_path / "wide", rows=192)
    with pytest.raises(MadiError, match=r"llm.layers.0.self_attn.qkv_proj.lora_B.weight: 192 rows; expected 96"):
        lora.load(wide, copy.deepcopy(weights.packed.stock))
    long, _ = official_adapter(tmp_path / "long", layers=3)
    with pytest.raises(MadiError, match=r"differ from adapter_config.json .*layers.2"):
        lora.load(long, weights.packed.stock)


@pytest.mark.parametrize("break_it", ["nan", "pickle", "pointer"])
def test_adapters_that_are_no_weights_are_refused(tmp_path, break_it):
    weights = checkpoint.load(official.folder(tmp_path / "base"))
    folder, state = official_adapter(tmp_path / "lora")
    file = folder / "adapter_model.safetensors"
    name = next(iter(state))
    if break_it == "nan":
        save_file(state | {name: state[name] * float("nan")}, file)
    elif break_it == "pickle":
        file.rename(folder / "adapter_model.bin")
    else:
        file.write_text("version https://git-lfs.github.com/spec/v1\n")
    said = {"nan": "NaN", "pickle": "a pickle, which is never read", "pointer": "git-lfs pointer"}[break_it]
    with pytest.raises(MadiError, match=said):
        lora.load(folder, weights.packed.stock)


def test_what_peft_saves_on_the_stock_transformer_is_read(tmp_path):
    weights = checkpoint.load(official.folder(tmp_path / "base"))
    tuned = get_peft_model(copy.deepcopy(weights.packed.stock), LoraConfig(r=2, target_modules=["to_q", "to_out.0"]))
    for name, value in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    tuned.save_pretrained(tmp_path / "peft")
    wanted = tuned.merge_and_unload().state_dict()
    lora.merge(lora.load(tmp_path / "peft", weights.packed.stock))
    assert all(torch.allclose(wanted[n], v, atol=1e-6) for n, v in weights.packed.stock.state_dict().items())


def test_ours_is_read_by_peft_on_the_stock_transformer(tmp_path):
    weights = checkpoint.load(official.folder(tmp_path / "base"))
    plain = copy.deepcopy(weights.packed.stock)
    lora.inject(weights.packed.stock, 2, 4)
    for name, value in weights.packed.stock.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    lora.save(tmp_path / "ours", weights.packed.stock)
    wanted = lora.merge(weights.packed.stock).state_dict()
    made = PeftModel.from_pretrained(plain, tmp_path / "ours").merge_and_unload().state_dict()
    assert all(torch.allclose(wanted[name], value, atol=1e-6) for name, value in made.items())
