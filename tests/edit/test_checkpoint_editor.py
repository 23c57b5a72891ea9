"""Edits by weights: two and three branches, noise shared, a sample alone as in a batch."""

import numpy as np
import pytest
import tiny_omnigen
from test_edit_job import job, sample_row, write_samples

from madi import images, provenance, records, samples, shards
from madi.edit import shard
from madi.edit.work import Work
from madi.errors import MadiError
from madi.model.sampler import Sampler


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_omnigen.weights_folder(tmp_path_factory.mktemp("weights") / "base")


@pytest.fixture(scope="module")
def editor(folder):
    from madi.edit.editors.checkpoint import Checkpoint

    return Checkpoint(folder, job(("copy",)).sampler, 32, "0" * 64)


def works(pauses=(0,), seed=0):
    """An edit, a text-to-image prompt, a two-image edit and an edit of other sides, at each pause count."""
    rows = [sample_row(0), sample_row(1, sources=0), sample_row(2, sources=2), sample_row(3)]
    rows[3]["sources"] = [images.picture(np.full((33, 50, 3), 90, np.uint8))]
    ring = [samples.Sample(row, "made", number) for number, row in enumerate(rows)]
    return [Work("omnigen", "emu_edit", sample, pause, seed) for sample in ring for pause in pauses]


def test_each_kind_of_sample_comes_out_at_its_size(editor):
    results = editor.edit(works())
    assert [result.image.shape for result in results] == [(32, 32, 3)] * 3 + [(32, 48, 3)]
    for result, images_seen in zip(results, (1, 0, 2, 1)):
        assert result.prompt.count("<img>") == images_seen and result.reason is None
        assert result.tokens > 4 * images_seen  # 2x2 tokens an image of 32 px, and words


def test_alone_equals_batched(editor):
    asked = works((0, 3))
    together = editor.edit(asked)
    for work, result in zip(asked, together):
        alone = editor.edit([work])[0]
        assert np.abs(alone.image.astype(int) - result.image.astype(int)).max() <= 1
        assert (alone.prompt, alone.tokens) == (result.prompt, result.tokens)


def test_pauses_stand_in_the_prompt_and_change_the_edit(editor):
    without, with_three = editor.edit(works((0, 3))[:2])
    assert with_three.tokens == without.tokens + 3
    assert with_three.prompt.count("<|pause|>") == 3 and "<|pause|>" not in without.prompt
    assert (with_three.image != without.image).any()


def test_filler_words_stand_where_pauses_would_and_are_other_edits(folder, editor):
    from madi.edit.editors.checkpoint import Checkpoint

    control = Checkpoint(folder, job(("copy",)).sampler, 32, "0" * 64, "filler")
    tokens = control.weights.tokens
    pauses, fillers = (tokens.branches("make it red", (), 3, kind).conditional.ids for kind in ("pause", "filler"))
    changed = [place for place, (one, other) in enumerate(zip(pauses, fillers)) if one != other]
    assert len(pauses) == len(fillers) and len(changed) == 3
    assert {pauses[place] for place in changed} == {tokens.pause_id} != {fillers[place] for place in changed}
    for pause in (0, 3):
        [one], [other] = (made.edit(works((pause,))[:1]) for made in (editor, control))
        assert one.tokens == other.tokens and (one.image == other.image).all() == (pause == 0)
    assert "<|pause|>" not in other.prompt and other.prompt.count(" and") == 3


def test_a_shift_adds_no_token_and_is_another_edit(folder, editor):
    from madi.edit.editors.checkpoint import Checkpoint

    control = Checkpoint(folder, job(("copy",)).sampler, 32, "0" * 64, "shift")
    for pause in (0, 8):
        [one], [other] = (made.edit(works((pause,))[:1]) for made in (editor, control))
        assert other.tokens == one.tokens - pause and (one.image == other.image).all() == (pause == 0)
    assert "<|pause|>" not in other.prompt


