"""Cells: every printed one is asked for, and each comes from exactly the scores it lists."""

import json

import made_tables
import numpy as np
import pandas as pd
import pytest
import yaml

from madi import configfile, samples, shards
from madi.errors import MadiError
from madi.records import SCORE
from madi.tables import asking, build, leaders, sources, write
from madi.tables.board import Board, Query, Units, tag_of
from madi.tables.spec import Ask, Metric, TablesSpec


def test_every_value_the_paper_prints_has_its_cell(made):
    cells = {(c["table"], c["block"], c["row"], c["column"]): c["reported"] for c in made.cells}
    printed = {key: value for key, value in made.source.reported.items() if key[0] != "text"}
    assert len(printed) > 250
    assert {key: cells.get(key) for key in printed} == printed


def remade(ask: dict, board: Board, name: str, source):
    """(value, interval, units) of a cell asked for anew; a gain asks twice."""
    if "of" not in ask:
        units = build.ask_board(Query(**ask), board)
        return *build.estimate(Query(**ask), units, source), units
    parts = []
    for query in (Query(**ask["of"]), Query(**ask["over"])):
        units = build.ask_board(query, board)
        parts.append(build.Answer("", value=build.estimate(query, units, source)[0], query=query, units=units))
    found = build.gain(name, *parts, source)
    return found.value, found.interval, found.units


def test_every_measured_cell_recomputes_from_its_own_scores_alone(made):
    frame = made.frame().set_index("score_id", drop=False)
    scores_of = pd.DataFrame(made.lineage).groupby("cell_id").score_id.agg(list)
    checked = 0
    for cell in [*made.cells[::7], *(cell for cell in made.cells if cell["row"].endswith("_gain"))]:
        ask = json.loads(cell["query"])["ask"]
        if not ask or cell["n"] == 0:
            continue
        key = build.cell_id(cell)
        board = Board(frame.loc[scores_of[key]].reset_index(drop=True), made.source.samples)
        name = "/".join(cell[part] for part in ("table", "block", "row", "column"))
        value, interval, units = remade(ask, board, name, made.source)
        assert (value, interval or (None, None)) == (cell["value"], (cell["low"], cell["high"])), name
        assert build.counts(units) == {key: cell[key] for key in ("n", "excluded", "missing")}, name
        checked += 1
    assert checked > 60


def test_lineage_names_scores_and_edits_that_exist(made):
    frame = made.frame()
    lineage = pd.DataFrame(made.lineage)
    assert set(lineage.score_id) <= set(frame.score_id)
    assert set(lineage.edit_id) <= set(made.source.board.edits.edit_id)
    assert not lineage.duplicated().any()


def test_order_of_scores_changes_nothing(made):
    shuffled = made.frame().sample(frac=1, random_state=3)
    source = sources.Source(**{**vars(made.source), "board": Board(shuffled, made.source.samples)})
    assert build.build(source) == (made.cells, made.lineage)


