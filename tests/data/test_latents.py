"""The latent cache: what the codec gives, once, in shards; every fault found before a training reads it."""

import json

import numpy as np
import pytest

from madi import images, shards
from madi.config import DataSlice, LatentSlice
from madi.data import check, latents
from madi.data.readers import scenes
from madi.errors import MadiError
from madi.records import LATENT, SAMPLE

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402

SET = DataSlice(set="train", name="t", seed=0, size_px=32, source={"reader": "scenes", "edits": 20, "t2i": 3})


def slice_of(**changes):
    return LatentSlice(
        **{"set": "train", "size_px": 32, "shards": 2, "dtype": "float32", "device": "cpu", "masked": True} | changes
    )


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
    shards.write(path, scenes.read(SET), SAMPLE)
    return path


def encode(samples, base, folder, part, **changes):
    index = folder / "latents" / f"{part:05}.parquet"
    latents.run(slice_of(**changes), samples, base, part, index, index.with_suffix(".safetensors"))
    return index


def run(samples, base, folder, **changes):
    """All shards, checked and joined: the rows of the index, and the tensors by shard."""
    parts = [encode(samples, base, folder, part, **changes) for part in range(slice_of(**changes).shards)]
    check.run(slice_of(**changes), samples, parts, folder / "latents.parquet", folder / "latents.json")
    rows = shards.read(folder / "latents.parquet", LATENT)
    return rows, {shard: load_file(folder / shard) for shard in {row["shard"] for row in rows}}


def shown(sample) -> dict:
    """Pixels by role."""
    found = {f"source_{k + 1}": one["bytes"] for k, one in enumerate(sample["sources"])}
    found = {role: images.decode(data, role) for role, data in found.items()}
    found["target"] = images.decode(sample["target"]["bytes"], "target")
    if sample["region"] and sample["sources"]:
        found["masked_1"] = images.blanked(found["source_1"], images.region(sample["region"]["bytes"], "region"))
    return found


def test_every_image_has_the_moments_that_the_codec_gives_it(samples, base, tmp_path):
    from madi.model.codec import Codec

    rows, tensors = run(samples, base, tmp_path)
    codec = Codec.load(base)
    by_key = {(row["sample_id"], row["role"]): row for row in rows}
    count = 0
    for sample in shards.read(samples, SAMPLE):
        for role, pixels in shown(sample).items():
            row, count = by_key[sample["sample_id"], role], count + 1
            alone, stored = codec.moments(pixels[None])[0], tensors[row["shard"]][row["name"]]
            assert stored.shape == (2, 4, row["h"], row["w"]) == (2, 4, 16, 16) and stored.dtype == torch.float32
            assert torch.allclose(stored, alone, atol=1e-4) and (stored[1] > 0).all()
            assert torch.equal(alone[0], codec.encode(pixels[None])[0]) and row["sha256"] == latents.checksum(stored)
    assert count == len(rows) == len(by_key) and any(role == "masked_1" for _, role in by_key)
    told = json.loads((tmp_path / "latents.json").read_text())
    assert told["shards"] == 2 and told["pictures"] == count and told["bytes"] == told["tensors"] * 2 * 4 * 256 * 4


def test_equal_images_of_a_shard_are_encoded_once(samples, base, tmp_path):
    twice = [row | {"sample_id": f"{row['sample_id']}{k}"} for row in shards.read(samples, SAMPLE) for k in "ab"]
    shards.write(tmp_path / "twice.parquet", twice, SAMPLE)
    rows, tensors = run(tmp_path / "twice.parquet", base, tmp_path, shards=1)
    names = {(row["shard"], row["name"]) for row in rows}
    assert sum(map(len, tensors.values())) == len(names) <= len(rows) / 2


