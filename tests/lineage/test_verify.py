"""Whatever is changed in a workflow's results is told, with the file, the row and the cell."""

import json

import pytest
from made_tables import picture, rewritten

from madi import cli, shards
from madi.records import CELL, EDIT, LINEAGE, SAMPLE, SCORE, cell_id
from madi.tables.trace import name_of

EDITS, SCORES = "edits/magd_ep/00000.parquet", "scores/magd_ep/00000.parquet"


def verify(results, capsys, *options) -> tuple[int, str]:
    code = cli.main(["verify", str(results), *options])
    return code, capsys.readouterr().out


def differing(results, capsys, *options) -> str:
    code, out = verify(results, capsys, *options)
    assert code == 1 and "not as recorded, " in out.splitlines()[-1], out
    return out


def emu(row: dict, number: int = 7) -> bool:
    """One edit of the emu_edit samples, the one that most tests spoil."""
    key = (row["benchmark"], row["sample_id"], row["editor"], row["pause"], row["seed"])
    return key == ("emu_edit", f"emu_edit-{number:03d}", "magd_ep", 0, 0)


PLACE = "magd_ep/emu_edit/emu_edit-007/pause 0/seed 0"


def test_results_as_they_were_made_are_one_line_and_exit_0(whole, capsys):
    code, out = verify(whole, capsys)
    counts = [len(shards.read(whole / "cells.parquet", CELL))]
    counts += [sum(shards.count(path, kind) for path in sorted(whole.glob(where))) for where, kind in KINDS]
    assert code == 0
    assert out.splitlines()[-1].startswith("{:,} cells from {:,} scores, {:,} edits: all as recorded, ".format(*counts))
    assert [line for line in out.splitlines()[:-1] if not line.startswith("note: ")] == []


KINDS = (("scores/*/*.parquet", SCORE), ("edits/*/*.parquet", EDIT))


def test_changed_picture_bytes_are_told_with_the_cells_that_rest_on_them(results, capsys):
    def other(row):
        return row | {"image": {"bytes": picture("another"), "path": None}} if emu(row) else row

    rewritten(results / EDITS, EDIT, other)
    out = differing(results, capsys, "--all")
    assert f"({PLACE}): image_sha is " in out and "00000.parquet row " in out
    lineage = shards.read(results / "lineage.parquet", LINEAGE)
    [key] = {row["edit_id"] for row in shards.read(results / EDITS, EDIT) if emu(row)}
    resting = {row["cell_id"] for row in lineage if row["edit_id"] == key}
    names = {name_of(cell) for cell in shards.read(results / "cells.parquet", CELL) if cell_id(cell) in resting}
    said = out.split("Cells that rest on these edits")[1].splitlines()[1:]
    assert {line.strip() for line in said if line.startswith("  ")} == names
    assert "Cells that are not what" not in out  # what is recorded of the picture did not change


def test_a_picture_changed_with_its_hash_makes_its_cells_stale(results, capsys):
    rewritten(results / EDITS, EDIT, lambda row: row | {"image_sha": "f" * 64} if emu(row) else row)
    out = differing(results, capsys)
    assert f"picture of edit {one_edit(results)} {PLACE}: was " in out and "is ffffffffffffffff" in out


def one_edit(results) -> str:
    return next(row["edit_id"] for row in shards.read(results / EDITS, EDIT) if emu(row))


def test_a_changed_score_is_told_with_its_cells(results, capsys):
    def other(row):
        return row | {"value": 0.5} if emu(row) and (row["metric"], row["against"]) == ("dino", "source") else row

    rewritten(results / SCORES, SCORE, other)
    out = differing(results, capsys, "--all")
    assert f"{PLACE} dino/source: was " in out and "is 0.5 ok" in out and "2/emu_edit/magd_ep/DINO" in out
    assert "value: recorded " in out and "\nEdits" not in out and "\nScores" not in out


def test_a_score_under_another_id_is_told(results, capsys):
    wrong = {"score_id": "0" * 16}
    rewritten(results / SCORES, SCORE, lambda row: row | wrong if seventh(row) else row)
    out = differing(results, capsys)
    assert f"({PLACE} clip_i/source): score_id is 0000000000000000, its key gives " in out


def seventh(row) -> bool:
    return emu(row) and (row["metric"], row["against"]) == ("clip_i", "source")


def test_a_deleted_edit_is_told(results, capsys):
    rewritten(results / EDITS, EDIT, lambda row: None if emu(row) else row)
    out = differing(results, capsys)
    assert f"{EDITS} ({PLACE}): no such edit, and there are scores of it" in out
    assert "is none" in out  # the picture that its cells were made with


def test_edits_without_scores_are_told(results, capsys):
    rewritten(results / SCORES, SCORE, lambda row: None if emu(row) else row)
    assert "1 edits have no scores, such as " in differing(results, capsys)


def test_an_edit_under_another_id_or_twice_is_told(results, capsys):
    rows = shards.read(results / EDITS, EDIT)
    mine = next(row for row in rows if emu(row))
    shards.write(results / EDITS, [*rows, mine, mine | {"seed": 99, "edit_id": "0" * 16}], EDIT)
    out = differing(results, capsys)
    assert f"({PLACE}): comes twice" in out and "/seed 99): edit_id is 0000000000000000, its key gives " in out