def test_works_on_their_own_turns_are_shown_their_own_sources(editor):
    """At each pause count another source, though they are of one sample; and none depends on the others."""
    sources = {pause: images.picture(np.full((32, 32, 3), 60 + 20 * pause, np.uint8)) for pause in (0, 3)}
    rows = {pause: sample_row(0, follows="s9") | {"sources": [source]} for pause, source in sources.items()}
    asked = [Work("own", "emu_edit", samples.Sample(row, "made", 0), pause, 0, True) for pause, row in rows.items()]
    for work, result in zip(asked, editor.edit(asked)):
        [alone] = editor.edit([Work("own", "emu_edit", work.sample, work.pause, 0)])
        assert np.abs(alone.image.astype(int) - result.image.astype(int)).max() <= 1


def test_noise_is_the_samples_and_seeds_alone(editor, monkeypatch):
    drawn = []
    monkeypatch.setattr(Sampler, "__call__", lambda self, branches, noise, requests: drawn.append(noise) or noise)
    for asked in (works((0, 8))[:2], works((16,))[:1], works(seed=1)[:1], works()[1:2]):
        editor.edit(asked)
    pauses, again, other_seed, other_sample = drawn
    assert (pauses[0] == pauses[1]).all() and (pauses[0] == again[0]).all()
    assert (again != other_seed).any() and (again != other_sample).any()


def test_latents_that_are_not_finite_are_a_failed_edit(editor, monkeypatch):
    monkeypatch.setattr(Sampler, "__call__", lambda self, branches, noise, requests: noise * float("nan"))
    result = editor.edit(works()[:1])[0]
    assert result.image is None and result.reason == "the latents are not finite"


def test_a_job_of_weights_and_references_writes_every_row(folder, tmp_path):
    asks = [
        {"benchmark": "emu_edit", "editors": ["omnigen", "ft", "truth_vae"], "pauses": [0], "seeds": [0]},
        {"benchmark": "emu_edit", "editors": ["ft"], "pauses": [8], "seeds": [0]},
    ]
    made = job(("truth_vae",)).model_dump() | {"asks": asks, "base": str(folder)}
    made["editors"] = {
        "omnigen": {"kind": "base", "run": None},
        "ft": {"kind": "run", "run": "ft"},
        "truth_vae": {"kind": "truth_vae", "run": None},
    }
    (tmp_path / "weights").symlink_to(folder)
    shards.write_json(tmp_path / "weights.json", provenance.file_shas(folder))
    files = {"emu_edit": write_samples(tmp_path / "s.parquet", [sample_row(n) for n in range(3)])}
    work = type(job()).model_validate(made)
    out, contact = tmp_path / "edits.parquet", tmp_path / "contact.jpg"
    shard.run(work, files, {"ft": tmp_path / "weights.json"}, out, contact)
    rows = shards.read(out, records.EDIT)
    assert len(rows) == 3 * 4 and {row["status"] for row in rows} == {"ok"}
    by_key = {(row["editor"], row["pause"], row["sample_id"]): row for row in rows}
    for name in ("s0", "s1", "s2"):  # the same weights, noise and prompt: the same picture
        assert by_key["omnigen", 0, name]["image_sha"] == by_key["ft", 0, name]["image_sha"]
    assert {row["rope"] for row in rows} == {"short", "none"}
    assert len({row["weights_sha"] for row in rows}) == 1
    assert images.decode(contact.read_bytes(), "contact").shape[0] > 100


def test_weights_that_are_not_there_are_named(tmp_path):
    from madi.edit.editors.checkpoint import Checkpoint

    with pytest.raises(MadiError, match=str(tmp_path)):
        Checkpoint(tmp_path, job(("copy",)).sampler, 32, "0" * 64)


def test_weights_that_the_training_did_not_write_are_named(tmp_path):
    path = tmp_path / "weights" / "transformer" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"of this run")
    shards.write_json(tmp_path / "weights.json", provenance.file_shas(tmp_path / "weights"))
    assert shard.trained(tmp_path / "weights.json") == tmp_path / "weights"
    (path.parent / ".DS_Store").write_bytes(b"left by a file manager")
    assert shard.trained(tmp_path / "weights.json") == tmp_path / "weights"
    path.write_bytes(b"of another")
    with pytest.raises(MadiError, match=r"transformer/model\.safetensors"):
        shard.trained(tmp_path / "weights.json")
