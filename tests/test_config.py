"""The config: what it takes, what it refuses in one line, and which slice holds which value."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from madi import check, config, configfile, settle
from madi.config import Config, RunSlice
from madi.errors import MadiError

ROOT = Path(__file__).parent.parent
DEMO = (ROOT / "config/demo.yaml").read_text()
STEPS = yaml.safe_load(DEMO)["train"]["runs"]["ft"]["steps"]
SET = f"steps: {STEPS}"  # as the demo says it, however it is tuned


@pytest.fixture(scope="module")
def demo():
    return config.load(ROOT / "config/demo.yaml")


def slip(tmp_path, old, new, text=DEMO):
    """The error for the demo's config with its first `old` replaced."""
    assert old in text
    path = tmp_path / "scale.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(MadiError) as caught:
        config.load(path)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(f"{path}:")
    return line.removeprefix(f"{path}:")


SLIPS = [  # what is written, what is written instead, key path, what was found, what is allowed, nearest known key
    (SET, "stepps: 80", "train.runs.ft.stepps", "unknown key", "learning_rate", "did you mean `steps`?"),
    ("seed: 0\n", "sed: 0\n", "sed", "unknown key", "size_px", "did you mean `seed`?"),
    ("emu_edit: {reader", "emuedit: {reader", "data.benchmarks.emuedit", "'emuedit'", "geneval", "`emu_edit`"),
    (SET, "steps: many", "train.runs.ft.steps", "'many'", "integer", ""),
    (SET, "steps: true", "train.runs.ft.steps", "True", "whole number", ""),
    (SET, "steps: 0", "train.runs.ft.steps", "0", "greater than or equal to 1", ""),
    ("warmup_steps: 10", f"warmup_steps: {STEPS + 1}", "train.runs.ft", "", "warmup_steps at most steps", ""),
    ("learning_rate: 1e-4", "learning_rate: .nan", "train.runs.ft.learning_rate", "nan", "finite", ""),
    ("token: pool", "token: pol", "train.runs.magd.magd.token", "'pol'", "'pool', 'zero' or 'zero_latent'", ""),
    ("text: 0.05", "text: 0.95", "train.runs.ft.drop", "", "all + text at most 1", ""),
    ("size_px: 128", "size_px: 100", "size_px", "100", "multiple of 16", ""),
    ("like: magd, expr", "like: mgad, expr", "train.runs.magd_ep.like", "'mgad'", "magd_level05", "`magd`"),
    ("like: ft, expr", "like: ft_ep, expr", "train.runs.ft_ep.like", "ft_ep -> ft_ep", "", ""),
    ("run: magd_ep}", "run: magdep}", "edit.editors.magd_ep.run", "'magdep'", "magd_zero", "`magd_ep`"),
    ("ft: {kind: run, run: ft}", "ft: {kind: run}", "edit.editors.ft", "{'kind': 'run'}", "run: ...", ""),
    (
        "editors: [omnigen, ft,",
        "editors: [omnigen, ftt,",
        "edit.asks.emu_edit.editors[1]",
        "'ftt'",
        "truth_vae",
        "`ft`",
    ),
    ("    ft: {kind", "    spare: {kind: copy}\n    ft: {kind", "edit.editors.spare", "nothing is asked", "an ask", ""),
    ("    ft: {kind", "    no: {kind: copy}\n    ft: {kind", "edit.editors[0]", "found the key", "string", ""),
    ("{quantile: 0.5}  ", "{quantile: 2}  ", "tables.dino_threshold.quantile", "2", "less than or equal to 1", ""),
    ("{quantile: 0.5}  ", "{value: .nan}  ", "tables.dino_threshold.value", "nan", "finite", ""),
    ("seeds: [0, 1]}", "seeds: [1]}", "edit.asks.geneval.seeds", "[1]", "seed 0", ""),
    ("seeds: [0, 1]}", "seeds: [0, 3000000000]}", "edit.asks.geneval.seeds[1]", "3000000000", "less than", ""),
    ("low: 1, high: 1}", "low: 9, high: 1}", "train.runs.ft.edit_weight", "", "low at most high", ""),
    ("{quantile: 0.5}  ", "{}  ", "tables.dino_threshold", "{}", "one of value, quantile", ""),
    ("size_px: 128", "size_px: 128\ndata: 3", "data", "given twice", "each key once", ""),
    ("  batch: 64\n", "  batch: 64\n  batch: 3\n", "score.batch", "given twice", "each key once", ""),
    ("judge: oracle", "judge: orcale", "score.judge", "'orcale'", "oracle", "`oracle`"),
    ("provider: truth, share", "provider: gemini, share", "prompts.plans.provider", "'gemini'", "truth, grammar", ""),
    (
        "\nedit:\n",
        "\nedit:\n  shards_of: {magdep: 2}\n",
        "edit.shards_of.magdep",
        "'magdep'",
        "references",
        "`magd_ep`",
    ),
    ("mllms: {}", "mllms: {oracle: {kind: local, model: m}}", "mllms.oracle", "something else", "another", ""),
    ("mllms: {}", "mllms: {m: {kind: endpoint, model: m}}", "mllms.m", "", "`url` with kind endpoint", ""),
    ("mllms: {}", "mllms: {m: {kind: local, model: m, budget: 3}}", "mllms.m", "", "beside a budget", ""),
    ("name: demo", "name: [demo", "", "broken YAML", "", ""),
]


