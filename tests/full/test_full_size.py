"""OmniGen at its published size on a CPU: memory, silence and time of `madi export` and `madi edit photo`.

Run by `make test-full` (20 GB of disk, 16 GB of memory, half an hour). Figures go to results/bench.
"""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import full_omnigen
import psutil
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
OUT = ROOT / "results" / "bench" / "omnigen_full_cpu.json"
MOST_GB = 9.0  # anonymous memory; pages of the mapped file are the kernel's to drop

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("full") / "official"
    assert 3.7e9 < full_omnigen.write(path) < 4e9
    return path


def watched(*words):
    """Runs `madi`; returns seconds, the most anonymous memory in GB, and the longest silence on stderr in seconds."""
    start = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "madi", *map(str, words)], stderr=subprocess.PIPE, cwd=ROOT)
    said, lines, most = [start], [], 0
    reader = threading.Thread(target=lambda: [(said.append(time.monotonic()), lines.append(x)) for x in child.stderr])
    reader.start()
    while child.poll() is None:
        try:
            text = Path(f"/proc/{child.pid}/status").read_text()
            most = max(most, next(int(x.split()[1]) for x in text.splitlines() if x.startswith("RssAnon")))
        except (OSError, StopIteration, psutil.Error):
            pass
        time.sleep(0.2)
    reader.join()
    end = time.monotonic()
    assert child.returncode == 0, b"".join(lines[-5:]).decode()
    silent = max(then - now for now, then in zip(said, [*said[1:], end]))
    found = {"seconds": round(end - start), "anonymous_gb": round(most * 1024 / 1e9, 2), "silence_s": round(silent, 1)}
    print(words[0], found, b"".join(lines).decode())
    return found


def note(name, figures):
    """Adds figures to the file in results/bench."""
    held = json.loads(OUT.read_text()) if OUT.is_file() else {}
    OUT.write_text(json.dumps(held | {name: figures}, indent=2) + "\n")


def test_export_streams(folder, tmp_path):
    figures = watched("export", "--weights", folder, "--out", tmp_path / "stock")
    note("export", figures)
    assert figures["anonymous_gb"] <= MOST_GB and figures["silence_s"] < 60
    assert len(list((tmp_path / "stock" / "transformer").glob("*.safetensors"))) > 2


def test_a_photo_is_edited(folder, tmp_path):
    how = ["--side", 256, "--steps", 2, "--pause", "0,8", "--threads", 1, "--out", tmp_path / "edits"]
    Image.open(ROOT / "docs" / "scene.png").convert("RGB").resize((256, 256)).save(tmp_path / "photo.png")
    figures = watched("edit", "photo", tmp_path / "photo.png", "make it red", "--weights", folder, *how)
    note("edit_photo_256px_2_steps_pauses_0_8", figures)
    assert figures["anonymous_gb"] <= MOST_GB and figures["silence_s"] < 60
    assert Image.open(tmp_path / "edits" / "pause_8.png").size == (256, 256)
