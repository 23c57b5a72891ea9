"""The frozen layout, and ids equal to the stock processor's."""

import pytest
import torch
from diffusers.pipelines.omnigen.processor_omnigen import OmniGenMultiModalProcessor
from PIL import Image

from madi.errors import MadiError
from madi.model.prompt import NEGATIVE, PAUSE, content, layout


def latents(width=8, height=8):
    return torch.zeros(4, height, width)


def test_the_layout_is_frozen():
    assert layout("do it", 2, ["look.", "act."], 3) == (
        "<|user|>\nGenerate an image according to the following instructions\n"
        "<img><|image_1|></img> <img><|image_2|></img> do it look.<|pause|> act.<|pause|><|pause|><|pause|><|pause|>"
        "<|end|>\n<|assistant|>\n<|diffusion|>"
    )
    assert content("do it", 0) == "do it"
    assert content("", 1) == "<img><|image_1|></img>"
    with pytest.raises(ValueError, match="-1"):
        content("do it", pauses=-1)


@pytest.mark.parametrize("sizes", [[], [(64, 64)], [(64, 32), (96, 64)]])
@pytest.mark.parametrize("pauses", [0, 8])
def test_ids_and_branches_are_the_stock_processors(tiny_weights, sizes, pauses):
    tokens = tiny_weights().tokens
    branches = tokens.branches("do it", [latents(w // 8, h // 8) for w, h in sizes], pauses)
    stock = OmniGenMultiModalProcessor(tokens.tokenizer)
    pictures = [stock.process_image(Image.new("RGB", size)) for size in sizes]
    words = {"conditional": content("do it", len(sizes), (), pauses), "image_only": content("", len(sizes))}
    for name, text in words.items():
        ours = getattr(branches, name)
        if ours is not None:
            theirs = stock.process_multi_modal_prompt(text, pictures)
            assert ours.ids == theirs["input_ids"]
            assert [list(slot) for slot in ours.slots] == (theirs["image_sizes"] or [])
    assert (branches.image_only is None) == (not sizes)
    defaults = OmniGenMultiModalProcessor.__call__.__defaults__
    assert defaults[3] == NEGATIVE
    assert branches.unconditional.ids == stock.process_multi_modal_prompt(NEGATIVE, None)["input_ids"]


def test_pauses_are_single_tokens_and_only_in_the_conditional_branch(tiny_weights):
    tokens = tiny_weights().tokens
    branches = tokens.branches("do it", [latents()], 32)
    counts = [b.ids.count(tokens.pause_id) for b in (branches.conditional, branches.image_only, branches.unconditional)]
    assert counts == [32, 0, 0]
    assert tokens.prompt("do it", [latents()], ["a", "b", "c"]).ids.count(tokens.pause_id) == 3
    assert tokens.tokenizer.convert_ids_to_tokens(tokens.pause_id) == PAUSE


def test_conditional_and_image_only_begin_alike_up_to_the_words(tiny_weights):
    branches = tiny_weights().tokens.branches("do it", [latents()], 8)
    end = branches.conditional.slots[-1][1] + 1
    assert branches.conditional.ids[:end] == branches.image_only.ids[:end]


def test_images_and_marks_must_agree(tiny_weights):
    with pytest.raises(MadiError, match="2 image tags; expected one for each of 1 images"):
        tiny_weights().tokens.from_text(layout("x", 2), [latents()])
