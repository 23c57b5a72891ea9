"""`madi cost` from the command line: totals, targets, money, what is warned of, and an error in one line."""

import json
from pathlib import Path

import pytest
import yaml

from madi import cli, configfile, settle
from madi.config import load, parse
from madi.cost import calls, machine, shown, stages

DEMO, PAPER = "config/demo.yaml", "config/paper.yaml"
TIMES = json.loads(Path("tests/cost/demo_times.json").read_text())


def cost(capsys, *words):
    assert cli.main(["cost", *map(str, words)]) == 0
    return capsys.readouterr().out


def told(tmp_path, capsys, *words) -> dict:
    cost(capsys, "--json", tmp_path / "cost.json", *words)
    return json.loads((tmp_path / "cost.json").read_text())


def row(found: dict, stage: str) -> dict:
    return next(one for one in found["rows"] if one["stage"] == stage)


def laid_over(tmp_path, **over):
    """A file of differences over a config."""
    path = tmp_path / "over.yaml"
    path.write_text(yaml.safe_dump(over))
    return path


@pytest.mark.parametrize("config", [DEMO, PAPER])
def test_the_total_is_the_sum_of_the_targets(tmp_path, capsys, config):
    whole = row(told(tmp_path, capsys, "--config", config, "--width", 3), "total")
    alone = [row(told(tmp_path, capsys, name, "--config", config, "--width", 3), "total") for name in stages.NAMES]
    for name in (*shown.SUMS, "jobs", "wall_hours"):
        assert whole[name] == pytest.approx(sum(one[name] for one in alone)), name


def test_twice_the_steps_take_twice_the_hours(tmp_path, capsys):
    raw = configfile.read(PAPER).content
    twice = {"steps": 8000, "save_every": 10**6, "validate_edits": None}
    both = []
    for more in ({"save_every": 10**6, "validate_edits": None}, twice):
        runs = {"ft": raw["train"]["runs"]["ft"] | more}
        config = parse(raw | {"train": raw["train"] | {"runs": runs}, "edit": edit_of(raw, ["omnigen", "ft"])})
        found = stages.estimate(config, *machine.pair(None), "train")[0].parts[0]
        both.append(sum(one.value for one in found.told if one.name in ("ft: steps", "ft: updates")))
    assert both[1] == pytest.approx(2 * both[0])


def edit_of(raw, names):
    ask = {"benchmark": "emu_edit", "editors": names, "pauses": [0], "seeds": [0]}
    editors = {name: raw["edit"]["editors"][name] for name in names}
    return raw["edit"] | {"editors": editors, "shards_of": {}, "asks": {"one": ask}}


@pytest.mark.parametrize("job", TIMES["seconds"])
def test_the_demos_measured_times_are_met_within_a_factor_of_two(job):
    """By the core that was measured on the same machine."""
    rule, _, name = job.partition("/")
    config = load(DEMO)
    parts = [p for stage in stages.estimate(config, *machine.pair("cpu_core")) for p in stage.parts if p.rule == rule]
    names = {"data_prepare": ["train"], "train_run": list(config.train.runs)}.get(rule) or parts[0].names or (name,)
    seconds = parts[0].seconds[list(names).index(name)]
    assert 0.5 < seconds / TIMES["seconds"][job] < 2


def test_the_demo_as_a_whole_takes_what_the_readme_says():
    """Two cores, 11 to 17 minutes."""
    found = stages.estimate(load(DEMO), *machine.pair("cpu_core"))
    assert 11 / 2 < 60 * sum(stage.wall(2) for stage in found) < 17 * 2


def test_a_paper_run_on_four_a100_takes_what_its_config_says(tmp_path, capsys):
    """`config/paper.yaml`: 45 to 80 hours."""
    found = told(tmp_path, capsys, "train", "--config", PAPER, "--width", 7)
    assert 45 < row(found, "train")["wall_hours"] < 80
    assert row(found, "train")["gpu_hours"] == pytest.approx(7 * 4 * row(found, "train")["wall_hours"], rel=0.01)


def test_width_shortens_the_wall_and_nothing_else(tmp_path, capsys):
    one, many = (row(told(tmp_path, capsys, "--config", PAPER, "--width", n), "total") for n in (1, 100))
    assert many["wall_hours"] < one["wall_hours"] / 3
    assert {**one, "wall_hours": 0} == {**many, "wall_hours": 0}


def test_jobs_fill_the_width_longest_first():
    assert stages.makespan([3, 3, 2, 2, 2], 2) == 7 and stages.makespan([5, 1], 10) == 5 and stages.makespan([], 3) == 0


