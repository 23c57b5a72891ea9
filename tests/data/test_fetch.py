"""Weights from a hub, by the hub's own client: what is fetched, what is left, what is told when it fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import hub
import pytest

REPO = "someone/weights"
FILES = {
    "model_index.json": b"{}",
    "transformer/config.json": b"{}",
    "transformer/diffusion_pytorch_model.safetensors": bytes(range(256)) * 400,
    "transformer/pytorch_model.bin": b"pickle",
    "run_me.py": b"import os",
}


def fetch(at, folder, repo=REPO, **environment):
    words = [sys.executable, "-m", "madi", "data", "fetch", "--repo", repo, "--folder", folder / "model"]
    words += ["--manifest", folder / "model.json"]
    quick = {
        "HF_ENDPOINT": at,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(list(map(str, words)), env=os.environ | quick | environment, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.fixture
def server():
    with hub.Hub({REPO: dict(FILES), "someone/pickles": {"config.json": b"{}", "model.bin": b"x"}}) as found:
        yield found


def test_what_is_safe_is_fetched_and_named_by_hash(server, tmp_path):
    code, said = fetch(server.url, tmp_path)
    assert code == 0, said
    told = json.loads((tmp_path / "model.json").read_text())
    assert told["repo"] == REPO and told["commit"] == hub.COMMIT
    assert set(told["files"]) == {name for name in FILES if name.endswith((".json", ".safetensors"))}
    for name in told["files"]:
        assert (tmp_path / "model" / name).read_bytes() == FILES[name]
    server.asked.clear()
    assert fetch(server.url, tmp_path)[0] == 0 and server.asked == []  # nothing is fetched twice


def test_a_cut_connection_is_taken_up_again(server, tmp_path):
    server.cut = 1
    code, said = fetch(server.url, tmp_path)
    name = "transformer/diffusion_pytorch_model.safetensors"
    assert code == 0 and (tmp_path / "model" / name).read_bytes() == FILES[name], said
    assert server.asked.count(name) == 2


@pytest.mark.parametrize(
    ("repo", "said"),
    [("someone/nothing", "someone/nothing@main: cannot be fetched"), ("someone/pickles", "no safetensors file")],
)
def test_what_is_not_there_is_one_line(server, tmp_path, repo, said):
    code, error = fetch(server.url, tmp_path, repo)
    last = error.strip().splitlines()[-1]
    assert code == 2 and last.startswith("error: ") and said in last, error
    assert not (tmp_path / "model.json").exists()


def test_no_network_is_one_line(tmp_path):
    code, error = fetch("http://127.0.0.1:9", tmp_path, HF_HUB_ETAG_TIMEOUT="1")
    assert code == 2 and "cannot be fetched" in error.strip().splitlines()[-1], error
    assert "Traceback" not in error


def test_a_data_set_goes_to_the_hubs_cache_with_the_files_that_are_wanted(tmp_path):
    files = {"data/FreeForm-00000-of-00002.parquet": b"a" * 5000, "data/FreeForm-00001-of-00002.parquet": b"b" * 5000}
    with hub.Hub({"someone/data": files}) as server:
        words = [sys.executable, "-m", "madi", "data", "fetch", "--repo", "someone/data", "--files", "data/*-00001-*"]
        quick = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        words += ["--manifest", str(tmp_path / "m.json")]
        done = subprocess.run(words, env=os.environ | quick, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert server.asked == ["data/FreeForm-00001-of-00002.parquet"]
    told = json.loads((tmp_path / "m.json").read_text())
    assert told["files"] == {"data/FreeForm-00001-of-00002.parquet": 5000} and str(tmp_path / "home") in told["folder"]


def one_file(tmp_path, url):
    words = [sys.executable, "-m", "madi", "data", "fetch", "--url", url, "--manifest", str(tmp_path / "m.json")]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_a_file_by_its_address_comes_whole_or_not_at_all(tmp_path):
    with hub.Hub({REPO: FILES}) as server:
        url = f"{server.url}/{REPO}/resolve/main/transformer/diffusion_pytorch_model.safetensors"
        server.cut = 1
        code, said = one_file(tmp_path, url)
        assert code == 2 and "cannot be fetched" in said and not list(tmp_path.rglob("*.safetensors"))
        assert one_file(tmp_path, url)[0] == 0
        code, said = one_file(tmp_path, f"{server.url}/{REPO}/resolve/main/nothing")
        assert code == 2 and "cannot be fetched (HTTP Error 404" in said
    told = json.loads((tmp_path / "m.json").read_text())
    name = "diffusion_pytorch_model.safetensors"
    assert (tmp_path / "m" / name).read_bytes() == FILES[f"transformer/{name}"] and list(told["files"]) == [name]


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_hub_is_asked_again(server, tmp_path, code):
    server.busy, server.code = 2, code
    done, said = fetch(server.url, tmp_path)
    assert done == 0 and (tmp_path / "model.json").exists(), said
    assert "trying again" in said or len(server.asked) > 3  # by us, or by the client itself


@pytest.mark.parametrize("fault", ["short", "wrong"])
def test_a_file_of_another_size_or_hash_than_announced_is_fetched_again(server, tmp_path, fault):
    setattr(server, fault, 1)
    done, said = fetch(server.url, tmp_path)
    name = "transformer/diffusion_pytorch_model.safetensors"
    assert done == 0 and (tmp_path / "model" / name).read_bytes() == FILES[name], said
    assert fault == "short" or "has another hash than announced, trying again" in said


def data_set(server, folder, *options, **environment):
    words = [sys.executable, "-m", "madi", "data", "fetch", "--repo", "someone/data", "--files", "data/*", *options]
    quick = {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_XET": "1"}
    words += ["--manifest", str(folder / "m.json")]
    done = subprocess.run(words, env=os.environ | quick | environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_in_the_cache_too_a_wrong_file_is_replaced_and_a_hub_that_never_tells_the_truth_is_one_line(tmp_path):
    files = {"data/a.parquet": b"a" * 5000, "data/b.parquet": b"b" * 5000}
    with hub.Hub({"someone/data": files}) as server:
        server.wrong = 1
        code, said = data_set(server, tmp_path)
        assert code == 0 and "another hash" in said
        where = Path(json.loads((tmp_path / "m.json").read_text())["folder"])
        assert {name: (where / name).read_bytes() for name in files} == files
        server.wrong = 1000
        (tmp_path / "more").mkdir()
        code, said = data_set(server, tmp_path / "more")
        assert code == 2 and "another hash than announced" in said.splitlines()[-1] and "Traceback" not in said
        assert not (tmp_path / "more/m.json").exists()


def test_offline_what_is_there_is_used(tmp_path):
    files = {"data/a.parquet": b"a" * 5000}
    with hub.Hub({"someone/data": files}) as server:
        assert data_set(server, tmp_path)[0] == 0
        before = (tmp_path / "m.json").read_text()
        server.asked.clear()
        code, said = data_set(server, tmp_path, HF_HUB_OFFLINE="1")
        assert code == 0 and (tmp_path / "m.json").read_text() == before and server.asked == [], said
        (tmp_path / "none").mkdir()
        code, said = data_set(server, tmp_path / "none", HF_HUB_OFFLINE="1")
        assert code == 2 and "Traceback" not in said and "someone/data@main: cannot be fetched" in said
