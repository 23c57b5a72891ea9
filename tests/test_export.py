"""`madi export`: what it writes loads in stock diffusers; what would be lost is not overwritten."""

import pytest
import torch
from diffusers import OmniGenPipeline
from safetensors.torch import load_file

from madi.cli import main
from madi.model import checkpoint, lora


@pytest.fixture
def folder(tmp_path, tiny_weights):
    checkpoint.save(tmp_path / "base", tiny_weights(), {"pool": torch.ones(2)})
    return tmp_path / "base"


def test_a_merged_adapter_loads_in_the_stock_pipeline(folder, tmp_path, tiny_weights):
    weights = tiny_weights()
    lora.inject(weights.packed.stock, 2, 4)
    for name, value in weights.packed.stock.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(value, 0.1)
    lora.save(tmp_path / "lora", weights.packed.stock)
    words = ["export", "--weights", folder, "--lora", tmp_path / "lora", "--merge", "--out", tmp_path / "out"]
    assert main(list(map(str, words))) == 0
    made = OmniGenPipeline.from_pretrained(tmp_path / "out").transformer.state_dict()
    lora.merge(weights.packed.stock)
    for name, value in weights.packed.stock.state_dict().items():
        assert torch.equal(value, made[name]), name
    assert torch.equal(load_file(tmp_path / "out" / checkpoint.MASK_TOKENS)["pool"], torch.ones(2))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lora", "x"], "--merge"),
        (["--merge"], "--lora"),
        (["--out", "{folder}"], "the folder that is read"),
        (["--out", "{folder}", "--weights", "{folder}/inner"], "the folder that is read"),
        (["--out", "{folder}/.."], "not a weights folder"),
        (["--out", "{folder}/model_index.json/x"], "model_index.json: a file"),
        (["--weights", "{folder}/nowhere"], "no such folder; expected weights: a stock"),
    ],
)
def test_what_it_will_not_do_is_one_line(folder, tmp_path, capsys, words, said):
    given = ["export", "--weights", folder, "--out", tmp_path / "out", *(w.format(folder=folder) for w in words)]
    assert main(list(map(str, given))) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