def test_equal_samples_give_equal_bytes_in_any_order_of_shards(samples, base, tmp_path):
    for folder in ("a", "b"):
        run(samples, base, tmp_path / folder)
    for path in sorted((tmp_path / "a").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes(), path


def test_each_sample_is_in_one_shard_and_empty_shards_are_legal(samples, base, tmp_path):
    rows, _ = run(samples, base, tmp_path, shards=40)
    found = {}
    for row in rows:
        found.setdefault(row["sample_id"], set()).add(row["shard"])
    assert len(found) == 23 and all(len(where) == 1 for where in found.values())
    counts = [len({r["sample_id"] for r in rows if r["shard"].endswith(f"{k:05}.safetensors")}) for k in range(40)]
    assert sorted(set(counts)) == [0, 1] and len(list((tmp_path / "latents").glob("*.safetensors"))) == 40


def test_a_set_of_several_files_is_one_file(samples, base, tmp_path):
    found = shards.read(samples, SAMPLE)
    for number, some in enumerate((found[:9], [], found[9:])):
        shards.write(tmp_path / f"set/{number:05}.parquet", some, SAMPLE)
    listed = [{"file": f"set/{number:05}.parquet"} for number in range(3)]
    shards.write_json(tmp_path / "set.json", {"shards": listed})
    one, several = run(samples, base, tmp_path / "one")[0], run(tmp_path / "set.json", base, tmp_path / "several")[0]
    assert one == several


def test_half_precision_is_near_and_half_the_size(samples, base, tmp_path):
    whole, half = (run(samples, base, tmp_path / kind, dtype=kind)[1] for kind in ("float32", "float16"))
    for shard, tensors in whole.items():
        assert all(torch.allclose(half[shard][n].float(), v, rtol=2e-3, atol=1e-4) for n, v in tensors.items())
    assert (tmp_path / "float16/latents/00000.safetensors").stat().st_size < 0.6 * (
        tmp_path / "float32/latents/00000.safetensors"
    ).stat().st_size


def test_masked_sources_are_encoded_only_where_a_training_wants_them(samples, base, tmp_path):
    rows, _ = run(samples, base, tmp_path, masked=False)
    assert not any(row["role"] == "masked_1" for row in rows)


@pytest.mark.parametrize(
    ("column", "picture", "said"),
    [
        ("target", b"\x89PNG", r"row 2 column target: unreadable image"),
    ],
)
def test_a_wrong_image_is_named_and_nothing_is_written(samples, base, tmp_path, column, picture, said):
    rows = shards.read(samples, SAMPLE)
    rows[2][column] = {"bytes": picture, "path": None}
    shards.write(tmp_path / "broken.parquet", rows, SAMPLE)
    with pytest.raises(MadiError, match=said):
        run(tmp_path / "broken.parquet", base, tmp_path, shards=1)
    assert [file.name for file in tmp_path.iterdir()] == ["broken.parquet"]


def test_pictures_of_any_shape_are_made_square_on_the_way(samples, base, tmp_path):
    rows = shards.read(samples, SAMPLE)
    tall = np.zeros((96, 48, 3), np.uint8)
    tall[12:84] = 200  # more than is left when the middle is taken
    rows[2]["target"] = images.picture(tall)
    shards.write(tmp_path / "odd.parquet", rows, SAMPLE)
    found, tensors = run(tmp_path / "odd.parquet", base, tmp_path, shards=1)
    row = next(r for r in found if (r["sample_id"], r["role"]) == (rows[2]["sample_id"], "target"))
    from madi.model.codec import Codec

    wanted = Codec.load(base).moments(np.full((1, 32, 32, 3), 200, np.uint8))[0]
    assert torch.allclose(tensors[row["shard"]][row["name"]], wanted, atol=1e-4)


def damaged(folder, change):
    """The first shard after `change` of its tensors, by name."""
    path = folder / "latents" / "00000.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def first(tensors):
    return sorted(tensors)[0]


FAULTS = {
    "not finite": (lambda t: t[first(t)].view(-1)[:1].fill_(float("nan")), "is not finite"),
    "changed": (lambda t: t[first(t)].add_(1e-3), "another checksum than its index says"),
    "misshapen": (lambda t: t.update({first(t): torch.zeros(2, 4, 3, 16)}), "is 2x4x3x16, not 2 x channels x 16 x 16"),
    "missing": (lambda t: t.pop(first(t)), "not a whole safetensors file"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_found_before_any_training(samples, base, tmp_path, kind):
    parts = [encode(samples, base, tmp_path, part) for part in range(2)]
    change, said = FAULTS[kind]
    damaged(tmp_path, change)
    with pytest.raises(MadiError, match=f"00000.safetensors: .*{said}.*delete it and its .parquet"):
        check.run(slice_of(), samples, parts, tmp_path / "latents.parquet", tmp_path / "latents.json")
    assert not (tmp_path / "latents.parquet").exists()


def test_a_shard_too_few_is_found(samples, base, tmp_path):
    part = encode(samples, base, tmp_path, 0)
    with pytest.raises(MadiError, match=r"no latent: .* \(\d+ in all\)"):
        check.run(slice_of(), samples, [part], tmp_path / "latents.parquet", tmp_path / "latents.json")


def test_a_training_from_the_cache_is_one_from_pixels(samples, base, tmp_path, tiny_weights):
    """The same rows whether latents are read or encoded as they are wanted."""
    from madi.model.codec import Codec
    from madi.settings import Run
    from madi.train import examples
    from madi.train.batches import Batches

    run(samples, base, tmp_path)
    cached = examples.Latents(tmp_path / "latents.parquet")
    codec = Codec.load(base)
    pixels = {}
    for sample in shards.read(samples, SAMPLE):
        for role, image in shown(sample).items():
            pixels[cached.names[sample["sample_id"]][role]] = image

    class Encoding:
        def __getitem__(self, name):
            return codec.moments(pixels[name][None])[0]

    found = examples.read(samples, None, cached)
    settings = {"seed": 0, "steps": 2, "batch": 20, "learning_rate": 1e-3, "warmup_steps": 0, "weight_decay": 0}
    settings |= {"gradient_clip": 1, "save_every": 2, "expressive": False, "magd": None, "posterior": "sample"}
    settings |= {"drop": {"all": 0, "text": 0}, "masked_source": {"place": "added"}}
    tokens = tiny_weights().tokens
    one, other = (Batches(found, store, tokens, Run(**settings))[1][0] for store in (cached, Encoding()))
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a.image, b.image, atol=1e-4) and torch.equal(a.noise, b.noise)
        assert all(torch.allclose(x, y, atol=1e-4) for x, y in zip(a.prompt.images, b.prompt.images, strict=True))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line(samples, base, tmp_path):
    with pytest.raises(MadiError, match="no CUDA device here"):
        encode(samples, base, tmp_path, 0, device="cuda")