@pytest.mark.parametrize("old, new, key, found, allowed, near", SLIPS)
def test_a_slip_is_one_line_with_place_finding_and_what_is_allowed(tmp_path, old, new, key, found, allowed, near):
    line = slip(tmp_path, old, new)
    place = re.match(r"\d+ ?(\S*):", line)[1]
    assert place == key
    assert found in line and allowed in line and near in line


def test_an_alias_inside_itself_is_broken_yaml(tmp_path):
    path = tmp_path / "scale.yaml"
    path.write_text("name: &a {b: *a}\n")
    with pytest.raises(MadiError, match="scale.yaml: broken YAML: an alias inside itself"):
        config.load(path)


def test_the_line_number_is_that_of_the_key(tmp_path):
    lines = DEMO.splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "gradient_clip" in line)
    assert slip(tmp_path, "gradient_clip: 1.0", "gradient_clip: soft").startswith(f"{number} ")


def test_numbers_may_come_as_text(tmp_path):
    path = tmp_path / "scale.yaml"
    path.write_text(DEMO.replace("learning_rate: 1e-4", "learning_rate: '2E-5'").replace(SET, f"steps: '{STEPS}'"))
    run = config.load(path).train.runs["ft"]
    assert (run.learning_rate, run.steps) == (2e-5, STEPS)


def test_a_run_like_another_takes_everything_but_what_it_names(demo):
    ft, magd, level = (demo.train.runs[name] for name in ("ft", "magd", "magd_level05"))
    assert magd == ft.model_copy(update={"magd": magd.magd})
    assert level == magd.model_copy(update={"magd": magd.magd.model_copy(update={"noise_level": 0.5})})


def test_a_second_file_is_laid_over_the_first_and_errors_name_it(tmp_path):
    over = tmp_path / "grid.yaml"
    over.write_text("train:\n  runs:\n    magd_rate03: {like: magd, magd: {rate: 0.3}}\n")
    runs = config.load([ROOT / "config/demo.yaml", over]).train.runs
    assert runs["magd_rate03"].magd.rate == 0.3 and "magd_zero" in runs
    over.write_text("train:\n  runs:\n    magd_rate03: {like: magd, magd: {rate: 3}}\n")
    with pytest.raises(MadiError, match=rf"{over}:3 train.runs.magd_rate03.magd.rate: found 3"):
        config.load([ROOT / "config/demo.yaml", over])


trees = st.recursive(st.integers(0, 3), lambda t: st.dictionaries(st.sampled_from("abc"), t, max_size=3), max_leaves=8)
mappings = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)


@given(mappings, mappings)
def test_the_later_file_wins_and_the_earlier_one_fills_in(under, over):
    merged = configfile.merge(under, over)
    assert set(merged) == set(under) | set(over)
    assert configfile.merge(merged, over) == merged and configfile.merge(under, under) == under
    assert all(merged[key] == over[key] for key in over if not isinstance(over[key], dict))


def changed(demo, **edits):
    """Slices of the demo that a change alters, given by dotted key."""
    raw = yaml.safe_load(DEMO)
    for key, value in edits.items():
        *path, last = key.split("__")
        place = raw
        for part in path:
            place = place[part]
        place[last] = value
    before, after = settle.slices(demo, {}), settle.slices(config.parse(raw), {})
    assert set(before) == set(after)
    return {part for part in before if before[part] != after[part]}


