"""`madi`: one command, one verb a job. Stages are mounted when called for, and every error ends here.

A fault that a person can mend (MadiError) is one line on stderr and exit code 2. Anything else is a fault of ours:
one line too, with its traceback in the job's log (on stderr where there is no log), and exit code 1.
"""

import contextlib
import importlib
import sys
import traceback
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import typer

from madi.errors import MadiError

UsageError = typer.BadParameter.__base__  # typer brings a click of its own

STAGES = {name: f"madi.{name}.verbs" for name in ("data", "prompts", "train", "edit", "score", "tables", "pretrain")}
STAGES |= {"config": "madi.check", "bench": "madi.bench.verbs", "export": "madi.export", "asked": "madi.asked"}
STAGES |= {"tinyworld": "madi.pretrain.tinyworld"}
ALONE = {
    "trace": "madi.lineage.verbs",
    "verify": "madi.lineage.verbs",
    "audit": "madi.tables.audit.verbs",
    "cost": "madi.cost.verbs",
}  # verbs in no stage


def application(stages: Iterable[str]) -> typer.Typer:
    """The command with the given stages mounted: importing one costs time that the others need not spend."""
    app = typer.Typer(
        name="madi",
        help="Edit images with masking-augmented diffusion, and regenerate the paper's tables.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(lambda: None)  # a verb alone is called by its name all the same
    for stage in stages:
        if stage in ALONE:
            app.command(stage)(getattr(importlib.import_module(ALONE[stage]), stage))
            continue
        verbs = importlib.import_module(STAGES[stage]).app
        app.add_typer(verbs, name=stage)
        if stage == "edit":  # a service's verb, which stages do not import
            verbs.command()(importlib.import_module("madi.photo.verbs").photo)
        if stage == "score":
            verbs.command()(importlib.import_module("madi.folder.verbs").folder)
    return app


def log_of(arguments: Sequence[str]) -> Path | None:
    """The file of `--log FILE`, `--log=FILE` or, beside torchrun's own options, `--log-to`."""
    for word, following in zip_longest(arguments, arguments[1:]):
        option, equals, value = word.partition("=")
        if option in ("--log", "--log-to") and (equals or following is not None):
            return Path(value if equals else following)
    return None


def tell(line: str, log: Path | None, details: str = "") -> None:
    """One line on stderr; in the log that line, and the details before it."""
    print(line, file=sys.stderr)
    if log is not None:
        with contextlib.suppress(OSError):  # it is said on stderr all the same
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{details}{line}\n")


def misused(slip: UsageError, log: Path | None) -> int:
    """A slip on the command line in one line, as every other; the help where nothing was asked."""
    if type(slip).__name__ == "NoArgsIsHelpError":
        print(slip.format_message())
        return 2
    what = " ".join(slip.format_message().split()).rstrip(".").replace("Value error, ", "")
    hint = "; words with spaces need quotes" if "extra argument" in what else ""
    command = slip.ctx.command_path if slip.ctx else "madi"
    tell(f"error: {what[:1].lower()}{what[1:]}{hint}; see `{command} --help`", log)
    return 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    known = [*STAGES, *ALONE]
    stages = arguments[:1] if arguments[:1] and arguments[0] in known else known
    log = log_of(arguments)
    try:
        code = application(stages)(arguments, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except UsageError as slip:
        return misused(slip, log)
    except MadiError as problem:
        tell(f"error: {problem}", log)
        return problem.code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as fault:
        what = " ".join(f"{type(fault).__name__}: {fault}".split())
        if log is None:
            traceback.print_exc()
        place = f"in {log}" if log else "above"
        tell(f"error: {what} (a fault of madi; its traceback is {place})", log, traceback.format_exc())
        return 1
    return 0
