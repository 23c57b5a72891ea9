"""From files in their published form to a MAgD training, by the workflow's own rules."""

import json
import sys

import pytest
import yaml

sys.path.append(str(__import__("pathlib").Path(__file__).parents[1] / "data"))
import published as made  # noqa: E402

from madi import shards  # noqa: E402
from madi.records import LATENT, PLAN, SAMPLE  # noqa: E402

SOURCES = {
    "ultraedit": {"reader": "ultraedit", "files": "published/ultraedit", "take": 14},
    "regions": {"reader": "ultraedit", "files": "published/regions"},
    "magicbrush": {"reader": "magicbrush", "files": "published/magicbrush"},
    "aurora": {"reader": "aurora", "files": "published/aurora"},
    "captions": {"reader": "ultraedit_captions", "files": "published/captions"},
}

BENCHMARKS = {
    "emu_edit": {"reader": "emu_edit", "samples": 8, "files": "published/emu_edit"},
    "magicbrush": {"reader": "magicbrush_zip", "samples": 2, "files": "published/val.zip"},
    "complex_edit": {"reader": "complex_edit", "samples": 1, "levels": 4, "files": "published/complex_edit"},
    "idea_bench": {"reader": "idea_bench", "samples": 1, "files": "published/idea_bench"},
    "geneval": {"reader": "geneval", "samples": 2, "files": "published/geneval/prompts/evaluation_metadata.jsonl"},
}


def published(folder, rows: int, side: int):
    """A few files of each set at `side` px, awkward rows among them."""
    half = rows // 2
    for shard in range(2):
        made.ultraedit(folder / "ultraedit", "FreeForm", half, shard, 3, side, seed=1000 * shard)
    made.ultraedit(folder / "regions", "RegionBase", rows, side=side, seed=5000)
    made.magicbrush(folder / "magicbrush", ((1, 2), (2, rows - 2)), side=side)
    made.aurora(folder / "aurora", side)
    made.ultraedit(folder / "captions", "FreeForm", half, side=side, seed=9000)
    made.emu_edit(folder / "emu_edit", side=side, seed=9993)  # the last is the first region row's source: 2 x 5000
    made.magicbrush_zip(folder / "val.zip", seed=30_000)
    made.complex_edit(folder / "complex_edit", side=side, seed=40_000)
    made.idea_bench(folder / "idea_bench", 50_000)
    made.geneval(folder / "geneval")


@pytest.mark.parametrize("rows", [16, pytest.param(300, marks=pytest.mark.slow)])
def test_published_files_become_samples_plans_latents_and_a_training(fresh, tmp_path, rows):
    workspace = fresh.copy(tmp_path / "work")
    published(workspace.folder / "published", rows, 512)
    scale = yaml.safe_load((workspace.folder / "config/smoke.yaml").read_text())
    scale["name"] = "published"
    scale["data"]["train"] = {"reader": "published", "sources": SOURCES}
    scale["data"]["benchmarks"] = BENCHMARKS
    scale["data"]["latents"] = {"shards": 2, "dtype": "float16"}
    scale["prompts"]["plans"]["provider"] = "grammar"
    magd = scale["train"]["runs"]["magd_ep"]
    magd |= {"steps": 5, "masked_source": {"place": "added", "keep": 1.0}}
    magd["mixture"] = {"edits": {"kind": "edit", "weight": 1}, "t2i": {"kind": "t2i", "weight": 1}}
    (workspace.folder / "config/published.yaml").write_text(yaml.safe_dump(scale))
    wanted = ["results/published/runs/magd_ep/weights.json", "data"]
    done = workspace.snakemake("--cores", "2", *wanted, scale="published")
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]

    results = workspace.folder / "results/published"
    told = json.loads((results / "data/train/report.json").read_text())
    frame = shards.frame(results / "data/train/samples.json", SAMPLE)
    assert dict(frame["set"].value_counts()) == told["sources"] and told["samples"] == len(frame)
    assert told["sources"]["ultraedit"] == 14 and told["sources"]["magicbrush"] == rows
    [leak] = told["leaks"]
    assert told["sources"]["regions"] == rows - 1 and (leak["benchmark"], leak["of"]) == (
        "emu_edit",
        "emu_edit-test-text-1",
    )
    assert told["rejected"] == {"no instruction": 1} and "row 3" in told["examples"]["no instruction"][0]
    assert told["missing_shards"]["ultraedit"] == [2]
    roles = shards.frame(results / "data/train/latents.parquet", LATENT)["role"].value_counts()
    assert roles["masked_1"] == 2 * rows - 1 and roles["target"] == len(frame)
    plans = shards.read(results / "prompts/plans.parquet", PLAN)
    assert plans and all(row["status"] == "ok" and row["provider"] == "grammar" for row in plans)
    losses = (results / "runs/magd_ep/train.csv").read_text().splitlines()
    assert len(losses) == 6
    counts = {name: shards.read_json(results / f"data/{name}/samples.json")["samples"] for name in BENCHMARKS}
    assert counts == {"emu_edit": 8, "magicbrush": 2, "complex_edit": 4, "idea_bench": 1, "geneval": 2}


def test_the_papers_sets_are_planned(fresh, tmp_path):
    """Fetches, preparation of all sets and latents, from repositories that nobody has to be able to reach for it."""
    jobs = fresh.plan("data", scale="paper")
    assert {"fetch model_base", "fetch train_ultraedit", "fetch emu_edit", "fetch geneval"} <= jobs
    assert {f"prepare the samples of {name}" for name in ("train", "validation", "complex_edit")} <= jobs