def test_formulas_are_shown_with_what_goes_in(capsys):
    out = cost(capsys, "train", "--config", PAPER, "--explain")
    assert "steps x batch x operations / (peak x share x devices)" in out
    for line in ("steps: 4,000", "batch: 128", "machine: a100-80gb", "share (train): 0.5", "devices: 4"):
        assert line in out


def test_gpu_hours_have_a_price(capsys, tmp_path):
    hours = row(told(tmp_path, capsys, "train", "--config", PAPER), "total")["gpu_hours"]
    assert f"= {hours * 2:,.0f} EUR" in cost(capsys, "train", "--config", PAPER, "--price", 2)
    assert "EUR" not in cost(capsys, "train", "--config", PAPER) + cost(capsys, "--price", 2)


def test_calls_cost_tokens_by_the_prices():
    config = load(PAPER)
    asked = {("plans", "train"): 1000}
    found = calls.of(config, "gemini", asked)
    sent, answered = calls.tokens("plans", "train", config.size_px)
    assert found.count == 1000
    assert found.money == pytest.approx(1000 * (sent * 0.10 + answered * 0.40) / 1e6)
    assert sent > 258  # a picture of at most 768 px is a tile
    assert calls.of(config, "oracle", asked) == calls.Calls()


def test_larger_pictures_are_more_tiles():
    assert [calls.tiles(px) for px in (128, 384, 512, 768, 1024, 1568)] == [1, 1, 1, 1, 4, 9]
    two, one = calls.tokens("idea_bench", "idea_bench", 1024)[0], calls.tokens("idea_bench", "emu_edit", 1024)[0]
    assert two - one == 4 * 258  # one source more


def test_plans_are_of_their_share_of_the_edits(tmp_path, capsys):
    found = told(tmp_path, capsys, "prompts", "--config", PAPER)
    plans = next(part for part in found["parts"]["prompts"] if part["rule"] == "prompts_plan")
    assert plans["calls"] == 100_000


def test_an_estimate_over_a_budget_is_warned_of(capsys, tmp_path):
    over = laid_over(tmp_path, mllms={"gemini": {"budget": 1}})
    out = cost(capsys, "prompts", "--config", PAPER, "--config", over)
    assert "warning: prompts_plan train: about" in out and "over the budget of gemini, 1 a job" in out
    assert "over the budget" not in cost(capsys, "--config", PAPER)
    few = laid_over(tmp_path, mllms={"gemini": {"calls": 10}})
    assert "over the limit of gemini" in cost(capsys, "prompts", "--config", PAPER, "--config", few)


def test_jobs_longer_than_a_day_are_warned_of(tmp_path, capsys):
    whole = laid_over(tmp_path, edit={"shards": 1, "shards_of": {"magd_ep": 1}})
    assert "longer than a day, magd_ep with" in cost(capsys, "edit", "--config", PAPER, "--config", whole)
    few = laid_over(tmp_path, edit={"shards": 2, "shards_of": {"magd_ep": 4}}, data={"latents": {"shards": 1}})
    out = cost(capsys, "--config", PAPER, "--config", few)
    assert "magd_ep with 71 hours the longest: `edit.shards_of: {magd_ep: 24}` would have each take half a day" in out
    assert "data_latents: a job is longer than a day, 55 hours the longest: 5 shards would have each" in out
    assert "longer than a day" not in cost(capsys)


def test_shards_of_minutes_are_warned_of(tmp_path, capsys):
    many = laid_over(tmp_path, edit={"shards_of": {"hq_edit": 9}})
    out = cost(capsys, "edit", "--config", PAPER, "--config", many)
    assert "hq_edit's 9 shards take 6 minutes each: `edit.shards_of: {hq_edit: 1}`" in out


def test_a_shard_of_the_papers_edits_takes_half_an_hour_to_half_a_day():
    (edit,) = stages.estimate(load(PAPER), *machine.pair(None), "edit")
    jobs = [one for part in edit.parts for one in zip(part.names, part.seconds, strict=True)]
    split = [seconds / 3600 for name, seconds in jobs if [other for other, _ in jobs].count(name) > 1]
    assert len(split) > 100 and min(split) >= 0.5 and max(split) <= 12


