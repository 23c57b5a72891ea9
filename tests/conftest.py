"""What all tests share: tiny random weights, and hypothesis without deadlines."""

import pytest
from hypothesis import settings
from tiny_classes import tiny_tokenizer, tiny_transformer, tiny_vae

settings.register_profile("madi", deadline=None)  # another job on the cores is no failure
settings.load_profile("madi")


@pytest.fixture(scope="session")
def tiny_weights():
    """`tiny_weights(**config)`: packed transformer, tokens and codec."""

    def make(seed=0, pause=True, **changes):
        from madi.model.checkpoint import Weights
        from madi.model.codec import Codec
        from madi.model.packed import Packed
        from madi.model.prompt import Tokens

        packed = Packed(tiny_transformer(seed, **changes))
        return Weights(packed, Tokens(tiny_tokenizer(pause)), Codec(tiny_vae(seed)))

    return make
