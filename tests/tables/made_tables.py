"""A small made-up workflow for the tests of tables: samples, edits and scores with known laws, no model."""

import hashlib
import json
from pathlib import Path

import numpy as np
import yaml

from madi import config, images, provenance, shards
from madi.records import CELL, EDIT, LINEAGE, SAMPLE, SCORE, edit_id, score_id
from madi.shards import write
from madi.tables import build, sources
from madi.tables import write as tables
from madi.tables.workflow import Workflow

TASKS = ("add", "background", "color", "global", "local", "remove", "style", "text")
TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
SYSTEMS = ("omnigen", "ft", "ft_ep", "magd", "magd_ep", "magd_level05", "magd_rate05", "magd_zero")
REFERENCES = ("copy", "truth", "truth_vae", "other_truth")
SIZES = {"emu_edit": 24, "magicbrush": 12, "complex_edit": 24, "idea_bench": 12, "geneval": 18, "validation": 16}
ASKS = (
    (("emu_edit",), (*SYSTEMS, *REFERENCES), (0,), (0,)),
    (("magicbrush", "complex_edit", "idea_bench"), ("omnigen", "ft", "ft_ep", "magd_ep", *REFERENCES), (0,), (0,)),
    (("geneval",), ("omnigen", "ft", "ft_ep", "magd", "magd_ep", *REFERENCES[1:]), (0,), (0, 1)),
    (("emu_edit", "complex_edit"), ("ft_ep", "magd_ep"), (8, 16, 32), (0,)),
    (("magicbrush",), ("magd_ep",), (8, 16, 32), (0,)),
    (("emu_edit", "complex_edit"), ("ft_ep", "magd_ep"), (0,), (1, 2, 3)),
    (("validation",), ("ft_ep",), (0,), (0,)),
)
LAID_SETS = ("emu_edit", "validation")
EDITED = (
    ("clip_i", "source", 0.85, 0.05), ("clip_i", "target", 0.88, 0.05), ("clip_t", "global_caption", 0.27, 0.03),
    ("clip_t", "local_caption", 0.25, 0.03), ("clip_dir", "source", 0.12, 0.08), ("dino", "source", 0.9, 0.06),
    ("dino", "target", 0.9, 0.05), ("qa_if", "judge", 6.5, 2.5), ("qa_idp", "judge", 7.5, 2.0),
    ("qa_pq", "judge", 8.0, 1.0), ("oracle_if", "truth", 6.0, 3.0), ("oracle_idp", "truth", 7.5, 2.0),
    ("oracle_pq", "truth", 8.5, 1.0),
)  # fmt: skip


def stream(*key) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big"))


def picture(*key, size=48) -> bytes:
    rng = stream("picture", *key)
    image = np.full((size, size, 3), rng.integers(80, 220, 3), np.uint8)
    y, x = rng.integers(8, size - 8, 2)
    yy, xx = np.mgrid[:size, :size]
    image[(yy - y) ** 2 + (xx - x) ** 2 < 64] = rng.integers(0, 255, 3)
    return images.encode_png(image)


def sample_rows(benchmark: str, instruction: str = "make the small star {colour}") -> list[dict]:
    rows = []
    for i in range(SIZES[benchmark]):
        t2i = benchmark == "geneval"
        tag = TAGS[i % len(TAGS)]
        image = {"bytes": picture(benchmark, i, "source"), "path": None}
        shown = [] if t2i else [image] * (2 if benchmark == "idea_bench" else 1)
        target = {"bytes": picture(benchmark, i, "target"), "path": None}
        rows.append(
            dict(
                sample_id=f"{benchmark}-{i:03d}",
                set=benchmark,
                split="bench",
                group_id=f"{benchmark}-g{i // 4 if benchmark == 'complex_edit' else i // 2}",
                task=tag if t2i else TASKS[i % len(TASKS)],
                complexity=i % 4 + 1 if benchmark == "complex_edit" else None,
                sources=shown,
                target=target,
                sha256=images.sha256(b"".join(one["bytes"] for one in [*shown, target])),
                instruction=instruction.replace("{colour}", ("red", "blue", "green")[i % 3]),
                spec=json.dumps(spec_of(benchmark, tag, i)),
                phash="0" * 16,
                origin={"file": "made up", "row": i, "revision": "0"},
            )
        )
    return rows


def spec_of(benchmark: str, tag: str, i: int) -> dict:
    if benchmark == "geneval":
        return {"geneval": {"tag": tag}}
    return {"captions": "a placeholder" if i % 6 == 0 else "clean"} if benchmark == "emu_edit" else {}


