"""What is printed twice ought to be the same twice: a run in several tables, tables in figures, tables in the text."""

from madi.tables.audit.finding import CONTRADICTION, HOLDS, Check, Value, same, told

RUN, TEXT = "same run", "text"


def pairs(*values: Value) -> tuple[str, str]:
    """First half against second half, value by value."""
    half = len(values) // 2
    both = list(zip(values[:half], values[half:]))
    differ = [(one, other) for one, other in both if not same(one, other)]
    agreed = [one.column for one, other in both if same(one, other)]
    parts = [f"{one} against {other}" for one, other in differ]
    parts += [f"the same: {told([v for pair in both if same(*pair) for v in pair])}"] * bool(agreed)
    return CONTRADICTION if differ else HOLDS, "; ".join(parts)


def whose(*values: Value) -> tuple[str, str]:
    """Whether the text's number (first) is printed of the system that the text speaks of, among a table's rows."""
    said, *rows = values
    alike = [row for row in rows if same(said, row)]
    words = f"{said} of {said.system}; the table prints {told(rows)}"
    if not alike:
        return CONTRADICTION, f"{words}: none is the text's"
    mine = any(row.system == said.system for row in alike)
    return (HOLDS if mine else CONTRADICTION), f"{words}: the text's is {' and '.join(row.row for row in alike)}'s"


def elsewhere(said: Value, meant: Value, *others: Value) -> tuple[str, str]:
    """The text's number against the one it should be, and where else in that row it stands."""
    row = f"{said}; {meant}; in that row also {told(others)}"
    if same(said, meant):
        return HOLDS, row
    found = [other.column for other in others if same(said, other)]
    return CONTRADICTION, f"{row}: it is {' and '.join(found) or 'none of them'}"


def run(name: str, row: str, claim: str, one: str, other: str, columns: dict[str, str] | tuple[str, ...]) -> Check:
    """A row of one table against a row of another: `one` and `other` are table/block/row."""
    named = columns if isinstance(columns, dict) else {column: column for column in columns}
    keys = (*(f"{one}/{column}" for column in named), *(f"{other}/{column}" for column in named.values()))
    return Check(f"same-run/{name}/{row}", RUN, claim, keys, pairs)


def text(row: str, system: str, column: str, *meant: str, others: tuple[str, ...] = ()) -> Check:
    """A number of the text against the table's."""
    claim = f"the text's {column} ({row}, {system}) is the table's"
    key = f"text/{row}/{system}/{column}"
    return Check(text_id(row, system, column), TEXT, claim, (key, *meant, *others), elsewhere if others else pairs)


def owned(row: str, system: str, column: str, rows: tuple[str, ...], of: str) -> Check:
    """A number of the text that Table 3 must print of the same system."""
    claim = f"the text's {column} ({row}) is printed of {system}"
    keys = (f"text/{row}/{system}/{column}", *(f"3/emu_edit/{name}/{of}" for name in rows))
    return Check(text_id(row, system, column), TEXT, claim, keys, whose)


def text_id(row: str, system: str, column: str) -> str:
    return f"text/{row}/{system}/{column.replace(' ', '-')}"


FOUR = ("CLIP-I", "DINO", "CLIP-T", "CLIP-Dir")
SCALED, PLAIN = ("ft_ep_scaled", "magd_ep_scaled"), ("ft_ep", "magd_ep")
BEST = "CLIP-Dir best of pause 0,8,16,32"
ROW_1, ROW_1_SCALED = "1/emu_edit/magd_ep", "1/emu_edit/magd_ep_scaled"

