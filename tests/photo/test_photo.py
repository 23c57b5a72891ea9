"""`madi edit photo`: any picture is edited or refused in one line; the choice is the tables' and says why."""

import io

import numpy as np
import pytest
import tiny_omnigen
from PIL import Image

from madi import images
from madi.cli import main
from madi.errors import MadiError
from madi.model import checkpoint
from madi.photo import choice


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_omnigen.weights_folder(tmp_path_factory.mktemp("photo") / "base")


def run(folder, path, out, *more):
    words = ["edit", "photo", path, "edit 1", "--weights", folder, "--out", out, "--steps", 2, "--pause", "0,2", *more]
    return main(list(map(str, words)))


def noise(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    Image.fromarray(noise(40, 80)).save(path, exif=exif)


WORDS = "a red circle", "a blue square and a green star"
SMALL = "--clip", "assets/tiny/clip", "--dino", "assets/tiny/dino"


MODES = {
    "rgb.jpg": lambda p: Image.fromarray(noise(50, 70)).save(p),
    "turned.jpg": turned,
    "rgba.png": lambda p: Image.fromarray(noise(40, 40, 4)).save(p),
    "palette.png": lambda p: Image.fromarray(noise(40, 40)).quantize(8).save(p),
    "grey.webp": lambda p: Image.fromarray(noise(40, 40, 1)).save(p),
    "bits.png": lambda p: Image.fromarray(noise(40, 40, 1) > 128).save(p),
    "cmyk.jpg": lambda p: Image.fromarray(noise(40, 40)).convert("CMYK").save(p),
    "deep.png": lambda p: Image.fromarray(noise(40, 40, 1).astype(np.uint16) * 257).save(p),
    "pixel.png": lambda p: Image.fromarray(noise(1, 1, 3).reshape(1, 1, 3)).save(p),
    "thread.png": lambda p: Image.fromarray(noise(1, 3000).reshape(1, 3000, 3)).save(p),
    "clear.png": lambda p: Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(p),
    "large.jpg": lambda p: Image.fromarray(np.full((4000, 5000, 3), 90, np.uint8)).save(p),
}


@pytest.mark.parametrize("name", MODES)
def test_a_picture_of_any_size_and_mode_is_edited(folder, tmp_path, name, capsys):
    MODES[name](tmp_path / name)
    assert run(folder, tmp_path / name, tmp_path / "out") == 0, capsys.readouterr().err
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"source.png", "pause_0.png", "pause_2.png", "contact.jpg"}
    source, made_edit = (np.asarray(Image.open(tmp_path / "out" / n)) for n in ("source.png", "pause_2.png"))
    assert (
        source.shape == made_edit.shape
        and max(source.shape) <= 128
        and source.shape[0] % 16 == source.shape[1] % 16 == 0
    )
    if name == "turned.jpg":
        assert source.shape[0] > source.shape[1]
    if name == "deep.png":
        assert abs(source.mean() - noise(40, 40, 1).mean()) < 3 and source.std() < 90  # scaled, not cut off
    if name == "clear.png":
        assert source.min() == 255  # what shows is what is behind, not the hidden red