@pytest.mark.parametrize(
    "key, value, parts",
    [
        ("train__runs__magd_ep__weight_decay", 0.1, {"runs/magd_ep", "tables"}),
        ("data__benchmarks__geneval__samples", 13, {"data/geneval", "tables"}),
        ("prompts__plans__share", 0.4, {"prompts", "tables"}),
        ("tables__resamples", 10, {"tables"}),
        ("score__rollouts_of", {"viescore": 2}, set()),  # a protocol that is not asked
        ("edit__asks__idea_bench__seeds", [0, 1], {"edits/omnigen", "edits/magd_ep", "edits/references", "tables"}),
    ],
)
def test_a_value_is_in_the_slices_of_the_jobs_that_depend_on_it(demo, key, value, parts):
    assert changed(demo, **{key: value}) == parts


def test_each_job_is_asked_what_its_editors_are_asked_and_no_more(demo):
    asked = {
        (editor, ask.benchmark, pause, seed)
        for ask in demo.edit.asks.values()
        for editor in ask.editors
        for pause in ask.pauses
        for seed in ask.seeds
    }
    split = [
        (editor, ask.benchmark, pause, seed)
        for job in settle.jobs(demo).values()
        for ask in job.asks
        for editor in ask.editors
        for pause in ask.pauses
        for seed in ask.seeds
    ]
    assert len(split) == len(set(split)) and set(split) == asked


def test_a_folder_of_weights_that_is_not_there_is_named_before_anything_runs(demo, monkeypatch):
    monkeypatch.chdir(ROOT)
    check.check_files(demo)
    elsewhere = demo.model.model_copy(update={"clip": "assets/tiny/clpi"})
    with pytest.raises(MadiError, match="model.clip assets/tiny/clpi: no such folder"):
        check.check_files(demo.model_copy(update={"model": elsewhere}))
    with pytest.raises(MadiError, match="size_px: found 512; expected at most 256 px"):
        check.check_files(demo.model_copy(update={"size_px": 512}))
    nowhere = demo.tables.model_copy(update={"reported": "nowhere.csv"})
    with pytest.raises(MadiError, match="nowhere.csv: no such file"):
        check.check_files(demo.model_copy(update={"tables": nowhere}))