CHECKS = [
    *(
        run(
            "table-1-2",
            row,
            f"Tables 1 and 2 print one run of {row}",
            f"1/emu_edit/{row}",
            f"2/emu_edit/{row}",
            {c: c for c in FOUR} | {"MLLM": "MLLM_avg"},
        )
        for row in ("omnigen", "magd_ep")
    ),
    run(
        "table-1-3",
        "magd_ep_scaled",
        "Table 1's scaled row is Table 3's choice by CLIP-Dir",
        ROW_1_SCALED,
        "3/emu_edit/magd_ep_scaled",
        {"DINO": "best_clip_dir:DINO", "CLIP-Dir": "best_clip_dir:CLIP-Dir"},
    ),
    run(
        "table-2-6",
        "magd",
        "Tables 2 and 6 print one run of magd",
        "2/emu_edit/magd",
        "6/emu_edit/magd",
        (*FOUR, "MLLM_avg"),
    ),
    run("table-6-7", "magd", "Tables 6 and 7 print one run of magd", "6/emu_edit/magd", "7/emu_edit/magd", FOUR),
    run("table-2-7", "magd", "Tables 2 and 7 print one run of magd", "2/emu_edit/magd", "7/emu_edit/magd", FOUR),
    *(
        run(
            "figure-6-2",
            row,
            f"Figure 6's unscaled {row} is Table 2's",
            f"figure_6/emu_edit/{row}",
            f"2/emu_edit/{row}",
            columns,
        )
        for row, columns in (
            ("ft_ep", {"CLIP-Dir without scaling": "CLIP-Dir"}),
            ("magd_ep", {"CLIP-Dir without scaling": "CLIP-Dir", "DINO without scaling": "DINO"}),
        )
    ),
    *(
        run(
            "figure-6-3",
            row,
            f"Figure 6's scaled {row} is Table 3's",
            f"figure_6/emu_edit/{row}",
            f"3/emu_edit/{row}_scaled",
            columns,
        )
        for row, columns in (
            ("ft_ep", {BEST: "best_clip_dir:CLIP-Dir"}),
            ("magd_ep", {BEST: "best_clip_dir:CLIP-Dir", "DINO at best CLIP-Dir": "best_clip_dir:DINO"}),
        )
    ),
    text(
        "dino_claim_scaled",
        "magd_ep",
        "DINO falls from",
        f"{ROW_1}/DINO",
        others=(f"{ROW_1}/CLIP-I", f"{ROW_1}/CLIP-T"),
    ),
    text(
        "dino_claim_scaled",
        "magd_ep",
        "DINO falls to",
        f"{ROW_1_SCALED}/DINO",
        others=(f"{ROW_1_SCALED}/CLIP-I", f"{ROW_1_SCALED}/CLIP-T"),
    ),
    text("clip_dir_scaled", "magd_ep", "CLIP-Dir from", f"{ROW_1}/CLIP-Dir"),
    text("clip_dir_scaled", "magd_ep", "CLIP-Dir to", f"{ROW_1_SCALED}/CLIP-Dir"),
    text("omnigen_best_dino", "omnigen", "DINO from", "2/emu_edit/omnigen/DINO"),
    text("omnigen_best_dino", "omnigen", "CLIP-Dir from", "2/emu_edit/omnigen/CLIP-Dir"),
    owned("omnigen_best_dino", "omnigen", "DINO to", SCALED, "best_dino:DINO"),
    owned("omnigen_best_dino", "omnigen", "CLIP-Dir to", SCALED, "best_dino:CLIP-Dir"),
    text("omnigen_best_clip_dir", "omnigen", "CLIP-Dir from", "2/emu_edit/omnigen/CLIP-Dir"),
    owned("omnigen_best_clip_dir", "omnigen", "CLIP-Dir to", SCALED, "best_clip_dir:CLIP-Dir"),
    text("magd_best_dino", "magd_ep", "DINO from", "2/emu_edit/magd_ep/DINO"),
    owned("magd_best_dino", "magd_ep", "DINO to", SCALED, "best_dino:DINO"),
    *(
        owned("at_dino_0.91", system, f"{column} {end}", rows, f"DINO>=0.91:{column}")
        for system in ("magd_ep", "omnigen")
        for column in ("CLIP-Dir", "Recall")
        for end, rows in (("from", PLAIN), ("to", SCALED))
    ),
    text("ep_effect", "ft_ep", "CLIP-Dir from", "2/emu_edit/ft/CLIP-Dir"),
    text("ep_effect", "ft_ep", "CLIP-Dir to", "2/emu_edit/ft_ep/CLIP-Dir"),
    *(
        text("magd_effect", "magd_ep", f"{column} {end}", f"1/emu_edit/{row}/{column}")
        for column in ("DINO", "CLIP-Dir")
        for end, row in (("from", "omnigen"), ("to", "magd_ep"))
    ),
]