def test_edited_cells_are_told(results, capsys):
    wrong = {
        "DINO": {"value": 0.123},
        "CLIP-I": {"text": "0.999"},
        "CLIP-T": {"n": 1},
        "CLIP-Dir": {"digest": "0" * 16},
    }

    def change(cell):
        mine = cell["block"] == "emu_edit" and cell["table"] == "2" and cell["row"] == "magd_ep"
        return cell | wrong.get(cell["column"], {}) if mine else cell

    rewritten(results / "cells.parquet", CELL, change)
    out = differing(results, capsys)
    for name, other in wrong.items():
        [(column, value)] = other.items()
        assert f"2/emu_edit/magd_ep/{name}: {column}: recorded {value}, " in out


def test_a_cell_that_is_gone_is_told(results, capsys):
    cells = shards.read(results / "cells.parquet", CELL)
    shards.write(results / "cells.parquet", cells[1:], CELL)
    assert f"{name_of(cells[0])}: is declared, and is not there" in differing(results, capsys)


def edited(path, change) -> None:
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def test_an_edited_slice_of_edits_is_told_by_hash_and_by_value(results, capsys):
    edited(results / "edits/magd_ep/config.json", lambda told: told["sampler"].update(steps=99))
    out = differing(results, capsys)
    assert "edits of magd_ep were made by the configuration " in out
    assert "edits/magd_ep/config.json: sampler.steps is 99, by tables/config.json 10" in out


def test_an_edited_slice_of_a_run_is_told(results, capsys):
    edited(results / "runs/ft/config.json", lambda told: told["settings"].update(learning_rate=9.0))
    out = differing(results, capsys)
    assert "runs/ft/config.json: settings.learning_rate is 9.0, the run was trained with 0.0001" in out


def test_an_edited_slice_of_the_tables_marks_the_cells_it_makes(results, capsys):
    edited(
        results / "tables/config.json", lambda told: (told["sampler"].update(guidance=9.0), told.update(resamples=50))
    )
    out = differing(results, capsys, "--all")
    assert "low: recorded " in out and "value: recorded" not in out
    assert "the edits of magd_ep were made by another configuration than the tables' slice" in out
    assert "sampler.guidance is 2.5, by tables/config.json 9.0 (" in out


def test_changed_lost_and_strange_weights_are_told(results, capsys):
    folder = results / "runs" / "magd_ep" / "weights"
    (folder / "a.txt").write_text("others")
    (folder / "part" / "b.txt").unlink()
    (folder / "c.txt").write_text("new")
    out = differing(results, capsys)
    for name, how in (("a.txt", "is another file"), ("part/b.txt", "is gone"), ("c.txt", "is not in it")):
        assert f"runs/magd_ep/weights/{name}: {how}, by weights.json" in out
    assert "edits of magd_ep were made by the weights " in out


def test_a_changed_sample_is_told(results, capsys):
    path = results / "data" / "emu_edit" / "samples" / "00000.parquet"
    image = {"bytes": picture("another"), "path": None}
    rewritten(path, SAMPLE, lambda row: row | {"target": image} if row["sample_id"] == "emu_edit-004" else row)
    out = differing(results, capsys)
    assert f"{path} row 4 (emu_edit-004): sha256 is " in out
    assert f"{path}: another file than samples.json lists" in out


@pytest.mark.parametrize("names", [(EDITS, "cells.parquet"), (SCORES, "lineage.parquet", "data/emu_edit/samples.json")])
def test_missing_files_are_told_and_the_rest_is_looked_at(results, capsys, names):
    for name in names:
        (results / name).unlink()
    out = differing(results, capsys)
    assert all(str(results / name) in out for name in names) and "no such file" in out
    assert "note: cells were not made anew" in out and " 0 edits" not in out


def test_a_damaged_file_is_told_and_the_rest_is_looked_at(results, capsys):
    path = results / EDITS
    path.write_bytes(path.read_bytes()[:-100])
    out = differing(results, capsys)
    assert f"{path}: not a whole Parquet file" in out and "Traceback" not in out
    assert " 0 edits" not in out


def test_an_edited_table_is_told_by_file_and_line(results, capsys):
    path = results / "tables" / "table_2.md"
    path.write_text(path.read_text().replace("## ", "### ", 1))
    assert f"{path} line 5: is not what cells.parquet gives" in differing(results, capsys)


def test_many_alike_are_shown_together_unless_all_are_asked_for(results, capsys):
    rewritten(results / EDITS, EDIT, lambda row: row | {"edit_id": "0" * 16})
    short, long = differing(results, capsys), differing(results, capsys, "--all")
    assert "more (--all shows them)" in short and "more (--all" not in long
    assert len(long.splitlines()) > 3 * len(short.splitlines())


def test_a_folder_of_something_else_is_one_line(tmp_path, capsys):
    assert cli.main(["verify", str(tmp_path)]) == 2
    assert cli.main(["verify", str(tmp_path / "none")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "no tables/config.json in it" in first and "no such folder" in second


def test_what_the_report_was_made_beside_is_held_to_its_hash(results, capsys):
    """Answers, questions and figures too, which no cell is made of."""
    from madi.provenance import write_provenance
    from madi.tables.workflow import kept

    answers = results / "answers" / "models" / "answers.parquet"
    figure = results / "figures" / "figure_6.svg"
    for path in (answers, figure):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"as made")
    write_provenance(results / "provenance.json", files=kept(results))
    assert cli.main(["verify", str(results)]) == 0
    answers.write_bytes(b"changed")
    figure.unlink()
    (results / "figures" / "more.svg").write_bytes(b"")
    assert cli.main(["verify", str(results)]) == 1
    said = capsys.readouterr().out
    for line in (f"{answers}: is another than it was", f"{figure}: is gone", "more.svg: is new"):
        assert line in said
