"""Adapters in peft's own files: read by peft, merged into plain stock, refused where they do not fit."""

import copy
import json

import pytest
import torch
from peft import LoraConfig, PeftModel, inject_adapter_in_model

from madi.errors import MadiError
from madi.model import lora
from madi.model.sampler import noise_for


def velocity(weights):
    noise, source = noise_for(0, "x", (1, 4, 8, 8)), noise_for(0, "y", (4, 8, 8))
    with torch.no_grad():
        return weights.packed(noise, torch.tensor([0.4]), [weights.tokens.prompt("make it red", [source], (), 2)])


@pytest.fixture
def adapted(tiny_weights, tmp_path):
    """Weights with adapters that change what they give, and the folder these were saved in."""
    weights = tiny_weights()
    lora.inject(weights.packed.stock, 4, 8)
    torch.manual_seed(1)
    for name, value in weights.packed.stock.named_parameters():
        assert value.requires_grad == ("lora_" in name)
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.2)
    lora.save(tmp_path / "lora", weights.packed.stock)
    return weights, tmp_path / "lora"


def test_loaded_adapters_give_the_same_and_change_the_base(adapted, tiny_weights):
    weights, folder = adapted
    base = tiny_weights()
    plain = velocity(base)
    lora.load(folder, base.packed.stock)
    assert torch.equal(velocity(base), velocity(weights))
    assert (velocity(base) - plain).abs().max() > 1e-2


def test_merged_adapters_give_the_same_under_stock_names(adapted, tiny_weights):
    weights, _ = adapted
    wanted, names = velocity(weights), set(tiny_weights().packed.stock.state_dict())
    lora.merge(weights.packed.stock)
    assert set(weights.packed.stock.state_dict()) == names
    assert (velocity(weights) - wanted).abs().max() < 1e-5


def test_peft_itself_reads_the_folder(adapted, tiny_weights):
    weights, folder = adapted
    base = tiny_weights()
    merged = PeftModel.from_pretrained(copy.deepcopy(base.packed.stock), folder).merge_and_unload()
    base.packed.stock.load_state_dict(merged.state_dict())
    assert (velocity(base) - velocity(weights)).abs().max() < 1e-5


def test_adapters_of_another_width_are_named_with_their_tensors(adapted, tiny_weights):
    _, folder = adapted
    told = json.loads((folder / lora.CONFIG).read_text()) | {"r": 2}
    (folder / lora.CONFIG).write_text(json.dumps(told))
    with pytest.raises(MadiError, match=r"tensors differ from adapter_config.json .*lora_A.* 4x32 for 2x32"):
        lora.load(folder, tiny_weights().packed.stock)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target_modules": None}, "target_modules is None"),
        ({"peft_type": "LOHA"}, "peft_type is LOHA; expected LORA"),
        ({"r": "four"}, "peft cannot use it"),
        ({"target_modules": ["nowhere"]}, "peft cannot use it"),
        ({"unheard_of": 1}, None),
    ],
)
def test_a_config_that_cannot_be_used_is_named_with_its_file(adapted, tiny_weights, change, said, recwarn):
    _, folder = adapted
    told = json.loads((folder / lora.CONFIG).read_text()) | change
    (folder / lora.CONFIG).write_text(json.dumps(told))
    if said is None:  # a newer peft's key
        lora.load(folder, tiny_weights().packed.stock)
        assert not recwarn.list
        return
    with pytest.raises(MadiError, match=f"{lora.CONFIG}: {said}"):
        lora.load(folder, tiny_weights().packed.stock)


@pytest.mark.parametrize("name", [lora.CONFIG, lora.WEIGHTS])
def test_a_missing_file_is_named(adapted, tiny_weights, name):
    _, folder = adapted
    (folder / name).unlink()
    with pytest.raises(MadiError, match=f"no {name}"):
        lora.load(folder, tiny_weights().packed.stock)


@pytest.mark.parametrize(
    "beside", [{"modules_to_save": ["proj_out"]}, {"trainable_token_indices": {"embed_tokens": [3]}}]
)
def test_what_was_trained_beside_the_adapters_is_merged_under_stock_names(tiny_weights, beside):
    weights, names = tiny_weights(), set(tiny_weights().packed.stock.state_dict())
    stock = weights.packed.stock
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["to_q"], **beside), stock)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in stock.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
    wanted = velocity(weights)
    lora.merge(stock)
    assert set(stock.state_dict()) == names
    assert (velocity(weights) - wanted).abs().max() < 1e-5
