"""Grids of runs: what a block stands for, how its slips are told, and the table and plots it gets."""

from pathlib import Path

import pytest
import yaml

from madi import config, grid_tables, grids, settle
from madi.errors import MadiError
from madi.grids import Grid
from madi.tables.asking import merged
from madi.tables.spec import TablesSpec

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "config/demo.yaml"
RATE = """
grids:
  rate:
    like: magd
    axes:
      magd.rate: [0.125, 0.25, 0.5]
      magd.noise_level: [0.5, 0.7]
    seeds: [0, 1]
    benchmarks: [emu_edit, geneval]
    pauses: [0, 8]
"""


@pytest.fixture
def laid(tmp_path):
    """The demo with a grid laid over it, as a function of the grid's text."""

    def lay(text=RATE):
        (tmp_path / "grid.yaml").write_text(text)
        return config.load([DEMO, tmp_path / "grid.yaml"])

    return lay


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_a_run_a_point_and_seed_differs_from_the_one_it_is_like_by_its_axes_alone(laid):
    made, demo = laid(), config.load(DEMO)
    runs = {name: run for name, run in made.train.runs.items() if name not in demo.train.runs}
    assert len(runs) == 3 * 2 * 2
    run = runs["rate_rate0p125_noise_level0p5_seed1"]
    magd = demo.train.runs["magd"]
    own = magd.magd.model_copy(update={"rate": 0.125, "noise_level": 0.5})
    assert run == magd.model_copy(update={"magd": own, "seed": 1})


def test_each_run_is_an_editor_with_a_job_of_its_own_asked_for_each_benchmark(laid):
    made, demo = laid(), config.load(DEMO)
    jobs = {name: job for name, job in settle.jobs(made).items() if name not in settle.jobs(demo)}
    assert len(jobs) == 12
    for name, job in jobs.items():
        assert settle.runs_of(job) == [name] and [ask.pauses for ask in job.asks] == [[0, 8], [0, 8]]
        assert settle.sets_of(job.asks) == ["emu_edit", "geneval"]


def test_its_jobs_may_be_split_otherwise_than_the_rest(laid):
    made, demo = laid(RATE + "    shards: 3\n"), config.load(DEMO)
    split = settle.shards(made)
    assert {job for job, count in split.items() if count == 3} == set(split) - set(settle.jobs(demo)) != set()


def test_a_number_has_one_name_however_it_is_spelt(laid):
    names = [
        {p.name for p in grids.points("g", Grid(like="ft", axes={"learning_rate": [value]}, benchmarks=["geneval"]))}
        for value in ("1e-4", "1.0e-4", 1e-4)
    ]
    assert names == [{"g_learning_rate0p0001"}] * 3


def test_what_was_there_before_keeps_its_slices(laid):
    before = settle.slices(config.load(DEMO), {})
    after = settle.slices(laid(), {})
    assert {part for part, text in before.items() if after[part] != text} == {"tables"}


def test_a_config_without_grids_has_its_tables_as_they_are_declared(laid):
    demo = config.load(DEMO)
    file = settle.table_file(demo.tables.file)
    idea_bench = file["tables"]["idea_bench"]
    shown = idea_bench | {"blocks": {"idea_bench": idea_bench["blocks"]["idea_bench"]}}  # no official protocol here
    assert settle.declared(demo) == file | {"tables": file["tables"] | {"idea_bench": shown}}


def test_names_say_values_and_keep_to_lower_case_letters_digits_and_underscores():
    values = [0.125, 1e-05, "5e-5", True, 800, "noise_first", -1.5]
    assert [grids.text(value) for value in values] == ["0p125", "1em05", "5em5", "true", "800", "noise_first", "m1p5"]
    assert grids.labels({"magd.rate": [], "drop.text": []}) == {"magd.rate": "rate", "drop.text": "text"}
    assert grids.labels({"a.rate": [], "b.rate": []}) == {"a.rate": "a_rate", "b.rate": "b_rate"}


SLIPS = [  # what is written, what instead, key, what is told
    (
        "magd.rate:",
        "magd.rat:",
        "grids.rate.axes.magd.rat",
        "unknown key; expected one of draw, .*`rate`?",
    ),
    ("magd.rate:", "magdd.rate:", "grids.rate.axes.magdd.rate", "unknown key; .*did you mean `magd`?"),
    ("magd.rate:", "magd:", "grids.rate.axes.magd", "no value but a section; expected a key in it"),
    ("magd.rate:", "seed:", "grids.rate.axes.seed", "no axis; expected `seeds` beside `axes`"),
    ("0.125,", "3,", r"grids.rate.axes.magd.rate\[0\]", "found 3; expected less than or equal to 1"),
    ("0.125,", "much,", r"grids.rate.axes.magd.rate\[0\]", "found 'much'; expected a valid number"),
    ("0.125,", "0.25,", "grids.rate.axes", "two points have one name; expected each value of an axis once"),
    ("like: magd", "like: mgad", "grids.rate.like", "found 'mgad'; expected one of ft, .*did you mean `magd`?"),
    ("like: magd", "like: ft", r"grids.rate.axes.magd.rate\[0\]", "expected magd.probability too: it has none"),
    ("[emu_edit, geneval]", "[emu_edti]", r"grids.rate.benchmarks\[0\]", "found 'emu_edti'"),
    ("[emu_edit, geneval]", "[geneval, geneval]", "grids.rate.benchmarks", "each once"),
    ("seeds: [0, 1]", "seeds: []", "grids.rate.seeds", "1 or more"),
    ("pauses:", "pause:", "grids.rate.pause", "unknown key; .*did you mean `pauses`?"),
    ("like: magd", "lik: magd", "grids.rate.lik", "unknown key; .*did you mean `like`?"),
    ("  rate:\n    like", "  Rate:\n    like", r"grids.Rate", "lower case letters, digits and _"),
]


