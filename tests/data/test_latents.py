import numpy as np
import pytest
from safetensors.numpy import load_file

from madi import images, shards
from madi.config import DataSlice
from madi.data import latents
from madi.data.readers import scenes
from madi.errors import MadiError
from madi.records import LATENT, SAMPLE

torch = pytest.importorskip("torch")
JOB = DataSlice(set="train", name="t", seed=0, size_px=32, source={"reader": "scenes", "edits": 20, "t2i": 3})


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(**blocks, block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4, layers_per_block=1)
    folder = tmp_path_factory.mktemp("base")
    vae.save_pretrained(folder / "vae")
    return folder


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "samples.parquet"
    shards.write(path, scenes.read(JOB), SAMPLE)
    return path


def run(samples, base, folder):
    latents.run(JOB, samples, base, folder / "latents.parquet", folder / "latents.safetensors")
    return shards.read(folder / "latents.parquet", LATENT), load_file(folder / "latents.safetensors")


def test_every_image_has_the_latent_that_the_codec_gives_it(samples, base, tmp_path):
    from madi.model.codec import Codec

    rows, tensors = run(samples, base, tmp_path)
    codec = Codec.load(base)
    by_key = {(row["sample_id"], row["role"]): row for row in rows}
    count = 0
    for sample in shards.read(samples, SAMPLE):
        shown = {f"source_{k + 1}": picture for k, picture in enumerate(sample["sources"])} | {
            "target": sample["target"]
        }
        for role, picture in shown.items():
            row, count = by_key[sample["sample_id"], role], count + 1
            assert row["sha256"] == images.sha256(picture["bytes"]) and row["shard"] == "latents.safetensors"
            alone = codec.encode(images.decode(picture["bytes"], role)[None])[0].numpy()
            stored = tensors[row["name"]]
            assert stored.shape == (4, row["h"], row["w"]) == (4, 16, 16) and stored.dtype == np.float32
            np.testing.assert_allclose(stored, alone, atol=1e-4)
    assert count == len(rows) == len(by_key)


def test_equal_images_are_encoded_once(samples, base, tmp_path):
    twice = [row | {"sample_id": f"{row['sample_id']}{k}"} for k in "ab" for row in shards.read(samples, SAMPLE)]
    shards.write(tmp_path / "twice.parquet", twice, SAMPLE)
    rows, tensors = run(tmp_path / "twice.parquet", base, tmp_path)
    assert len(tensors) == len({row["sha256"] for row in rows}) <= len(rows) / 2


def test_equal_samples_give_equal_bytes(samples, base, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        run(samples, base, tmp_path / folder)
    for name in ("latents.parquet", "latents.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (b"\x89PNG", r"row 2 column target: unreadable image"),
        (images.encode_png(np.zeros((16, 32, 3), np.uint8)), "row 2 column target: 32x16 px; expected 32x32 px"),
    ],
)
def test_a_wrong_image_is_named_and_nothing_is_written(samples, base, tmp_path, picture, said):
    rows = shards.read(samples, SAMPLE)
    rows[2]["target"] = {"bytes": picture, "path": None}
    shards.write(tmp_path / "broken.parquet", rows, SAMPLE)
    with pytest.raises(MadiError, match=said):
        run(tmp_path / "broken.parquet", base, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["broken.parquet"]
