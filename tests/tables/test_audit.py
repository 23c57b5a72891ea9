"""The audit of the printed numbers: it follows the CSV alone, and turns when a number does."""

import csv
import re
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madi import cli
from madi.errors import MadiError
from madi.tables.audit import counts, finding, power, run, spreads

REPORTED = Path(__file__).parents[2] / "config" / "reported.csv"
PRINTED = finding.read_printed(REPORTED)
FOUND = {one.id: one for one in run.findings(REPORTED)}
CENT = Decimal("0.01")


def verdicts(printed) -> dict[str, str]:
    return {check.id: check.against(printed).verdict for check in run.CHECKS}


def altered(changes: dict[str, str]) -> dict:
    """The printed values with other texts at some addresses."""
    assert changes.keys() <= PRINTED.keys()
    new = {key: finding.value_of(key, PRINTED[key].system, text) or text for key, text in changes.items()}
    return PRINTED | new


def turned(changes: dict[str, str]) -> dict[str, str]:
    """The verdicts that differ once the changes are made."""
    before, after = verdicts(PRINTED), verdicts(altered(changes))
    return {name: after[name] for name in after if after[name] != before[name]}


def value(text: str) -> finding.Value:
    return finding.value_of("t/b/r/c", "", text)


def test_ids_are_unique_and_every_finding_is_complete():
    assert len({check.id for check in run.CHECKS}) == len(run.CHECKS) == len(FOUND)
    for one in FOUND.values():
        assert one.verdict in finding.VERDICTS and one.verdict != finding.UNCHECKED, one
        assert one.claim and one.evidence and "\n" not in one.claim + one.evidence, one


def test_evidence_shows_every_number_used_and_findings_use_printed_values_alone():
    printed_texts = {part for key, one in PRINTED.items() for part in (*key.split("/"), getattr(one, "text", one))}
    known = {number for text in printed_texts for number in re.findall(r"\d+\.\d+", text)}
    for one in FOUND.values():
        assert one.keys and all(key in PRINTED for key in one.keys), one
        for key in one.keys:
            assert PRINTED[key].text in one.evidence, (one, key)
        if one.kind in ("same run", "text"):  # these do no arithmetic: each number in them is printed
            assert set(re.findall(r"\d+\.\d+", one.evidence)) <= known, one


