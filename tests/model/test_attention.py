"""Calls cover every query once and let it look exactly where stock's dense mask does."""

import torch
from diffusers.pipelines.omnigen.processor_omnigen import OmniGenCollator
from hypothesis import given, settings
from hypothesis import strategies as st

from madi.model.attention import SMALL, calls
from madi.model.runs import runs


def dense(prompt, slots, target):
    """Stock's own mask of one unpadded sample, bool [S,S]."""
    collator = OmniGenCollator()
    mask, _ = collator.create_mask(torch.ones(1, prompt, dtype=torch.long), [target])
    return collator.adjust_attention_for_input_images(mask, {0: slots})[0].bool()


@st.composite
def samples(draw):
    """Prompt length, image slots in it (possibly touching its ends and each other), noise tokens."""
    pieces = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=3))
    slots, at = [], 0
    for text, image in pieces:
        slots.append((at + text, at + text + image))
        at += text + image
    return at + draw(st.integers(1, 5)), slots, draw(st.integers(1, 9))


@settings(max_examples=150, deadline=None)
@given(sample=samples(), small=st.sampled_from([0, 60, 200, SMALL]))
def test_calls_are_the_stock_mask(sample, small):
    prompt, slots, target = sample
    length = prompt + 1 + target
    seen, at = torch.zeros(length, length, dtype=torch.bool), 0
    for call in calls(runs(prompt, slots, target), small=small):
        assert call.begin == at
        at = call.end
        seen[call.begin : call.end, : call.end] = True if call.mask is None else call.mask
    assert at == length
    assert torch.equal(seen, dense(prompt, slots, target))


def test_images_are_never_masked_once_they_are_large():
    covered = calls(runs(4200, [(20, 4116)], 4096))
    assert all(call.mask is None for call in covered if call.end - call.begin >= 4096)
    assert max(call.mask.numel() for call in covered if call.mask is not None) < 100 * 4200