def blank(width, height) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "no such file"),
        (b"", "no image bytes"),
        (b"GIF89a", "unreadable image (a GIF, cannot identify image file, 6 bytes); expected a PNG, JPEG or WebP"),
        (lambda: blank(30_000, 30_000), "900000000 pixels"),
        (lambda: blank(9_000, 9_000), "image of 9000x9000 px; expected at most 67,108,864 px"),
    ],
    ids=["missing", "empty", "gif", "bomb", "large"],
)
def test_what_is_no_picture_is_refused_in_one_line(folder, tmp_path, capsys, data, said):
    path = tmp_path / "photo.png"
    if data is not None:
        path.write_bytes(data() if callable(data) else data)
    assert run(folder, path, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert said in error and str(path) in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_same_noise_and_picture_give_the_same_edit_whatever_else_is_asked(folder, tmp_path):
    Image.fromarray(noise(32, 32)).save(tmp_path / "a.png")
    assert run(folder, tmp_path / "a.png", tmp_path / "both") == 0
    assert run(folder, tmp_path / "a.png", tmp_path / "one", "--pause", "2") == 0
    both, one = (np.asarray(Image.open(tmp_path / n / "pause_2.png")).astype(int) for n in ("both", "one"))
    assert abs(both - one).max() <= 1


@pytest.mark.parametrize("more", [["--dtype", "bfloat16"], ["--device", "cuda"]])
def test_half_precision_is_near_and_a_missing_gpu_is_one_line(folder, tmp_path, capsys, more):
    import torch

    Image.fromarray(noise(32, 32)).save(tmp_path / "a.png")
    assert run(folder, tmp_path / "a.png", tmp_path / "plain") == 0
    if more == ["--device", "cuda"] and not torch.cuda.is_available():
        assert run(folder, tmp_path / "a.png", tmp_path / "other", *more) == 2
        assert "no CUDA device" in capsys.readouterr().err
        return
    assert run(folder, tmp_path / "a.png", tmp_path / "other", *more) == 0
    both = [np.asarray(Image.open(tmp_path / n / "pause_2.png")).astype(float) for n in ("plain", "other")]
    assert 0 < abs(both[0] - both[1]).mean() < 4


def test_choosing_by_dino_takes_the_nearest_and_says_so(folder, tmp_path, capsys):
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    assert run(folder, tmp_path / "a.png", tmp_path / "out", "--choose", "dino", "--dino", "assets/tiny/dino") == 0
    said = capsys.readouterr().out
    count = said.split("chosen: pause ")[1].split(",")[0]
    assert "the highest dino" in said and f"pause {count}: " in said
    chosen = (tmp_path / "out" / "chosen.png").read_bytes()
    assert chosen == (tmp_path / "out" / f"pause_{count}.png").read_bytes()
    assert (
        run(
            folder, tmp_path / "a.png", tmp_path / "out", "--choose", "clip_dir@dino>=1.0", "--captions", *WORDS, *SMALL
        )
        == 0
    )
    assert "chosen: none, no edit has dino >= 1" in capsys.readouterr().out
    assert not (tmp_path / "out" / "chosen.png").exists()


def test_the_choice_is_the_guarded_maximum():
    rule = choice.wish("clip_dir@dino>=0.91", (0, 8, 16), ("a", "b"))
    scores = {"clip_dir": [0.1, 0.3, 0.2], "dino": [0.95, 0.5, 0.92]}
    index, why = choice.choose(rule, (0, 8, 16), scores)
    assert index == 2 and "of the 2 of 3 with dino >= 0.91" in why
    assert choice.choose(choice.wish("pause=8", (0, 8), None), (0, 8), {})[0] == 1


@pytest.mark.parametrize(
    ("text", "captions", "said"),
    [
        ("clip_dir", None, "--captions.*dino.*pause"),
        ("dino@clip_dir>=0.1", None, "--captions"),
        ("clip_dir", ("a b", "a  b"), "both captions are the same"),
        ("pause=3", None, "pause 3 is not made"),
        ("best", None, "expected clip_dir"),
        ("dino@dino>=1", None, "expected clip_dir"),
    ],
)
def test_a_choice_that_cannot_be_made_says_what_can(text, captions, said):
    with pytest.raises(MadiError, match=said):
        choice.wish(text, (0, 8), captions)


def test_a_side_beyond_the_model_is_named(folder, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(images.encode_png(noise(32, 32)))
    assert run(folder, tmp_path / "a.png", tmp_path / "out", "--side", "4096") == 2
    assert "16 to 128 px" in capsys.readouterr().err
    assert checkpoint.load(folder).packed.stock.config.pos_embed_max_size == 8


@pytest.mark.parametrize("text", ["", "0,-1", "a", "0;8", "1025", "9" * 5000])
def test_pauses_that_are_none_are_named(folder, tmp_path, capsys, text):
    (tmp_path / "a.png").write_bytes(images.encode_png(noise(32, 32)))
    assert run(folder, tmp_path / "a.png", tmp_path / "out", "--pause", text) == 2
    assert capsys.readouterr().err.startswith("error: --pause: found")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--guidance", "nan"], "--guidance: found nan; expected a number from 0 to 100"),
        (["--captions", *WORDS], "--captions: captions, but nothing to choose by"),
        (["--choose", "clip_dir", "--captions", "", "b"], "--captions: an empty caption"),
        (["--choose", "dino", "--dino", "{here}/nowhere"], "nowhere: no such folder; expected the timm folder"),
        (["--choose", "dino", "--dino", "{here}/a.png"], "a.png: a file; expected the timm folder"),
        (["--choose", "dino", "--dino", "assets/tiny/clip"], "assets/tiny/clip: config.json is missing"),
        (["--weights", "{here}/nowhere"], "nowhere: no such folder; expected weights"),
        (["--out", "{here}/a.png/out"], "a.png/out: cannot be written into (Not a directory)"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_sampled(folder, tmp_path, capsys, monkeypatch, words, said):
    from madi.model.sampler import Sampler

    monkeypatch.setattr(Sampler, "__call__", None)
    (tmp_path / "a.png").write_bytes(images.encode_png(noise(32, 32)))
    assert run(folder, tmp_path / "a.png", tmp_path / "out", *(word.format(here=tmp_path) for word in words)) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("metric, option", [("dino", "--dino"), ("clip_dir", "--clip")])
def test_no_small_model_chooses_among_photographs_unasked(folder, tmp_path, capsys, metric, option):
    (tmp_path / "a.png").write_bytes(images.encode_png(noise(32, 32)))
    words = ["--captions", *WORDS] if metric == "clip_dir" else []
    assert run(folder, tmp_path / "a.png", tmp_path / "out", "--choose", metric, *words) == 2
    error = capsys.readouterr().err
    assert f"{option}: {metric} of a photograph, and no model named" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_image_tag_in_the_words_is_refused(folder, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(images.encode_png(noise(32, 32)))
    words = ["edit", "photo", tmp_path / "a.png", "<img><|image_1|></img> make it red", "--weights", folder]
    assert main(list(map(str, words))) == 2
    assert "<|image_1|> in the instruction" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["chosen.png", "pause_3.png", "source.png"])
def test_a_picture_that_the_edits_would_replace_is_refused(folder, tmp_path, capsys, name):
    (tmp_path / name).write_bytes(images.encode_png(noise(32, 32)))
    assert run(folder, tmp_path / name, tmp_path) == 2
    assert "would be replaced" in capsys.readouterr().err and (tmp_path / name).exists()


def test_choosing_by_clip_dir_takes_the_edit_that_goes_the_captions_way(monkeypatch):
    """Pictures and captions embed as unit vectors of our own; the edit along target minus source wins."""
    from madi.score.clip import Clip

    axes = {"from": [1, 0, 0], "to": [0, 1, 0]}
    pictures = [[1, 0, 0], [1, -0.5, 0], [0, 1, 0]]  # the source, away from the target, there

    class Fake(Clip):
        def __init__(self, folder):
            pass

        def prepare(self, image):
            return image

        def images(self, prepared):
            return np.array([np.array(v) / np.linalg.norm(v) for v in pictures])

        def texts(self, captions):
            return np.array([axes[c] for c in captions], float)

    monkeypatch.setattr("madi.score.clip.Clip", Fake)
    scores = choice.scored(noise(8, 8), [noise(8, 8)] * 2, ("from", "to"), ["clip_dir"], None, None)
    assert scores["clip_dir"][1] == pytest.approx(1) and scores["clip_dir"][0] < 0
    assert choice.choose(choice.wish("clip_dir", (0, 8), ("from", "to")), (0, 8), scores)[0] == 1


def test_the_shipped_base_edits_the_shipped_scene_and_tells_what_its_cache_takes(tmp_path, capsys):
    words = ["edit", "photo", "docs/scene.png", "make the purple moon yellow", "--out", tmp_path / "out"]
    words += ["--steps", 2, "--choose", "clip_dir@dino>=0", "--captions", "a purple moon", "a yellow moon"]
    assert main(list(map(str, words))) == 0
    told = capsys.readouterr()
    assert "tokens and up, 7,680 bytes each in the prefix cache" in told.err  # 6 layers, 2 x 160 wide, 4 bytes
    assert "the highest clip_dir" in told.out and (tmp_path / "out" / "chosen.png").exists()


def test_edits_of_an_earlier_run_do_not_stay(folder, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(images.encode_png(noise(32, 32)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.png").write_text("")
    assert run(folder, tmp_path / "a.png", tmp_path / "out") == 2  # other things than edits
    assert "holds other things" in capsys.readouterr().err
    for name in ("pause_9.png", "chosen.png", "contact.jpg"):
        (tmp_path / "out" / name).write_text("")
    assert run(folder, tmp_path / "a.png", tmp_path / "out") == 0
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"source.png", "pause_0.png", "pause_2.png", "contact.jpg", "mine.png"}
    assert "contact.jpg, source.png, pause_0.png, pause_2.png" in capsys.readouterr().out


def test_a_folder_is_no_picture(folder, tmp_path, capsys):
    assert run(folder, tmp_path, tmp_path / "out") == 2
    assert "not a file" in capsys.readouterr().err
