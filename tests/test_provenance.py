import hashlib
from pathlib import Path

import pytest

from madi import config, provenance, settle
from madi.errors import MadiError
from madi.shards import read_json, write_json


def test_file_sha_is_sha256(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert provenance.file_sha(path) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(MadiError, match="No such file"):
        provenance.file_sha(tmp_path / "b")


def test_folder_sha_follows_names_and_bytes_only(tmp_path):
    def folder(name, files):
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return provenance.folder_sha(tmp_path / name)

    first = folder("a", {"x": "1", "deep/y": "2"})
    assert first == folder("b", {"deep/y": "2", "x": "1"})
    assert first == folder("b", {"provenance.json": "today", ".cache": "z"})
    assert first != folder("c", {"x": "2", "deep/y": "1"})
    assert first != folder("d", {"x": "1", "y": "2"})
    with pytest.raises(MadiError, match="no such folder"):
        provenance.folder_sha(tmp_path / "none")


def test_provenance_holds_facts_versions_and_no_names_of_the_machine(tmp_path):
    import platform

    path = tmp_path / "provenance.json"
    provenance.write_provenance(path, command="madi x", seed=3)
    facts = read_json(path)
    assert facts["command"] == "madi x" and facts["seed"] == 3
    assert {"python", "numpy", "pyarrow"} <= set(facts["versions"])
    assert facts["hardware"]["cores"] >= 1
    assert facts["code"] == provenance.code_sha()
    assert platform.node() not in path.read_text() and str(tmp_path) not in path.read_text()


def test_runs_of_other_code_are_named_and_those_of_this_are_not(tmp_path, monkeypatch, capsys):
    smoke = config.load(Path(__file__).parent.parent / "config/smoke.yaml")
    monkeypatch.chdir(tmp_path)
    for run, code in (("ft_ep", provenance.code_sha()), ("magd_ep", "another")):
        Path(f"results/smoke/runs/{run}").mkdir(parents=True)
        write_json(f"results/smoke/runs/{run}/run.json", {"code": code})
    settle.warn_of_other_code(smoke)
    said = capsys.readouterr().err
    assert said.startswith("warning: other code than this has trained magd_ep:") and said.count("\n") == 1