@pytest.mark.parametrize("old, new, key, told", SLIPS)
def test_a_slip_in_a_grid_is_one_line_at_its_key(laid, old, new, key, told):
    assert old in RATE
    with pytest.raises(MadiError, match=rf"grid.yaml:\d+ {key}: .*{told}") as fault:
        laid(RATE.replace(old, new, 1))
    assert "\n" not in str(fault.value)


def test_values_that_do_not_go_together_are_named_by_their_run(laid):
    text = RATE.replace("magd.rate: [0.125, 0.25, 0.5]", "drop.all: [0.5, 0.9]")
    text = text.replace("magd.noise_level: [0.5, 0.7]", "drop.text: [0.05, 0.4]")
    with pytest.raises(MadiError, match="the values of rate_all0p9_text0p4_seed0; expected all . text at most 1"):
        laid(text)


def test_a_name_that_is_taken_is_told(laid):
    run = "train: {runs: {rate_rate0p5_noise_level0p5_seed1: {like: magd}}}"
    with pytest.raises(MadiError, match="stands for train.runs.rate_rate0p5_noise_level0p5_seed1, which is there"):
        laid(RATE + run)


def test_portions_of_a_mixture_may_be_an_axis(laid):
    mixture = "{planned: {planned: true, weight: 1}, plain: {planned: false, weight: 1}}"
    text = f"train: {{runs: {{mixed: {{like: magd, mixture: {mixture}}}}}}}\n" + RATE.replace("magd\n", "mixed\n", 1)
    text = text.replace("magd.rate: [0.125, 0.25, 0.5]", "mixture.planned.weight: [1, 3]")
    runs = laid(text).train.runs
    assert runs["rate_weight3_noise_level0p5_seed0"].mixture["planned"].weight == 3


@pytest.fixture
def spec(laid):
    return TablesSpec.model_validate(settle.declared(laid()))


def test_a_grid_has_a_table_with_a_row_a_point_and_its_seeds_pooled(spec):
    blocks = spec.tables["grid_rate"].blocks
    assert list(blocks) == ["emu_edit", "geneval"]
    block = blocks["emu_edit"]
    assert len(block.rows) == 6
    row = block.rows["rate_rate0p25_noise_level0p7"]
    assert row.title == "rate 0.25, noise_level 0.7"
    assert spec.systems[row.system].editors == [f"rate_rate0p25_noise_level0p7_seed{seed}" for seed in (0, 1)]
    metrics = ("CLIP-I", "DINO", "CLIP-T", "CLIP-Dir", "MLLM")
    wanted = ["magd.rate", "magd.noise_level", *(f"{metric}/{pause}" for pause in (0, 8) for metric in metrics)]
    assert list(block.columns) == wanted
    assert block.columns["DINO/8"].pauses == [8] and block.columns["magd.rate"].fact.config == ["runs.{run}.magd.rate"]
    assert "GenEval/0" in blocks["geneval"].columns and "DINO/0" not in blocks["geneval"].columns


def test_its_plot_has_the_first_axis_along_and_a_line_for_each_value_of_the_others(spec):
    figure = spec.figures["figure_grid_rate_emu_edit"]
    (block,) = figure.blocks.values()
    assert figure.plot == "lines" and list(block.rows) == ["0p5", "0p7"]
    first = [name for name, column in block.columns.items() if column.group == "CLIP-Dir"]
    assert [block.columns[name].title for name in first] == ["0.125", "0.25", "0.5"]
    asked = merged(block, block.rows["0p7"], block.columns["DINO/0p25"])
    assert asked.system == "rate_rate0p25_noise_level0p7" and asked.metric == "DINO" and asked.benchmark == "emu_edit"


def test_a_thousand_points_are_declared_in_a_moment():
    axes = {"magd.rate": [n / 100 for n in range(1, 41)], "magd.noise_level": [n / 100 for n in range(1, 26)]}
    grid = Grid(like="magd", axes=axes, benchmarks=["emu_edit"])
    points = grids.points("rate", grid)
    assert len({point.name for point in points}) == 1000
    declared = grid_tables.declared({"metrics": {"DINO": {}}}, {"rate": grid})
    assert len(declared["systems"]) == 1000 and len(declared["figures"]["figure_grid_rate_emu_edit"]["blocks"]) == 1


@pytest.mark.parametrize("path", sorted((ROOT / "config/grids").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_grids_that_are_shipped_lie_over_the_scales(path):
    for scale in ("demo", "paper"):
        made = config.load([ROOT / f"config/{scale}.yaml", path])
        TablesSpec.model_validate(settle.declared(made))
        (grid,) = made.grids.values()
        assert yaml.safe_load(path.read_text())["grids"] and len(made.train.runs) >= 12 and grid.like == "magd"