def keys():
    for benchmarks, editors, pauses, seeds in ASKS:
        for benchmark in benchmarks:
            for editor in editors:
                for pause in pauses:
                    for seed in seeds:
                        for i in range(SIZES[benchmark]):
                            yield dict(
                                editor=editor,
                                benchmark=benchmark,
                                sample_id=f"{benchmark}-{i:03d}",
                                pause=pause,
                                seed=seed,
                            )


def scored(key: dict) -> dict[tuple[str, str], float]:
    """Metric values of one edit: a shared part by sample, a little of the editor's own."""
    if key["benchmark"] == "geneval":
        lift = 0.2 if key["editor"].startswith("magd") else 0.0
        return {
            ("clip_t", "global_caption"): 0.27,
            ("geneval_correct", "truth"): float(stream(*key.values()).random() < 0.5 + lift),
        }
    shared, own = stream(key["sample_id"]), stream(*key.values())
    found = {(m, a): at + wide * (0.7 * shared.normal() + 0.5 * own.normal()) for m, a, at, wide in EDITED}
    for tag in ("if", "idp", "pq"):
        found[f"qa_{tag}", "judge"] = float(np.clip(found[f"qa_{tag}", "judge"], 1, 10))
        found[f"oracle_{tag}", "truth"] = float(np.clip(found[f"oracle_{tag}", "truth"], 0, 10))
        if key["benchmark"] == "complex_edit":
            found[f"ce_{tag}", "judge"] = found[f"oracle_{tag}", "truth"]
    found["qa_mllm", "judge"] = (found["qa_if", "judge"] + found["qa_idp", "judge"]) / 2
    found["qa_mean3", "judge"] = (2 * found["qa_mllm", "judge"] + found["qa_pq", "judge"]) / 3
    if key["benchmark"] == "idea_bench":
        found["idea_success", "judge"] = float(own.random() < 0.6)
    return found


def score_rows(editors=None) -> list[dict]:
    rows = []
    for key in keys():
        if editors is not None and key["editor"] not in editors:
            continue
        for (metric, against), value in scored(key).items():
            row = key | dict(metric=metric, against=against, backend="made@00000000", value=value, status="ok")
            if metric == "clip_dir" and key["sample_id"] == "emu_edit-003":
                row |= dict(value=None, status="excluded", reason="identical captions")
            if metric == "dino" and key["sample_id"] == "emu_edit-005" and key["editor"] == "ft":
                row |= dict(value=None, status="missing", reason="failed")
            rows.append(row | {"score_id": score_id(row)})
    return rows


def config_shas() -> dict[str, str]:
    """What the edits of each editor were made by, as the slice says."""
    said = config.TablesSlice.model_validate(slice_json())
    return {name: config.edit_sha(one.slice, said.sampler, said.size_px) for name, one in said.editors.items()}


def edit_rows(validation: bool = False) -> list[dict]:
    rows, made_by = [], config_shas()
    for key in keys():
        if key["benchmark"] == "validation" and not validation:
            continue
        png = picture(*key.values())
        rows.append(
            key
            | dict(edit_id=edit_id(key), status="ok", image={"bytes": png, "path": None}, image_sha=images.sha256(png))
            | dict(width=48, height=48, prompt="", tokens=1, rope="", sampler_steps=1)
            | dict(guidance_text=2.5, guidance_image=1.5, config_sha=made_by[key["editor"]])
        )
    return rows


def files(folder, editors=None, instruction="make the small star {colour}"):
    """Write everything; returns ({benchmark: samples path}, scores path, edits path)."""
    samples = {}
    for name in SIZES:
        samples[name] = folder / f"{name}.parquet"
        write(samples[name], sample_rows(name, instruction), SAMPLE)
    write(folder / "scores.parquet", score_rows(editors), SCORE)
    write(folder / "edits.parquet", edit_rows(), EDIT)
    return samples, folder / "scores.parquet", folder / "edits.parquet"


def slice_json() -> dict:
    """A tables slice as `settle` writes it, over the repository's own tables.yaml."""
    scale = config.load("config/demo.yaml")
    with open("config/tables.yaml") as file:
        tables = yaml.safe_load(file)
    raw = scale.model_dump(mode="json")
    return dict(
        {k: raw[k] for k in ("name", "seed", "size_px", "data", "prompts")},
        tables=tables,
        reported="config/reported.csv",
        resamples=100,
        dino_threshold={"quantile": 0.5},
        clip_dir_threshold={"quantile": 0.5},
        gallery=4,
        runs=raw["train"]["runs"],
        sampler=raw["edit"]["sampler"],
        judge="the scene oracle",
        editors=raw["edit"]["editors"],
        asks=list(raw["edit"]["asks"].values()),
    )


