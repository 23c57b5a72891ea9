"""Figure 1 shows what the training does: nothing below the noise level, the rate of the tokens above it."""

import numpy as np
import pytest
import tiny_omnigen
import torch

from madi import images, records, shards
from madi.config import RunSlice
from madi.errors import MadiError
from madi.model.codec import Codec
from madi.train import figure


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_omnigen.weights_folder(tmp_path_factory.mktemp("weights") / "base")


def slice_of(base, **magd) -> RunSlice:
    import yaml

    with open("config/demo.yaml") as file:
        runs = yaml.safe_load(file)["train"]["runs"]
    settings = {name: value for name, value in runs["ft"].items() if name != "like"}
    settings["magd"] = {"probability": 0.5, "noise_level": 0.7, "rate": 0.25, "token": "zero"} | magd if magd else None
    common = {"run": "r", "name": "t", "seed": 0, "size_px": 64, "threads": 1, "base": str(base), "device": "cpu"}
    return RunSlice.model_validate(common | {"shard": False, "settings": settings})


def test_masked_places_are_the_rate_of_the_tokens_and_only_above_the_noise_level(base):
    job, codec = slice_of(base, rate=0.25), Codec.load(base)
    latents = torch.randn(1, codec.channels, 16, 16, generator=torch.Generator().manual_seed(0))
    plain, masked = figure.pictures(job, codec, latents)
    for level, one, other in zip(figure.LEVELS, plain, masked):
        changed = (one != other).any(-1)
        assert changed.mean() == pytest.approx(0.25 if level >= 0.7 else 0, abs=1e-9)
        if changed.any():
            assert (other[changed] == figure.TOKEN).all()
    assert len({image.tobytes() for image in plain}) == len(figure.LEVELS)  # noise falls


def test_the_picture_is_the_same_bytes_again_and_faults_are_one_line(base, tmp_path):
    rng = np.random.default_rng(0)
    row = {"sample_id": "s", "set": "train", "split": "train", "group_id": "g", "sources": [], "instruction": "draw"}
    row |= {"target": images.picture(rng.integers(0, 256, (64, 64, 3), np.uint8)), "phash": "", "sha256": ""}
    row |= {"origin": {"file": "made", "row": 0, "revision": "0"}}
    shards.write(tmp_path / "s.parquet", [row], records.SAMPLE)
    for name in ("a", "b"):
        figure.write(slice_of(base, rate=0.5), tmp_path / "s.parquet", tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with pytest.raises(MadiError, match="run r has no `magd`"):
        figure.write(slice_of(base), tmp_path / "s.parquet", tmp_path / "c.png")
    shards.write(tmp_path / "none.parquet", [row | {"target": None}], records.SAMPLE)
    with pytest.raises(MadiError, match=r"no sample with a target"):
        figure.write(slice_of(base, rate=0.5), tmp_path / "none.parquet", tmp_path / "c.png")