@pytest.mark.parametrize(
    "words, said",
    [
        (["eddit"], "no stage called 'eddit'; expected one of data, prompts, train, edit, score, tables"),
        (["--machine", "abacus"], "no machine called 'abacus'"),
        (["--config", "none.yaml"], "no such file"),
        (["--width", "0"], "width"),
        (["--calibrate", "--machine", "a100-80gb"], "cannot be measured"),
    ],
)
def test_a_slip_is_one_line(capsys, words, said):
    assert cli.main(["cost", *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


BROKEN = [{"peak": -1}, {"shares": {"train": 0.5}}, {"seconds": {}}, {"colour": "red"}, {"shares": [1]}, {"seconds": 3}]
BROKEN += [{"memory": "x"}, {"disk": 0}, {"cores": 0}, {"device": "tpu"}, {"price": "2"}, {"peak": True}]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_machines_file_is_one_line(tmp_path, capsys, broken):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(json.loads(machine.file_of("cpu_core").read_text()) | broken))
    assert cli.main(["cost", "--machine", str(path)]) == 2
    err = capsys.readouterr().err
    assert str(path) in err and err.count("\n") == 1


def test_a_machine_of_ones_own_takes_its_place(tmp_path, capsys):
    path = tmp_path / "mine.json"
    core = json.loads(machine.file_of("cpu_core").read_text())
    path.write_text(json.dumps(core | {"name": "mine", "peak": core["peak"] / 10}))
    slow, fast = (row(told(tmp_path, capsys, "train", *of), "train") for of in (["--machine", path], []))
    assert 5 < slow["core_hours"] / fast["core_hours"] <= 10
    assert "H100" not in cost(capsys, "--machine", path) and "cores as mine" in cost(capsys, "--machine", path)


@pytest.mark.parametrize("jobs, said", [("12", "12 jobs at once"), ("all", None)])
def test_the_width_is_the_profiles(tmp_path, monkeypatch, capsys, jobs, said):
    from madi.cost import run

    profile = tmp_path / "config.yaml"
    profile.write_text(f"jobs: {jobs}\n")
    monkeypatch.setattr(run, "PROFILE", profile)
    if said:
        assert said in cost(capsys, "train", "--config", PAPER)
        assert said not in cost(capsys, "train")  # nothing of the demo takes a GPU
    else:
        assert cli.main(["cost", "train", "--config", PAPER]) == 2
        assert "a whole number of jobs" in capsys.readouterr().err


def test_calibrating_measures_every_share_and_second(tmp_path, monkeypatch):
    from madi.cost import calibrate

    for name, value in {"SAMPLES": 3, "STEPS": 1, "PX": 64, "SIDE": 256}.items():
        monkeypatch.setattr(calibrate, name, value)
    monkeypatch.setattr(calibrate, "started", lambda words: 1.0)
    made = calibrate.measure(load("config/smoke.yaml"), "here")
    machine.write(made, tmp_path / "machine_here.json")
    assert machine.read(tmp_path / "machine_here.json") == made
    assert made.device == "cpu" and set(made.seconds) == set(machine.ITEMS) and all(made.shares.values())


def test_scores_on_a_gpu_take_hours_of_it_and_none_of_cores(tmp_path, capsys):
    """The same operations either way; what a device does not change, a CPU's hours count alone."""
    on_cores = laid_over(tmp_path, score={"device": "cpu"})
    fast = row(told(tmp_path, capsys, "score", "--config", PAPER), "score")
    slow = row(told(tmp_path, capsys, "score", "--config", PAPER, "--config", on_cores), "score")
    assert fast["operations"] == slow["operations"]
    assert 0 < fast["gpu_hours"] < 30 and slow["gpu_hours"] == 0
    assert slow["core_hours"] > 500 and fast["core_hours"] < 10  # the judge's jobs alone


def test_the_gpus_of_scores_are_those_that_the_rules_ask_for():
    config = load(PAPER)
    [found] = stages.estimate(config, *machine.pair(None), "score")
    parts = {part.rule: part for part in found.parts if part.rule == "score_shard"}
    assert parts["score_shard"].gpus == settle.score_gpus(config, ["emu_edit"]) == 1
    none = config.model_copy(update={"score": config.score.model_copy(update={"device": "cpu"})})
    assert settle.score_gpus(none, ["emu_edit"]) == settle.score_gpus(none, ["geneval"]) == 0
    own = none.score.model_copy(update={"geneval": none.score.geneval.model_copy(update={"device": "cuda"})})
    detected = none.model_copy(update={"score": own})
    assert (settle.score_gpus(detected, ["emu_edit"]), settle.score_gpus(detected, ["geneval"])) == (0, 1)
