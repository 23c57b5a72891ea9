"""The command: cheap to start, and one line for every fault."""

import subprocess
import sys
import types
from pathlib import Path

import pytest
import typer

from madi import cli
from madi.errors import MadiError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def stage(monkeypatch):
    """`madi fake go --log FILE`, which does what the test sets."""
    verbs, does = types.ModuleType("fake_verbs"), {}
    verbs.app = typer.Typer()

    @verbs.app.callback()
    def fake():
        pass

    @verbs.app.command()
    def go(log: Path = None):
        does["what"]()

    monkeypatch.setitem(sys.modules, "fake_verbs", verbs)
    monkeypatch.setattr(cli, "STAGES", {"fake": "fake_verbs", "other": "no_such_module"})

    def run(what, *arguments):
        does["what"] = what
        return cli.main(["fake", "go", *map(str, arguments)])

    return run


def fail(error):
    def do():
        raise error

    return do


def test_a_fault_of_the_input_is_one_line_and_exit_2(stage, tmp_path, capsys):
    log = tmp_path / "logs" / "job.log"
    code = stage(
        fail(MadiError("not an image", "samples.parquet row 3", "PNG or JPEG", "fetch it again")), "--log", log
    )
    line = "error: samples.parquet row 3: not an image; expected PNG or JPEG; fetch it again\n"
    assert code == 2 and capsys.readouterr().err == line and log.read_text() == line


def test_a_fault_of_ours_is_one_line_with_the_traceback_in_the_log(stage, tmp_path, capsys):
    log = tmp_path / "job.log"
    log.write_text("step 1\n")
    assert stage(fail(KeyError("weights")), f"--log={log}") == 1
    shown, kept = capsys.readouterr().err, log.read_text()
    assert shown.count("\n") == 1 and "KeyError: 'weights'" in shown and str(log) in shown
    assert kept.startswith("step 1\n") and "Traceback" in kept and kept.endswith(shown)


def test_without_a_log_the_traceback_is_shown(stage, capsys):
    assert stage(fail(RuntimeError("lost"))) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown and shown.splitlines()[-1].startswith("error: RuntimeError: lost")


def test_an_interrupt_is_130_and_success_is_0(stage):
    assert stage(fail(KeyboardInterrupt())) == 130
    assert stage(lambda: None) == 0


def test_only_the_stage_called_for_is_imported(stage):
    assert stage(lambda: None) == 0  # "other" cannot be imported
    with pytest.raises(ModuleNotFoundError):
        cli.application(cli.STAGES)


def test_help_and_light_verbs_import_no_torch():
    code = (
        "import sys; from madi import cli\n"
        "assert cli.main(['--help']) == 0\n"
        "assert cli.main(['config', 'check', 'config/smoke.yaml']) == 0\n"
        "import madi.data.prepare, madi.prompts.plan, madi.prompts.questions\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'open_clip', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout for name in ("data", "prompts", "train", "edit", "score", "tables", "pretrain"))


def test_a_broken_config_is_one_line_and_exit_2(tmp_path, capsys):
    path = tmp_path / "scale.yaml"
    path.write_text("name: demo\nseeed: 0\n")
    assert cli.main(["config", "check", str(path)]) == 2
    shown = capsys.readouterr()
    assert (
        shown.out == "" and shown.err.startswith(f"error: {path}:2 seeed: unknown key") and shown.err.count("\n") == 1
    )


def madi(*arguments, **more) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "madi", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, **more)


def test_madi_alone_shows_what_there_is():
    done = madi()
    assert done.returncode == 2 and "Traceback" not in done.stderr and "score" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--log"], ["--log="], ["data", "--log"], ["--"]])
def test_the_log_of_odd_arguments(arguments):
    found = cli.log_of(arguments)
    assert found is None or isinstance(found, Path)
    assert cli.main(arguments) == 2


@pytest.mark.parametrize("place", ["folder", "below a file", "full", "no right", "long"])
@pytest.mark.parametrize("fault", [None, MadiError("a slip", "there"), RuntimeError("ours")])
def test_a_log_that_cannot_be_written_is_one_line(stage, tmp_path, capsys, place, fault):
    from madi.progress import log_to, say

    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    places = {"folder": tmp_path / "folder", "below a file": tmp_path / "file/log", "full": Path("/dev/full")}
    places |= {"no right": Path("/proc/log"), "long": tmp_path / ("x" * 300)}

    def what():
        with log_to(places[place]):
            say("a line")
            if fault:
                raise fault

    code = stage(what, "--log", places[place])
    said = capsys.readouterr().err
    if place == "full":  # what cannot be written is said, and stops nothing
        assert "a line" in said and "nothing more is written to /dev/full" in said
        assert code == (0 if fault is None else 2 if isinstance(fault, MadiError) else 1)
    else:
        assert code == 2 and said.count("\n") == 1 and f"--log {places[place]}" in said and "cannot be written" in said


@pytest.mark.parametrize("count", ["1000000", "1025", "0", "-1", "1e3"])
@pytest.mark.parametrize("verb", [("score", "folder"), ("edit", "photo"), ("bench", "data")])
def test_more_threads_than_a_machine_has_are_refused(verb, count, capsys):
    assert cli.main([*verb, "--threads", count]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "threads" in said
