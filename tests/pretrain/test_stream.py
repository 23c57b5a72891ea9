"""The base's stream of batches: resumed anywhere, it goes on as if it had never stopped."""

import pytest
import torch

from madi.pretrain.base import Stream


class Stub(torch.utils.data.Dataset):
    """Ten blocks of three batches, each naming its block and place."""

    def __len__(self):
        return 10

    def __getitem__(self, number):
        return [(112, [(number, place)]) for place in range(3)]


def test_a_stream_gives_each_step_its_batch():
    stream = Stream(Stub(), 3)
    assert [stream.at(step) for step in range(9)] == [(112, [divmod(step, 3)]) for step in range(9)]


@pytest.mark.parametrize("first", [1, 3, 5])
def test_a_stream_resumed_within_a_block_goes_on_as_an_uninterrupted_one(first):
    whole, resumed = Stream(Stub(), 3), Stream(Stub(), 3)
    uninterrupted = [whole.at(step) for step in range(9)]
    assert [resumed.at(step) for step in range(first, 9)] == uninterrupted[first:]