def test_slices_come_back_as_they_were(demo, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(settle.slices(demo, {})["runs/magd"])
    found = config.read(path, RunSlice)
    assert found.settings == demo.train.runs["magd"] and found.base == demo.model.base
    path.write_text(path.read_text().replace('"steps"', '"stops"', 1))
    with pytest.raises(MadiError, match=rf"{path} settings.stops: unknown key"):
        config.read(path, RunSlice)
    with pytest.raises(MadiError, match="missing.json: no such file"):
        config.read(tmp_path / "missing.json", RunSlice)


@pytest.mark.parametrize("scale", ["demo", "smoke"])
def test_scales_are_complete_in_themselves(scale):
    raw = yaml.safe_load((ROOT / f"config/{scale}.yaml").read_text())
    assert raw["name"] == scale and set(raw) == set(Config.model_fields)


def test_the_schema_is_current_and_holds_for_the_scales():
    jsonschema = pytest.importorskip("jsonschema")
    text = (ROOT / "workflow/schemas/config.schema.json").read_text()
    assert text == check.schema_text(), "run `madi config schema --out workflow/schemas/config.schema.json`"
    for scale in ("demo", "smoke"):
        raw = yaml.safe_load((ROOT / f"config/{scale}.yaml").read_text().replace("1e-4", "1.0e-4"))
        jsonschema.validate(raw, json.loads(text))


def test_declared_tables_are_checked(tmp_path):
    check.check_tables(ROOT / "config/tables.yaml")
    broken = tmp_path / "tables.yaml"
    broken.write_text((ROOT / "config/tables.yaml").read_text().replace("digits: 2", "digts: 2", 1))
    with pytest.raises(MadiError, match=rf"{broken}:\d+ metrics\..*digts: unknown key.*did you mean `digits`"):
        check.check_tables(broken)
    text = (ROOT / "config/tables.yaml").read_text()
    for slip, told in (("benchmark: emu_edti", "emu_edti"), ("gain: {of: ft_ep_scaled, over: ft_pe}", "above it")):
        right = slip.replace("edti", "edit").replace("ft_pe", "ft_ep")
        broken.write_text(text.replace(right, slip, 1))
        with pytest.raises(MadiError, match=told):
            check.check_tables(broken)


def test_how_a_model_is_reached_is_no_matter_of_any_job(demo):
    raw = yaml.safe_load((ROOT / "config/paper.yaml").read_text().replace("1e-4", "1.0e-4"))
    before = settle.slices(config.parse(raw), {})
    raw["mllms"]["gemini"] |= {"budget": 7, "at_once": 3, "url": "http://127.0.0.1/v1", "price_in": 9.0, "key": "MINE"}
    after = settle.slices(config.parse(raw), {})
    assert {part for part in before if before[part] != after[part]} == {"mllms"}
    raw["mllms"]["gemini"]["temperature"] = 0.5
    changed = {part for part, text in settle.slices(config.parse(raw), {}).items() if text != after[part]}
    assert {"prompts", "prompts/emu_edit", "answers/magd_ep", "scores/magd_ep"} <= changed


def test_a_model_is_reached_by_the_slice_of_its_own_config(tmp_path):
    paper = config.load(ROOT / "config/paper.yaml")
    path = tmp_path / "config.json"
    path.write_text(settle.slices(paper, {})["mllms"])
    identity = paper.mllms["gemini"].identity
    assert config.reached(path, "gemini", identity) == paper.mllms["gemini"]
    assert config.reached(None, "truth", None) is None
    with pytest.raises(MadiError, match="--mllms FILE"):
        config.reached(None, "gemini", identity)
    with pytest.raises(MadiError, match="another gemini than is asked for"):
        config.reached(path, "gemini", identity.model_copy(update={"model": "other"}))


def test_published_files_that_are_not_there_are_named_before_anything_runs(tmp_path):
    raw = yaml.safe_load((ROOT / "config/smoke.yaml").read_text().replace("1e-4", "1.0e-4"))
    raw["data"]["train"] = {"reader": "published", "sources": {"mine": {"reader": "pairs", "files": "no/such"}}}
    with pytest.raises(MadiError, match="data.train.sources.mine.files no/such: no such file or folder"):
        check.check_sources(config.parse(raw))


@pytest.mark.parametrize("key", ["sk-abc123", "https://me:hunter2@host/v1", "https://host/v1?key=AIza"])
def test_a_secret_in_a_config_is_refused_and_not_shown(key):
    raw = yaml.safe_load((ROOT / "config/smoke.yaml").read_text().replace("1e-4", "1.0e-4"))
    place = "key" if key.startswith("sk") else "url"
    raw["mllms"] = {"m": {"kind": "endpoint", "model": "m", "url": "http://host/v1"} | {place: key}}
    with pytest.raises(MadiError) as fault:
        config.parse(raw)
    assert key not in str(fault.value) and "the NAME of an environment variable" in str(fault.value) or place == "url"
    assert "hunter2" not in str(fault.value) and "AIza" not in str(fault.value)


NO_NAMES = ["z/$(touch X)/x", "../../out", "a b", "a;b", "a\n", "`x`", "{wildcards}", "A", "", "ä", "-rf", "a.b", "x'"]


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize("part", ["tables", "figures", "grids", "systems"])
def test_what_becomes_a_file_of_a_table_has_the_form_of_a_name(tmp_path, part, name):
    content = yaml.safe_load((ROOT / "config/tables.yaml").read_text())
    content[part][name] = next(iter(content[part].values()))
    (tmp_path / "tables.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
    with pytest.raises(MadiError, match=f"{part}.* found the key .*; expected lower case letters, digits and _"):
        check.check_tables(tmp_path / "tables.yaml")


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize("part", ["mllms", "train.runs", "edit.editors", "edit.asks", "model.more", "data.benchmarks"])
def test_every_key_of_a_config_has_the_form_of_a_name(part, name):
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    at = raw
    for step in part.split("."):
        at = at.setdefault(step, {})
    at[name] = next(iter(at.values()), {})
    with pytest.raises(MadiError, match="found|lower case letters"):
        config.parse(raw)
    with pytest.raises(MadiError, match="name: found"):
        config.parse(yaml.safe_load((ROOT / "config/demo.yaml").read_text()) | {"name": name})


def far(**spending):
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    endpoint = {"url": "http://127.0.0.1:9/v1", "model": "m"} | spending
    raw["edit"]["editors"]["far"] = {"kind": "endpoint", "endpoint": endpoint}
    raw["edit"]["asks"]["far"] = {"benchmark": "geneval", "editors": ["far"], "pauses": [0], "seeds": [0]}
    return config.parse(raw)


def test_what_edits_by_an_endpoint_may_cost_redoes_no_edit():
    first, second = (settle.slices(far(price=0.04, budget=budget), {}) for budget in (1.0, 2.0))
    assert {part for part in first if first[part] != second[part]} == {"mllms", "tables"}
    assert json.loads(second["mllms"])["editors"]["far"] == {"price": 0.04, "budget": 2.0}
    with pytest.raises(MadiError, match="`price` beside a budget"):
        far(budget=1.0)
