"""Official and stock folders are read without random numbers or copies; what is not weights is named in one line."""

import json
from pathlib import Path

import official_omnigen as official
import pytest
import torch
from diffusers import OmniGenPipeline
from safetensors.torch import load_file, save_file

from madi.cli import main
from madi.errors import MadiError
from madi.model import checkpoint, stored

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 7750000000\n"


@pytest.fixture
def folder(tmp_path):
    return official.folder(tmp_path / "official")


def laid_out(layout, tmp_path):
    """A folder, and the file and tensor that a test breaks."""
    made = official.folder(tmp_path / "official")
    if layout == "official":
        return made, made / "model.safetensors", "llm.layers.1.mlp.down_proj.weight"
    checkpoint.save(tmp_path / "stock", checkpoint.load(made))
    file = tmp_path / "stock" / "transformer" / "diffusion_pytorch_model.safetensors"
    return tmp_path / "stock", file, "layers.1.mlp.down_proj.weight"


def equal(one, other):
    return all(torch.equal(value, other.packed.state_dict()[name]) for name, value in one.packed.state_dict().items())


def sharded(folder, count=3):
    """Splits the official file into shards with their index."""
    state = load_file(folder / "model.safetensors")
    names, where = sorted(state), {}
    for number in range(count):
        file = f"model-{number + 1:05}-of-{count:05}.safetensors"
        part = {name: state[name] for name in names[number::count]}
        save_file(part, folder / file)
        where |= dict.fromkeys(part, file)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_file_and_shards_give_the_same_numbers(tmp_path, dtype):
    path = official.folder(tmp_path / "official", dtype=dtype)
    one = checkpoint.load(path)
    sharded(path)
    assert one.packed.stock.dtype == dtype and equal(one, checkpoint.load(path))
    (path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(MadiError, match="00002-of-00003.safetensors: a shard that the index lists is missing"):
        checkpoint.load(path)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads the kernel's list of mapped files")
@pytest.mark.parametrize("layout", ["official", "stock"])
def test_parameters_are_the_mapped_file_itself(tmp_path, layout):
    """Nothing is made at random and nothing is copied: memory of the process's own stays small."""
    path, file, _ = laid_out(layout, tmp_path)
    stock = checkpoint.load(path).packed.stock
    spans = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(file)):
            spans.append([int(part, 16) for part in line.split()[0].split("-")])
    for name, value in stock.state_dict().items():
        assert any(start <= value.data_ptr() < end for start, end in spans), name


def test_what_is_large_reports_progress_before_the_first_tensor(folder, capsys, monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1)
    checkpoint.load(folder)
    said = capsys.readouterr().err.splitlines()
    assert any(line.startswith(f"reading {folder}: ") and "GB" in line for line in said)
    assert any("done in" in line for line in said)


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("layout", ["official", "stock"])
def test_eight_bit_files_are_read_as_bfloat16(tmp_path, layout, kind):
    path, file, name = laid_out(layout, tmp_path)
    small = {key: value.to(getattr(torch, kind)) for key, value in load_file(file).items()}
    save_file(small, file)
    made = checkpoint.load(path)
    assert made.packed.stock.dtype == torch.bfloat16
    wanted = small[name].to(torch.bfloat16)
    assert torch.equal(made.packed.stock.layers[1].mlp.down_proj.weight, wanted)
    checkpoint.save(tmp_path / "written", made)
    assert equal(made, checkpoint.load(tmp_path / "written"))


@pytest.mark.parametrize("layout", ["official", "stock"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value: value.index_fill(0, torch.tensor([0]), float("nan")), r"holds \d+ numbers that are NaN"),
        (lambda value: value.index_fill(0, torch.tensor([0]), float("inf")), r"holds \d+ numbers that are NaN or inf"),
        (lambda value: value.to(torch.int8), "is of type I8"),
        (lambda value: value > 0, "is of type BOOL"),
    ],
    ids=["nan", "inf", "int8", "bool"],
)
def test_tensors_that_are_no_weights_are_refused_by_name(tmp_path, layout, change, said):
    path, file, name = laid_out(layout, tmp_path)
    save_file(load_file(file) | {name: change(load_file(file)[name])}, file)
    with pytest.raises(MadiError, match=f"{file.name}: tensor {name} {said}") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", ["official", "stock"])
def test_a_git_lfs_pointer_is_called_one(tmp_path, layout):
    path, file, _ = laid_out(layout, tmp_path)
    file.write_text(POINTER)
    with pytest.raises(MadiError, match=f"{file.name}: a git-lfs pointer.*git lfs pull"):
        checkpoint.load(path)


@pytest.mark.parametrize("layout", ["official", "stock"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(tmp_path, layout, monkeypatch):
    """The command in the message makes a folder that loads."""
    path, file, _ = laid_out(layout, tmp_path)
    wanted = checkpoint.load(path)
    pickle = file.with_suffix(".pt" if layout == "official" else ".bin")
    torch.save(load_file(file), pickle)
    file.unlink()
    with pytest.raises(MadiError, match=f"{pickle.name}: a pickle, which is never read") as caught:
        checkpoint.load(path)
    code = str(caught.value).split('python -c "')[1].split('"')[0]
    monkeypatch.chdir(file.parent)
    exec(compile(code, "message", "exec"), {})  # the message's own words
    assert equal(wanted, checkpoint.load(path))


def test_an_official_fine_tune_as_it_is_saved_is_refused_for_its_pickle_first(tmp_path):
    path = official.folder(tmp_path / "tuned", vae=False)
    (path / "model.safetensors").rename(path / "model.pt")
    with pytest.raises(MadiError, match="model.pt: a pickle, which is never read"):
        checkpoint.load(path)


def test_a_fine_tune_without_a_vae_takes_the_base_s_and_says_so(tmp_path, capsys):
    """As the official training script saves one: config, tokenizer and weights alone."""
    base = official.folder(tmp_path / "base")
    tuned = official.folder(tmp_path / "tuned", vae=False, seed=1)
    with pytest.raises(MadiError, match="no vae, as in fine-tunes.*--vae"):
        checkpoint.load(tuned)
    words = ["export", "--weights", tuned, "--vae", base, "--out", tmp_path / "out"]
    assert main(list(map(str, words))) == 0
    assert f"VAE: taken from {base}" in capsys.readouterr().err
    made = OmniGenPipeline.from_pretrained(tmp_path / "out")
    own = load_file(base / "vae" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(value, own[name]) for name, value in made.vae.state_dict().items())
    down = load_file(tuned / "model.safetensors")["llm.layers.0.mlp.down_proj.weight"]
    assert torch.equal(made.transformer.layers[0].mlp.down_proj.weight, down)
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["vae"] == str(base)


def test_a_folder_that_holds_a_vae_alone_serves_too(tmp_path):
    base = official.folder(tmp_path / "base")
    tuned = official.folder(tmp_path / "tuned", vae=False)
    checkpoint.load(tuned, vae=base / "vae")