class Made:
    """Files of the workflow, its slice, its source and its cells."""

    def __init__(self, folder: Path, editors=None, instruction="make the small star {colour}"):
        self.folder = folder
        self.samples, self.scores, self.edits = files(folder, editors, instruction)
        self.slice_file = folder / "config.json"
        self.slice_file.write_text(json.dumps(slice_json()))
        self.config = config.read(self.slice_file, config.TablesSlice)
        self.source = sources.read_source(self.config, self.samples, [self.scores], [self.edits], "config/reported.csv")
        self.cells, self.lineage = build.build(self.source)

    def cell(self, table, block, row, column) -> dict:
        key = (table, block, row, column)
        return next(c for c in self.cells if (c["table"], c["block"], c["row"], c["column"]) == key)

    def frame(self):
        return shards.frame([self.scores], SCORE)


def small(said: dict) -> dict:
    """A slice with some of the tables and asks, so that all cells are made in a second."""
    tables = said["tables"]
    few = tables | {"tables": {name: tables["tables"][name] for name in ("2", "8")}, "figures": {}}
    asks = [ask for ask in said["asks"] if ask["benchmark"] in LAID_SETS]
    return said | {"tables": few, "asks": asks, "reported": str(Path("config/reported.csv").resolve())}


def rewritten(path: Path, schema, change) -> None:
    """A Parquet file with each row as `change(row)` gives it; rows it gives None for are gone."""
    write(path, [new for row in shards.read(path, schema) if (new := change(row)) is not None], schema)


def laid(folder: Path) -> Path:
    """A part of it where its rules would put it, `folder/results/demo`, a training's weights with it."""
    root = folder / "results" / "demo"
    said = config.TablesSlice.model_validate(small(slice_json()))
    write_text(root / "tables" / "config.json", said.model_dump_json())
    for name in ("train", *LAID_SETS):
        rows = sample_rows("magicbrush" if name == "train" else name)
        write(root / "data" / name / "samples" / "00000.parquet", rows, SAMPLE)
        told = {"file": "samples/00000.parquet", "rows": len(rows)}
        told["sha256"] = provenance.file_sha(root / "data" / name / "samples" / "00000.parquet")
        shards.write_json(root / "data" / name / "samples.json", {"samples": len(rows), "shards": [told]})
    shas = lay_runs(root, said)
    lay_jobs(root, said, shas)
    source = Workflow(root, said).source()
    cells, lineage = build.build(source)
    write(root / "cells.parquet", cells, CELL)
    write(root / "lineage.parquet", lineage, LINEAGE)
    tables.write_tables(root / "tables", cells, source.bars, source.spec)
    return root


def lay_runs(root: Path, said: config.TablesSlice) -> dict[str, str]:
    """Weights, manifest, slice and provenance of each run; the hash of its weights by run."""
    shas = {}
    for name, run in said.runs.items():
        place = root / "runs" / name
        write_text(place / "weights" / "a.txt", f"the weights of {name}")
        write_text(place / "weights" / "part" / "b.txt", "the same for all")
        shards.write_json(place / "weights.json", provenance.file_shas(place / "weights"))
        own = config.RunSlice(run=name, name="demo", seed=0, size_px=64, threads=1, base="none/such", settings=run)
        write_text(place / "config.json", own.model_dump_json())
        shards.write_json(place / "run.json", {"config": own.model_dump(mode="json"), "inputs": {}})
        shas[name] = provenance.folder_sha(place / "weights")
    return shas


def lay_jobs(root: Path, said: config.TablesSlice, shas: dict[str, str]) -> None:
    """Slice, edits and scores of each job."""
    made = [row for row in edit_rows(validation=True) if row["benchmark"] in LAID_SETS]
    scores = [row for row in score_rows() if row["benchmark"] in LAID_SETS]
    for job in dict.fromkeys(editor.job or name for name, editor in said.editors.items()):
        mine = {name: one for name, one in said.editors.items() if (one.job or name) == job}
        rows = [row | {"weights_sha": shas.get(mine[row["editor"]].run)} for row in made if row["editor"] in mine]
        asks = [ask.model_copy(update={"editors": [e for e in ask.editors if e in mine]}) for ask in said.asks]
        own = config.EditSlice(
            job=job, name="demo", threads=1, size_px=said.size_px, base="none/such", sampler=said.sampler,
            editors={name: one.slice for name, one in mine.items()}, asks=[ask for ask in asks if ask.editors],
        )  # fmt: skip
        write_text(root / "edits" / job / "config.json", own.model_dump_json())
        write(root / "edits" / job / "00000.parquet", rows, EDIT)
        write(root / "scores" / job / "00000.parquet", [row for row in scores if row["editor"] in mine], SCORE)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
