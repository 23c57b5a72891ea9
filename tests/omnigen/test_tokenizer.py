"""Token ids are those of tokenizer.json's own pipeline, whatever the installed transformers makes of the folder."""

import json
from pathlib import Path

import official_omnigen as official
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from madi.errors import MadiError
from madi.model import checkpoint
from madi.model.prompt import FILLER, IMAGE_TAG, NEGATIVE, PAUSE, layout

IMAGE = torch.zeros(4, 4, 4)  # four tokens
PIECES = ["make", "it", "red", " ", "   ", "\n", "\t", "é", "日本", "🙂", FILLER, "<|end|>"]
WORDS = st.one_of(
    st.text(max_size=40).filter(lambda text: not IMAGE_TAG.search(text)),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
)


@pytest.fixture(scope="module", params=official.KINDS)
def published(request, tmp_path_factory):
    """An official folder whose tokenizer knows the pause token, and the pipeline of its file."""
    path = official.folder(tmp_path_factory.mktemp("official") / request.param, request.param, pause=True)
    return path, Tokenizer.from_file(str(path / "tokenizer.json"))


@pytest.fixture(scope="module")
def tokens(published):
    return checkpoint.load(published[0]).tokens


def ids_of(pipeline, text, images):
    """What the official processor makes of a text: chunks between images apart, later ones without id 1 in front."""
    first, *later = [pipeline.encode(chunk).ids for chunk in IMAGE_TAG.split(text)]
    for chunk in later:
        first = first + [0] * images[0].shape[-1] + chunk[chunk[0] == 1 :]
    return first


@given(words=WORDS, images=st.integers(0, 3), pauses=st.integers(0, 9), plan=st.lists(WORDS, max_size=2))
def test_ids_are_those_of_the_files_own_pipeline(published, tokens, words, images, pauses, plan):
    text, shown = layout(words, images, plan, pauses), [IMAGE] * images
    assert tokens.prompt(words, shown, plan, pauses).ids == ids_of(published[1], text, shown)


def test_negative_filler_and_pause_are_the_files_own(published, tokens):
    pipeline = published[1]
    assert tokens.negative().ids == pipeline.encode(layout(NEGATIVE, 0)).ids
    assert tokens.pause_id == pipeline.token_to_id(PAUSE)
    assert tokens.filler_id == pipeline.encode(FILLER).ids[-1]


# Pieces that transformers 4.45.2 and the official OmniGenProcessor (d475201) give for the first tokenizer above.
OFFICIAL = {
    "llama2_bos": ["<s>", "<|user|>", "▁Generate"],
    "llama2": ["<|user|>", "▁Generate"],
}


@pytest.mark.parametrize("kind", OFFICIAL)
def test_a_llama_prompt_begins_as_officially(tmp_path, kind):
    path = official.folder(tmp_path / kind, kind)
    made = checkpoint.load(path).tokens.prompt("make it red").ids
    pieces = [Tokenizer.from_file(str(path / "tokenizer.json")).id_to_token(i) for i in made]
    assert pieces[: len(OFFICIAL[kind])] == OFFICIAL[kind]


@pytest.mark.parametrize("kind", official.KINDS)
def test_saving_carries_the_files_over_byte_for_byte(tmp_path, kind):
    path = official.folder(tmp_path / "official", kind, pause=True)
    checkpoint.save(tmp_path / "stock", checkpoint.load(path))
    checkpoint.save(tmp_path / "again", checkpoint.load(tmp_path / "stock"))
    names = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    names |= {"tokenizer.model"} if kind != "byte_level" else set()
    for made in (tmp_path / "stock" / "tokenizer", tmp_path / "again" / "tokenizer"):
        assert {file.name for file in made.iterdir()} == names
        for name in names:
            assert (made / name).read_bytes() == (path / name).read_bytes(), name


@pytest.mark.parametrize("kind", official.KINDS)
def test_a_pause_token_adds_one_entry_and_changes_nothing_else(tmp_path, kind):
    path = official.folder(tmp_path / "official", kind)
    weights = checkpoint.load(path)
    checkpoint.save(tmp_path / "stock", weights)
    made = tmp_path / "stock" / "tokenizer"
    before, after = ((folder / "tokenizer.json").read_text() for folder in (path, made))
    old, new = json.loads(before), json.loads(after)
    added = new["added_tokens"].pop()
    assert (added["content"], added["id"], added["special"]) == (PAUSE, weights.tokens.pause_id, True)
    assert new == old
    extra = len(after) - len(before)  # one insertion: what stands before and behind it is as it was
    start = next(i for i, (one, other) in enumerate(zip(before, after)) if one != other)
    assert before[:start] + before[start:] == after[:start] + after[start + extra :]
    for file in path.glob("*token*"):
        if file.name != "tokenizer.json":
            assert file.read_bytes() == (made / file.name).read_bytes(), file.name
    again = checkpoint.load(tmp_path / "stock").tokens
    assert again.prompt("make it red", [], (), 3).ids == weights.tokens.prompt("make it red", [], (), 3).ids


@pytest.mark.parametrize("kind", official.KINDS)
@pytest.mark.parametrize("pause", [False, True])
def test_the_stock_pipeline_makes_the_same_ids_of_what_is_saved(tmp_path, kind, pause):
    """diffusers reads the class that model_index.json names, under any transformers of the declared range."""
    from diffusers import OmniGenPipeline

    weights = checkpoint.load(official.folder(tmp_path / "official", kind, pause=pause))
    checkpoint.save(tmp_path / "stock", weights)
    stock = OmniGenPipeline.from_pretrained(tmp_path / "stock").tokenizer
    for text in (layout("make it  red", 0, (), 2), layout(NEGATIVE), "</img> blue<|end|>\n", " and"):
        assert stock(text).input_ids == list(weights.tokens._chunk(text))


def test_the_shipped_tokenizers_are_readable_by_every_transformers_of_the_declared_range():
    """Version 5 writes classes and keys that version 4 refuses; `make test-bounds` loads them under the lowest."""
    for config in sorted((Path(__file__).parents[2] / "assets" / "tiny").rglob("tokenizer_config.json")):
        found = json.loads(config.read_text())
        assert found["tokenizer_class"] == "PreTrainedTokenizerFast", config
        assert not isinstance(found.get("extra_special_tokens"), list), config
    index = json.loads((Path(__file__).parents[2] / "assets/tiny/omnigen/model_index.json").read_text())
    assert index["tokenizer"] == ["transformers", "PreTrainedTokenizerFast"]


def test_a_config_that_contradicts_the_file_is_said_and_the_file_counts(tmp_path, capsys):
    path = official.folder(tmp_path / "official", "llama2")
    config = path / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"add_bos_token": True}))
    assert checkpoint.load(path).tokens.prompt("red").ids[0] != 1
    assert "add_bos_token is True" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no tokenizer.json"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git-lfs pointer"),
        ("{", "cannot be read"),
    ],
)
def test_a_tokenizer_that_cannot_be_read_is_one_line(tmp_path, text, said):
    path = official.folder(tmp_path / "official")
    (path / "tokenizer.json").unlink() if text is None else (path / "tokenizer.json").write_text(text)
    with pytest.raises(MadiError, match=said) as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)