def test_one_changed_score_changes_the_digests_of_its_cells_only(made):
    victim = made.lineage[len(made.lineage) // 2]["score_id"]
    touched = {row["cell_id"] for row in made.lineage if row["score_id"] == victim}
    source = sources.Source(**{**vars(made.source), "prints": {**made.source.prints, victim: "changed"}})
    after, _ = build.build(source)
    changed = {build.cell_id(b) for a, b in zip(made.cells, after) if a["digest"] != b["digest"]}
    assert changed == touched


def test_means_by_hand(made):
    frame = made.frame()
    mine = frame[(frame.benchmark == "emu_edit") & (frame.editor == "ft") & (frame.metric == "dino")]
    mine = mine[mine.against == "source"]
    cell = made.cell("2", "emu_edit", "ft", "DINO")
    assert cell["value"] == pytest.approx(mine.value.mean())
    assert (cell["n"], cell["missing"], cell["excluded"]) == (23, 1, 0)
    assert made.cell("2", "emu_edit", "ft", "CLIP-Dir")["excluded"] == 1


def test_scaled_rows_choose_per_sample_by_hand(made):
    frame = made.frame()
    mine = frame[(frame.benchmark == "emu_edit") & (frame.editor == "magd_ep") & (frame.seed == 0)]
    wide = mine.pivot_table(index=["sample_id", "pause"], columns=["metric", "against"], values="value")
    best = wide["clip_dir", "source"].dropna().groupby("sample_id").idxmax()
    cell = made.cell("3", "emu_edit", "magd_ep_scaled", "best_clip_dir:DINO")
    assert cell["value"] == pytest.approx(wide["dino", "source"].loc[list(best)].mean())
    bar = made.source.bars["dino"]
    recall = (wide["dino", "source"].groupby("sample_id").max() >= bar).mean()
    assert made.cell("3", "emu_edit", "magd_ep_scaled", "DINO>=0.91:Recall")["value"] == pytest.approx(recall)


def test_scaled_rows_and_their_controls_are_of_the_samples_that_were_scaled(made):
    """Where an ask with pauses takes some samples alone: no sample with a single candidate is among the chosen, and the
    unscaled rows of Tables 3 and 5 are of the same ones."""
    take = 10
    some = samples.first(
        dict(zip(*made.source.samples.query("benchmark == 'emu_edit'")[["sample_id", "group_id"]].values.T)), take
    )
    frame = made.frame()
    frame = frame[
        ~((frame.benchmark == "emu_edit") & ((frame.pause > 0) | (frame.seed > 0)) & ~frame.sample_id.isin(some))
    ]
    asks = [{"benchmark": "emu_edit", "editors": [], "pauses": [8], "seeds": [0], "take": take}]
    settings = made.source.settings | {"asks": asks}
    source = sources.Source(**{**vars(made.source), "board": Board(frame, made.source.samples), "settings": settings})
    cells = {(c["table"], c["block"], c["row"], c["column"]): c for c in build.build(source)[0]}
    table = {
        row: cells["3", "emu_edit", row, "best_dino:DINO"] for row in ("magd_ep", "magd_ep_scaled", "magd_ep_seeds")
    }
    assert {row: cell["n"] for row, cell in table.items()} == dict.fromkeys(table, take)
    assert table["magd_ep_scaled"]["value"] >= table["magd_ep"]["value"]
    assert cells["1", "emu_edit", "magd_ep", "DINO"]["n"] == 24  # as the paper compares
    frame.loc[frame.sample_id.isin(some) & (frame.benchmark == "emu_edit"), "value"] += 1.0  # easy samples
    source = sources.Source(**{**vars(source), "board": Board(frame, made.source.samples)})
    marks = {
        tuple(c[k] for k in ("row", "column")): json.loads(c["query"])
        for c in build.build(source)[0]
        if c["table"] == "1" and c["block"] == "emu_edit"
    }
    fewer = ("magd_ep_scaled", "magd_ep_seeds", "magd_ep_held_out", "magd_ep_pause8", "magd_ep_same")
    assert not any(mark["best"] or mark["second"] for (row, _), mark in marks.items() if row in fewer)
    assert cells["1", "emu_edit", "magd_ep_same", "DINO"]["value"] == table["magd_ep"]["value"]


def test_bar_is_a_quantile_of_the_scores_it_names(made):
    frame = made.frame()
    mine = frame[(frame.benchmark == "validation") & (frame.metric == "dino") & (frame.against == "source")].value
    assert made.source.bars["dino"] == np.quantile(mine, 0.5, method="lower")
    assert made.source.bars["dino"] in set(mine)


def test_geneval_average_is_the_unweighted_mean_of_tags(made):
    tags = ("Position", "Colors", "Color_attr", "Counting", "Single object", "Two object")
    values = [made.cell("4", "geneval", "magd", tag)["value"] for tag in tags]
    assert made.cell("4", "geneval", "magd", "Avg")["value"] == pytest.approx(np.mean(values))


def test_an_editor_that_was_not_run_shows_what_the_paper_prints(tmp_path):
    few = made_tables.Made(tmp_path, editors=("omnigen", "magd_ep", "copy"))
    gone, here = few.cell("2", "emu_edit", "ft", "DINO"), few.cell("2", "emu_edit", "omnigen", "DINO")
    assert (gone["kind"], gone["value"], gone["n"], gone["reported"]) == ("reported", None, 0, "0.917")
    assert json.loads(gone["query"])["status"] == build.NOT_RUN
    assert here["kind"] == "scores" and here["value"] is not None
    assert few.cell("5", "complex_edit", "ft_ep_gain", "complexity=0")["value"] is None
    assert json.loads(few.cell("1", "emu_edit", "emu_edit", "DINO")["query"])["status"] == build.NO_WEIGHTS
    # its bar came from the editor that is gone
    assert json.loads(few.cell("3", "emu_edit", "magd_ep", "DINO>=0.91:DINO")["query"])["status"] == build.NOT_RUN


def test_a_task_or_level_without_samples_is_not_run_at_this_scale(made):
    """Fewer Emu-Edit samples than tasks, fewer levels than Table 5 has: empty cells, chosen among candidates or not."""
    frame = made.frame()
    samples = made.source.samples
    gone = (samples.task == "text") | (samples.complexity == 4)
    kept = frame[~frame.sample_id.isin(samples[gone].sample_id)]
    few = sources.Source(**{**vars(made.source), "board": Board(kept, samples)})
    cells = {(c["table"], c["row"], c["column"]): c for c in build.build(few)[0]}
    for key in (
        ("figure_7", "text", "without scaling"),
        ("figure_8", "text", "best of pause 0,8,16,32"),
        ("5", "magd_ep", "unfiltered=3"),
        ("5", "magd_ep_scaled", "complexity=3"),
        ("5", "magd_ep_gain", "complexity=3"),
    ):
        cell = cells[key]
        assert (cell["value"], cell["n"]) == (None, 0), key
        assert json.loads(cell["query"])["status"] == build.NOT_RUN, key
    assert cells["figure_7", "add", "without scaling"]["value"] is not None


def test_the_answer_to_a_question_about_no_sample_is_empty(made):
    """Asked all the same (the bars ask the board themselves), the board has nothing to say, and says so."""
    for select, statistic in (
        (None, "mean"),
        ("best_qa", "mean"),
        ("dino_at_least", "mean"),
        ("dino_at_least", "recall"),
    ):
        ask = dict(benchmark="emu_edit", editors=["ft_ep"], pauses=[0, 8], seeds=[0], parts=["dino/source"], bar=0.5)
        query = Query(**ask, select=select, statistic=statistic, where={"task": ["no such task"]})
        units = build.ask_board(query, made.source.board)
        assert (len(units.values), units.scores) == (0, [])


def lifted(made, editor, by):
    """The source with one editor's DINO raised on every sample."""
    frame = made.frame()
    mask = (frame.editor == editor) & (frame.metric == "dino") & (frame.against == "source")
    frame.loc[mask, "value"] += by
    return sources.Source(**{**vars(made.source), "board": Board(frame, made.source.samples)})


def best_rows(source, column="DINO", table="2"):
    spec = source.spec.model_copy(update={"tables": {table: source.spec.tables[table]}, "figures": {}})
    cells, _ = build.build(sources.Source(**{**vars(source), "spec": spec}))
    mine = [c for c in cells if c["block"] == "emu_edit" and c["column"] == column]
    return [c["row"] for c in mine if json.loads(c["query"])["best"]]


def test_bold_needs_a_lead_that_its_paired_interval_separates(made):
    assert best_rows(lifted(made, "magd", 0.5)) == ["magd"]
    assert best_rows(lifted(made, "truth", 0.5)) == best_rows(made.source)  # references do not compete
    tie = made.frame()
    mask = (tie.editor == "ft") & (tie.metric == "dino") & (tie.against == "source")
    twin = tie[(tie.editor == "magd") & (tie.metric == "dino") & (tie.against == "source")]
    values = twin.set_index(["benchmark", "sample_id", "pause", "seed"]).value + 0.5
    keys = list(tie[mask][["benchmark", "sample_id", "pause", "seed"]].itertuples(index=False, name=None))
    tie.loc[mask, "value"] = [values.get(key, 1.4) for key in keys]
    tie.loc[(tie.editor == "magd") & (tie.metric == "dino") & (tie.against == "source"), "value"] += 0.5
    source = sources.Source(**{**vars(made.source), "board": Board(tie, made.source.samples)})
    assert best_rows(source) == []  # two equal leaders: neither


def said(values, weights=1.0, tags=None, statistic="mean"):
    """An answer of one sample a group, with these values [U], weights and tags."""
    names = np.array([f"s{i:02d}" for i in range(len(values))])
    units = Units(
        samples=names,
        groups=names,
        strata=np.full(len(values), "") if tags is None else np.array(tags),
        edits=names,
        values=np.asarray(values, float),
        weights=np.broadcast_to(weights, len(values)).astype(float),
        excluded=set(),
        missing=set(),
        asked=set(names.tolist()),
        scores=[],
    )
    ask = Query(benchmark="b", editors=["e"], pauses=[0], seeds=[0], parts=["dino/source"], statistic=statistic)
    return build.Answer("name", query=ask, units=units)


def test_a_sample_counts_once_however_many_seeds_or_rows_it_is_in(made):
    frame = made.frame()
    assert made.cell("4", "geneval", "magd", "Avg")["n"] == 18  # over two seeds
    assert made.cell("4", "geneval", "magd", "Position")["n"] == 3
    level = (frame.benchmark == "complex_edit") & (frame.sample_id.isin([f"complex_edit-{i:03d}" for i in (0, 4)]))
    for metric, value in (("qa_if", 9.0), ("qa_idp", 1.0)):  # of level 1, left out by Table 5's rule in every row
        frame.loc[level & (frame.metric == metric), "value"] = value
    frame.loc[frame.sample_id == "geneval-000", ["value", "status"]] = None, "missing"
    source = sources.Source(**{**vars(made.source), "board": Board(frame, made.source.samples)})
    cells = {(c["table"], c["row"], c["column"]): c for c in build.build(source)[0]}
    of, over, gain = (cells["5", row, "complexity=0"] for row in ("magd_ep_scaled", "magd_ep", "magd_ep_gain"))
    assert (of["n"], over["n"]) == (gain["n"], gain["n"]) and gain["n"] == 4
    assert (of["excluded"], over["excluded"], gain["excluded"]) == (2, 2, 2)
    assert (cells["4", "magd", "Avg"]["n"], cells["4", "magd", "Avg"]["missing"]) == (17, 1)


def test_a_compound_of_edits_counts_to_no_task(made):
    shown = {
        (row, column): made.cell("9", "without inference scaling", row, column)["text"]
        for row in ("unique_tasks", "complexity_levels")
        for column in ("Emu-Edit", "MagicBrush", "IdeaBench", "Complex-Edit (Real)")
    }
    assert shown["unique_tasks", "Complex-Edit (Real)"] == "N/A" and shown["unique_tasks", "Emu-Edit"] == "8"
    assert shown["complexity_levels", "Complex-Edit (Real)"] == "1,2,3,4"
    assert shown["complexity_levels", "Emu-Edit"] == "N/A"


def test_rows_of_one_system_do_not_compete(made):
    """Tasks of one system, as in Figures 7 and 8, however far one is ahead of another."""
    (block,) = made.source.spec.figures["figure_7"].blocks.values()
    grid = {}
    for row, value in (("add", 0.9), ("text", 0.1)):
        grid[row, "no pause"] = said(np.full(12, value))
        grid[row, "no pause"].value = value
    rows = {row: block.rows[row].model_copy(update={"system": "ft_ep"}) for row in ("add", "text")}
    columns = {"no pause": block.columns["without scaling"]}
    several = block.model_copy(update={"columns": columns, "system": None})
    assert leaders.leaders("no pause", rows, several, grid, made.source)[0] == "add"
    alone = several.model_copy(update={"system": "ft_ep"})
    assert leaders.leaders("no pause", rows, alone, grid, made.source) == (None, None)


def test_bold_tests_the_weighted_mean_that_the_cell_prints(made):
    """As of the judge's filtered columns: a sample of weight one half counts one half in the lead too."""
    flat = said(np.full(40, 0.6))
    mixed = np.tile([1.0, 0.0], 20)  # unweighted 0.5, behind; weighted 0.8, ahead
    weighted = said(mixed, np.where(mixed == 1, 1.0, 0.25))
    assert leaders.beaten(weighted, flat, made.source)
    assert not leaders.beaten(flat, weighted, made.source)


def test_bold_tests_the_mean_over_tags_that_the_cell_prints(made):
    """As of GenEval's average: ahead in the small tag, behind in the large one, ahead over both."""
    tags = ["large"] * 36 + ["small"] * 4
    first = said([0.4] * 36 + [0.9] * 4, tags=tags, statistic="macro")
    second = said([0.5] * 40, tags=tags, statistic="macro")
    assert leaders.beaten(first, second, made.source)
    assert not leaders.beaten(second, first, made.source)


def test_words_on_bold_say_who_competes(made):
    """Controls of the same system do, the references do not: as the notes say."""
    rows = made.source.spec.tables["1"].blocks["emu_edit"].rows
    frame = made.frame()
    mask = (frame.editor == "magd_ep") & (frame.metric == "dino") & (frame.pause == 0) & (frame.seed == 0)
    frame.loc[mask | (frame.editor == "truth") & (frame.metric == "dino"), "value"] += 0.5
    frame.loc[(frame.pause == 8) & (frame.metric == "dino"), "value"] += 0.5
    source = sources.Source(**{**vars(made.source), "board": Board(frame, made.source.samples)})
    assert {"magd_ep", "magd_ep_pause8"} <= rows.keys()
    assert best_rows(source, "DINO", "1") == []  # its own fixed pause count is as good
    frame.loc[(frame.pause == 8) & (frame.metric == "dino"), "value"] -= 0.5
    source = sources.Source(**{**vars(made.source), "board": Board(frame, made.source.samples)})
    assert best_rows(source, "DINO", "1") == ["magd_ep"]
    assert "every other row that was run here on the same samples, controls included (floor" in write.FOOT


def test_a_lead_too_small_to_show_is_none(made):
    (block,) = made.source.spec.figures["figure_7"].blocks.values()
    columns = {"x": block.columns["without scaling"]}
    several = block.model_copy(update={"columns": columns, "system": None})
    rows = {row: block.rows[row].model_copy(update={"system": "ft_ep"}) for row in ("add", "text")}
    for lead, best in ((0.0002, None), (0.002, "add")):
        grid = {}
        for row, value in (("add", 0.5 + lead), ("text", 0.5)):
            grid[row, "x"] = said(np.full(12, value))
            grid[row, "x"].value = value
        assert leaders.leaders("x", rows, several, grid, made.source)[0] == best


def test_an_average_over_tags_has_no_value_where_one_is_missing(made):
    def average():
        source = sources.Source(**{**vars(made.source), "board": Board(frame, made.source.samples)})
        cells, _ = build.build(source)
        return next(c for c in cells if (c["table"], c["row"], c["column"]) == ("4", "magd", "Avg"))

    frame = made.frame()
    assert average()["value"] is not None
    samples = made.source.samples
    counting = [s for s, spec in zip(samples.sample_id, samples.spec) if tag_of(spec) == "counting"]
    lost = (frame.metric == "geneval_correct") & frame.sample_id.isin(counting) & (frame.editor == "magd")
    frame.loc[lost, ["value", "status"]] = [float("nan"), "missing"]
    assert average()["value"] is None and average()["missing"] == len(set(counting))


def test_emu_edit_is_shown_over_all_rows_and_over_those_with_clean_captions(made):
    cells = {column: made.cell("1", "emu_edit", "magd_ep", column) for column in ("CLIP-T", "clean:CLIP-T")}
    assert {column: cell["n"] for column, cell in cells.items()} == {"CLIP-T": 24, "clean:CLIP-T": 20}
    frame = made.frame()
    mine = frame[(frame.benchmark == "emu_edit") & (frame.editor == "magd_ep") & (frame.pause == 0) & (frame.seed == 0)]
    mine = mine[(mine.metric == "clip_t") & (mine.against == "global_caption")].set_index("sample_id")["value"]
    assert cells["CLIP-T"]["value"] == pytest.approx(mine.mean())
    clean = [name for name in mine.index if int(name[-3:]) % 6]
    assert cells["clean:CLIP-T"]["value"] == pytest.approx(mine[clean].mean()) != pytest.approx(mine.mean())


def test_two_scores_of_one_edit_are_named(made):
    frame = made.frame()
    twice = pd.concat([frame, frame.iloc[:1].assign(backend="other@1")])
    with pytest.raises(MadiError, match="two scores .* of one edit"):
        Board(twice, made.source.samples)


def test_scores_of_unknown_samples_are_named(made):
    known = made.source.samples[made.source.samples.benchmark != "emu_edit"]
    with pytest.raises(MadiError, match="emu_edit-000"):
        Board(made.frame(), known)


def test_edits_without_any_score_are_named(made, tmp_path):
    """No cell would count what was never scored; a failed edit has its rows, and is counted."""
    rows = shards.read(made.scores, SCORE)
    gone = ("magd_ep", "emu_edit", "emu_edit-007", 8)
    left = [row for row in rows if (row["editor"], row["benchmark"], row["sample_id"], row["pause"]) != gone]
    shards.write(tmp_path / "scores.parquet", left, SCORE)
    with pytest.raises(MadiError, match="^magd_ep/emu_edit/pause 8/seed 0: scores of 23 samples; expected of 24;"):
        sources.read_source(made.config, made.samples, [tmp_path / "scores.parquet"], [], "config/reported.csv")


def test_a_misspelt_system_is_named():
    with open("config/tables.yaml") as file:
        raw = yaml.safe_load(file)
    raw["tables"]["2"]["blocks"]["emu_edit"]["rows"]["ft"]["system"] = "fft"
    with pytest.raises(ValueError, match="2/emu_edit/row ft: unknown system 'fft'"):
        TablesSpec.model_validate(raw)


def test_every_choice_among_pause_counts_has_its_control_among_as_many_seeds():
    """In the same block, of the same system and metric, chosen by the same rule: the words promise it of every one."""
    with open("config/tables.yaml") as file:
        spec = TablesSpec.model_validate(yaml.safe_load(file))
    scaled = 0
    for table, body in spec.all_tables().items():
        for name, block in body.blocks.items():
            rows = [r for key, r in block.rows.items() if not r.gain and not key.endswith("_held_out")]
            asks = [build.merged(block, r, c) for r in rows for c in block.columns.values()]
            chosen = [ask for ask in asks if ask.select]
            controls = {alike(ask): len(ask.seeds) for ask in chosen if ask.seeds and not ask.pauses}
            for ask in chosen:
                if len(ask.pauses or []) > 1 and ask.system not in ("magd_ep_filler", "magd_ep_shift"):  # controls
                    assert controls.get(alike(ask)) == len(ask.pauses), (table, name, ask)
                    scaled += 1
    assert scaled > 40


def alike(ask) -> str:
    """What a scaled cell and its control have in common."""
    return ask.model_dump_json(include={"system", "benchmark", "metric", "select", "statistic", "where"})


def test_the_control_of_table_5_chooses_among_seeds_by_hand(made):
    frame = made.frame()
    mine = frame[(frame.benchmark == "complex_edit") & (frame.editor == "magd_ep") & (frame.pause == 0)]
    judged = mine[(mine.metric == "qa_mllm") & mine.sample_id.isin([f"complex_edit-{i:03d}" for i in range(0, 24, 4)])]
    cell = made.cell("5", "complex_edit", "magd_ep_seeds", "unfiltered=0")
    assert sorted(judged.seed.unique()) == [0, 1, 2, 3]
    assert cell["value"] == pytest.approx(judged.groupby("sample_id").value.max().mean())
    # where those seeds were not asked for, the row says so
    gone = made.cell("1", "magicbrush", "magd_ep_seeds", "DINO")
    assert (gone["value"], json.loads(gone["query"])["status"]) == (None, build.NOT_RUN)


def test_the_made_up_world_covers_every_system():
    with open("config/tables.yaml") as file:
        spec = TablesSpec.model_validate(yaml.safe_load(file))
    others = {"instruct_pix2pix", "magicbrush", "emu_edit", "magd_ep_filler", "magd_ep_shift"}  # where they are run
    others |= {"omnigen_own", "magd_ep_own", "hq_edit"}
    ours = {*made_tables.SYSTEMS, *made_tables.REFERENCES}
    assert {e for s in spec.systems.values() for e in s.editors} == ours | others


@pytest.mark.parametrize(
    "where, statistic",
    [(None, "macro"), ({"tag": ["colors"]}, "mean"), ({"tag": ["counting", "two_object"]}, "macro")],
)
def test_genevals_mean_is_over_its_tags_in_any_table(where, statistic):
    """A grid's column, or one of a user's own, says nothing of it; a column of one tag keeps its rate's interval."""
    metric = Metric.model_validate(configfile.read("config/tables.yaml").content["metrics"]["GenEval"])
    assert asking.statistic_of(Ask.model_validate({"metric": "GenEval", "where": where}), metric) == statistic
