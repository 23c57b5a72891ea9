"""How many edits and answers there are: as the stages that make them would count."""

from collections import Counter

import pytest

from madi import configfile, outside, settle
from madi.config import load, parse
from madi.cost import machine, stages
from madi.cost.counts import Counts
from madi.cost.shapes import edit_share, prompt, region_share, stream

DEMO, PAPER = "config/demo.yaml", "config/paper.yaml"


def changed(path=DEMO, **parts):
    """A config with some of its values replaced; `edit__asks` stands for a path of keys."""
    raw = dict(configfile.read(path).content)
    for keys, value in parts.items():
        *before, last = keys.split("__")
        at = raw
        for key in before:
            at[key] = dict(at[key])
            at = at[key]
        at[last] = value
    return parse(raw)


def asked(**asks):
    """A demo with two of its editors and these asks alone."""
    editors = {"omnigen": {"kind": "base"}, "own": {"kind": "base", "turns": "own", "job": "omnigen"}}
    used = {name for ask in asks.values() for name in ask["editors"]}
    return changed(edit__editors={name: editors[name] for name in editors if name in used}, edit__asks=asks)


def ask(benchmark="emu_edit", editors=("omnigen",), pauses=(0,), seeds=(0,), **more):
    return {"benchmark": benchmark, "editors": list(editors), "pauses": list(pauses), "seeds": list(seeds)} | more


def total(config) -> int:
    return sum(Counts(config).edits.values())


def test_the_demos_edits_are_those_that_it_made():
    by_job = Counter()
    for (job, _), count in Counts(load(DEMO)).edits.items():
        by_job[job] += count
    made = {"omnigen": 120, "ft": 72, "magd": 72, "ft_ep": 416, "magd_ep": 704, "ablations": 72, "references": 396}
    assert by_job == made


def test_what_is_asked_twice_is_made_once():
    assert total(asked(one=ask())) == 24 == total(asked(one=ask(), two=ask(seeds=(0, 0))))
    assert total(asked(one=ask(), two=ask(pauses=(0, 8)))) == 48
    assert total(asked(one=ask(pauses=(0, 8)), two=ask(seeds=(0, 1)))) == 24 * 3


def test_takes_are_the_same_samples_and_no_more_than_there_are():
    assert total(asked(one=ask(take=10))) == 10 == total(asked(one=ask(take=10), two=ask(take=10)))
    assert total(asked(one=ask(take=10), two=ask(take=4, pauses=(8,)))) == 14
    assert total(asked(one=ask(), two=ask(take=10))) == 24 == total(asked(one=ask(take=1000)))


def test_the_papers_takes_are_counted():
    found = Counts(load(PAPER))
    made = Counter((w.editor, w.benchmark, w.pause, w.seed) for works in found.batches for w in works)
    assert made["magd_ep", "emu_edit", 0, 0] == 3589 and made["magd_ep", "emu_edit", 8, 0] == 500
    assert made["magd_ep", "complex_edit", 0, 1] == 400 and made["magd_ep", "complex_edit", 0, 0] == 800


def test_editors_that_edit_their_own_edits_make_as_many():
    given = asked(one=ask("magicbrush"))
    own = asked(one=ask("magicbrush", ["own"]))
    assert total(given) == total(own) == 12
    assert total(asked(one=ask("magicbrush", ["omnigen", "own"]))) == 24


def test_answers_are_calls_by_protocol_and_rollout():
    config = load(DEMO)
    found = Counts(config).answers
    assert found["omnigen", "complex_edit", "complex_edit"] == 2 * 24  # two calls an edit
    assert found["omnigen", "complex_edit", "five_again"] == 4 * 24
    assert found["omnigen", "complex_edit", "five_questions"] == 24
    assert found["omnigen", "geneval", "five_questions"] == 0  # there is no source to be true to
    again = Counts(changed(score__rollouts=3)).answers
    assert again["omnigen", "emu_edit", "five_questions"] == 3 * found["omnigen", "emu_edit", "five_questions"]
    assert again["omnigen", "emu_edit", "truth"] == found["omnigen", "emu_edit", "truth"]
    own = Counts(changed(score__rollouts_of={"complex_edit": 20})).answers  # as its authors
    dearer = {key: own[key] / count for key, count in found.items() if count and own[key] != count}
    assert dearer and {key[2] for key in dearer} == {"complex_edit"} and set(dearer.values()) == {20}


def test_pauses_are_not_judged_again_by_the_control_of_selection():
    found = Counts(load(DEMO)).answers
    assert found["magd_ep", "complex_edit", "five_again"] == 4 * 24  # of edits without a pause at the first seed


@pytest.mark.parametrize("path", [DEMO, PAPER, "config/smoke.yaml"])
def test_jobs_are_those_of_the_rules(path):
    config = load(path)
    parts = {stage.name: Counter() for stage in estimate(config)}
    for stage in estimate(config):
        for part in stage.parts:
            parts[stage.name][part.rule] += len(part.seconds)
    assert parts["edit"]["edit_shard"] == sum(settle.shards(config).values())
    assert parts["score"]["score_judge"] == parts["score"]["score_shard"] == parts["edit"]["edit_shard"]
    assert parts["train"]["train_run"] == len(config.train.runs)
    assert parts["data"]["data_latents"] == config.data.latents.shards
    assert parts["data"]["data_prepare"] == len(outside.sets(config))
    assert parts["data"]["data_fetch"] == len(outside.fetches(config))
    assert parts["prompts"]["prompts_plan"] == config.prompts.plans.shards


def config_at(config):
    return stages.At(config, *machine.pair("cpu_core"))


def estimate(config, target=None):
    return stages.estimate(config, *machine.pair("cpu_core"), target)


def test_an_averages_shares_are_together_one():
    for path in (DEMO, PAPER):
        config = load(path)
        for run in config.train.runs.values():
            assert sum(share for _, share, _ in stream(config, run)) == pytest.approx(1)


def test_the_papers_mixture_is_half_edits_a_third_of_them_with_a_region():
    config = load(PAPER)
    assert edit_share(config, config.train.runs["magd"]) == pytest.approx(0.5)
    assert region_share(config) == pytest.approx((60000 + 8807) / 200000)


def test_a_prompts_slots_hold_its_pictures():
    made = prompt(2, 128, 9, pauses=4)
    assert [end - begin for begin, end in made.slots] == [64, 64]
    assert len(made) - len(prompt(2, 128, 9)) == 4 and made.slots[1][1] < len(made)