FALLS = "text/dino_claim_scaled/magd_ep/DINO"
FOUR = ("CLIP-I", "DINO", "CLIP-T", "CLIP-Dir")
CORRECTIONS = [
    ({"4/geneval/ft/Avg": "60.35"}, {"geneval-average/ft"}),
    ({"4/geneval/magd/Avg": "63.50"}, {"geneval-average/magd"}),
    ({"text/ep_effect/ft_ep/CLIP-Dir from": "0.111"}, {"text/ep_effect/ft_ep/CLIP-Dir-from"}),
    (
        {f"{FALLS} falls from": "0.927", f"{FALLS} falls to": "0.894"},
        {f"{FALLS}-falls-from", f"{FALLS}-falls-to"},
    ),
    ({"8/hyperparameters/gradient_steps/value": "~4000"}, {"training/steps"}),
    ({"text/training//samples": "400k"}, {"training/samples"}),
    ({"text/training//UltraEdit samples": "200K"}, {"training/even-split"}),
    ({"9/without inference scaling/total_test_set_size/IdeaBench": "54"}, {"idea-denominator/table-9"}),
    ({"5/complex_edit/ft_ep_gain/complexity=2": "44.5"}, {"table-5-gain/ft_ep/complexity=2"}),
    (
        {"complex_edit/complex_edit/omnigen/Avg": "6.65", "complex_edit/complex_edit/magd_ep/Avg": "6.98"},
        {f"complex-edit-average/{name}" for name in ("omnigen", "magd_ep", "reordered")},
    ),
    ({"2/emu_edit/ft/MLLM_avg": "7.97"}, {"mllm-aggregate/ft"}),
    ({"9/with inference scaling/subset_samples/MagicBrush": "528"}, {"subset/magicbrush"}),
    (
        {f"6/emu_edit/magd/{name}": PRINTED[f"2/emu_edit/magd/{name}"].text for name in FOUR},
        {"same-run/table-2-6/magd", "same-run/table-6-7/magd", "claim/masking-rate/CLIP-Dir"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("changes, ids", CORRECTIONS, ids=[min(ids) for _, ids in CORRECTIONS])
def test_a_corrected_number_turns_exactly_its_findings_to_holds(changes, ids):
    assert turned(changes) == dict.fromkeys(ids, finding.HOLDS)


def test_a_spoiled_number_turns_what_held():
    said = {check.id: check for check in run.CHECKS}
    for name, one in FOUND.items():
        if one.kind in ("same run", "text") and one.verdict == finding.HOLDS:
            key = one.keys[0]
            spoiled = altered({key: f"{float(PRINTED[key].number) + 0.25:.3f}"})
            assert said[name].against(spoiled).verdict == finding.CONTRADICTION, name
    assert turned({"4/geneval/ft/Position": "24.80"}) == {
        "geneval-granularity/position": finding.IMPOSSIBLE,
        "geneval-images/4": finding.IMPOSSIBLE,
        "geneval-images/20": finding.HOLDS,  # 496 of 2000: the counts are no longer all multiples of 5
    }
    assert turned({"5/complex_edit/magd_ep_gain/complexity=3": "5.0"}) == {
        "table-5-gain/magd_ep/complexity=3": finding.CONTRADICTION
    }
    assert turned({"3/emu_edit/magd_ep/DINO>=0.91:Recall": "0.20"})["table-3-rest/magd_ep/DINO>=0.91"] == "impossible"
    assert turned({"idea_bench/idea_bench/magd_ep/MLLM success rate %": "50.00"})["claim/idea-bench"] == "contradiction"


def test_without_a_value_exactly_its_findings_are_unchecked_and_name_it():
    for at, key in enumerate(PRINTED):
        rest = {other: one for other, one in PRINTED.items() if other != key}
        for check in run.CHECKS:
            if key in check.keys:
                told = check.against(rest)
                assert told.verdict == finding.UNCHECKED
                assert told.evidence == f"cannot be checked: no value for {key}"
            elif at % 50 == 0:  # slow, and no check sees more than its keys
                assert check.against(rest) == FOUND[check.id]


@pytest.mark.parametrize("text", ["0", "1", "100", "250", "-3", "N/A", ""])
def test_no_printed_value_breaks_a_check(text):
    for key in {key for check in run.CHECKS for key in check.keys}:
        printed = altered({key: text})
        for check in run.CHECKS:
            if key in check.keys:
                assert check.against(printed).verdict in finding.VERDICTS


@pytest.mark.parametrize(
    "text, number, half",
    [("0.850", "0.85", "0.0005"), ("~3k", "3000", "500"), ("400k", "400000", "500"), (">=0.7", "0.7", "0.05"),
     ("T-0.3", "-0.3", "0.05"), ("27.5", "27.5", "0.05"), ("~3200", "3200", "0.5")],
)  # fmt: skip
def test_a_printed_number_is_read_exactly_and_with_its_rounding(text, number, half):
    read = value(text)
    assert (read.number, read.half) == (Fraction(number), Fraction(half))


def test_what_is_no_number_is_none():
    assert all(finding.value_of("t/b/r/c", "", text) is None for text in ("N/A", "", "Cosine", "1,2,3,4", "yes"))


def test_two_systems_in_one_row_of_the_text_are_told_apart():
    assert PRINTED["text/at_dino_0.91/magd_ep/CLIP-Dir to"].text == "0.110"
    assert PRINTED["text/at_dino_0.91/omnigen/CLIP-Dir to"].text == "0.100"


@given(n=st.integers(1, 500), cents=st.integers(0, 10_000))
def test_counts_are_those_that_a_search_by_decimals_finds(n, cents):
    printed = Decimal(cents) / 100
    shares = [(k, Decimal(100 * k) / n) for k in range(n + 1)]
    rounded = {
        k for k, share in shares for how in (ROUND_HALF_UP, ROUND_HALF_EVEN) if share.quantize(CENT, how) == printed
    }
    found = set(counts.counts_of(value(f"{printed:.2f}"), n))
    # an exact middle may be printed either way: then the decimals give one neighbour of the two that we allow
    middle = {k for k, share in shares if abs(share - printed) == CENT / 2}
    assert found - middle == rounded - middle and rounded <= found


def test_idea_bench_needs_a_multiple_of_54_and_it_is_found_by_search():
    texts = [PRINTED[key].text for key in counts.RATES]
    shares = {
        n: {str((Decimal(100 * k) / n).quantize(CENT, ROUND_HALF_UP)) for k in range(n + 1)} for n in range(1, 301)
    }
    searched = [n for n, some in shares.items() if set(texts) <= some]
    assert searched == counts.denominators([value(text) for text in texts], 300)
    assert searched[0] == 54 and all(n % 54 == 0 for n in searched)
    assert FOUND["idea-denominator/table-9"].verdict == FOUND["idea-denominator/cases"].verdict == finding.IMPOSSIBLE


def test_the_papers_contradictions_are_found():
    by = {verdict: {name for name, one in FOUND.items() if one.verdict == verdict} for verdict in finding.VERDICTS}
    assert {f"complex-edit-average/{row}" for row in ("omnigen", "magd_ep")} | {"geneval-images/5"} <= by["impossible"]
    assert {f"mllm-aggregate/{row}" for row in ("omnigen", "ft", "ft_ep", "magd", "magd_ep")} <= by["contradiction"]
    assert {"claim/magd-alone/DINO-over-ft", "claim/expressive/ft/IFP", "claim/gain-over"} <= by["contradiction"]
    assert {"claim/outperforms/emu_edit/magd_ep/ultraedit", "training/steps", "training/samples"} <= by["contradiction"]
    assert {"claim/monotone/magd_ep", "geneval-images/20"} <= by["unexplained"]
    assert "9 of 12" in FOUND["geneval-images/5"].evidence and "+74 images, +40" in FOUND["geneval-gain"].evidence


def test_a_detectable_difference_is_found_four_times_in_five():
    rng, n, repeats = np.random.default_rng(0), 60, 4000
    found = {}
    for name, true in (("none", 0.0), ("detectable", power.detectable(2.0, n)), ("half", power.detectable(2.0, n) / 2)):
        apart_RN = rng.normal(true, 2.0, (repeats, n))
        found[name] = np.mean(np.abs(apart_RN.mean(1)) > 1.96 * apart_RN.std(1, ddof=1) / np.sqrt(n))
    assert found["none"] == pytest.approx(0.05, abs=0.02)
    assert found["detectable"] == pytest.approx(0.8, abs=0.03)
    assert found["half"] < 0.4


def test_rates_that_lie_a_detectable_difference_apart_are_told_apart_four_times_in_five():
    rng, n, p = np.random.default_rng(1), 400, 0.45
    q = p
    for _ in range(50):  # the spread depends on the second rate, which depends on it
        q = p + power.detectable(power.outcome_spread(p, q), n)
    one, other = rng.binomial(n, p, 20_000) / n, rng.binomial(n, q, 20_000) / n
    spread = np.sqrt((one * (1 - one) + other * (1 - other)) / n)
    assert np.mean(np.abs(one - other) > 1.96 * spread) == pytest.approx(0.8, abs=0.02)


def test_four_times_the_samples_show_half_the_difference():
    assert power.detectable(1, 400) == pytest.approx(power.detectable(1, 100) / 2)
    assert power.detectable(3, 100) == pytest.approx(3 * power.detectable(1, 100))
    assert power.detectable(1, 100, power=0.9) > power.detectable(1, 100) > power.detectable(1, 100, level=0.1)


def scores(n: int, spread: float) -> pd.DataFrame:
    """CLIP-Dir of two editors over n samples: what they share varies much, what they do not by `spread`."""
    rng = np.random.default_rng(2)
    shared, apart = rng.normal(0, 1, n), spread * rng.normal(0, 1, n)
    rows = [
        dict(benchmark="emu_edit", editor=editor, sample_id=f"s{at}", pause=0, seed=0, metric="clip_dir",
             against="source", status="ok", value=value)
        for editor, values in (("omnigen", shared), ("magd_ep", shared + apart))
        for at, value in enumerate(values)
    ]  # fmt: skip
    rows.append(rows[0] | {"pause": 8, "value": 99.0})
    rows.append(rows[0] | {"sample_id": "alone", "value": 99.0})
    return pd.DataFrame(rows)


def test_a_measured_spread_is_of_the_differences_and_makes_the_difference_absolute():
    [spread] = spreads.spreads(scores(400, 0.02), "magd_ep", "omnigen")
    assert (spread.benchmark, spread.metric, spread.n) == ("emu_edit", "CLIP-Dir", 400)
    assert spread.value == pytest.approx(0.02, rel=0.1)
    told = spreads.measured(spread, "magd_ep", "omnigen", PRINTED).against(PRINTED)
    assert told.verdict == finding.HOLDS and f"detectable {power.detectable(spread.value, 3000):.4f}" in told.evidence
    [wide] = spreads.spreads(scores(400, 0.2), "magd_ep", "omnigen")
    assert spreads.measured(wide, "magd_ep", "omnigen", PRINTED).against(PRINTED).verdict == finding.NOTE
    [few] = spreads.spreads(scores(5, 0.02), "magd_ep", "omnigen")
    assert spreads.measured(few, "magd_ep", "omnigen", PRINTED).against(PRINTED).verdict == finding.UNCHECKED


def test_an_editor_without_scores_is_named():
    with pytest.raises(MadiError, match="no scores of ft; expected two of magd_ep, omnigen"):
        spreads.spreads(scores(3, 0.1), "magd_ep", "ft")


def test_the_command_writes_what_it_finds_and_counts_it(tmp_path, capsys):
    out = tmp_path / "audit.csv"
    assert cli.main(["audit", "--reported", str(REPORTED), "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.open(newline="")))
    assert list(rows[0]) == list(run.COLUMNS)
    assert [row["evidence"] for row in rows] == [one.evidence for one in FOUND.values()]
    last = " ".join(capsys.readouterr().out.splitlines()[-2:])
    assert f"{len(rows)} findings: " in last
    assert f"{sum(row['verdict'] == 'contradiction' for row in rows)} contradiction" in last


def test_a_table_that_repeats_or_lacks_a_column_is_one_line(tmp_path, capsys):
    path = tmp_path / "reported.csv"
    path.write_text(REPORTED.read_text() + "2,emu_edit,ft,ft,0,,DINO,0.5,,\n")
    assert cli.main(["audit", "--reported", str(path)]) == 2
    assert "a second value for 2/emu_edit/ft/DINO" in capsys.readouterr().err
    path.write_text("table,block,row\n1,2,3\n")
    assert cli.main(["audit", "--reported", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
