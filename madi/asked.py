"""`madi asked ...`: what models were asked, what it cost, what failed and why; and to let failures be asked again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import typer

from madi import shards
from madi.chat.cache import Cache, lines
from madi.errors import MadiError

app = typer.Typer(no_args_is_help=True, help="Look into the answers that models gave.")
WHERE = typer.Argument(..., help="A file of answers (JSON lines), or a folder of them: results/<name>/asked.")


@app.command()
def show(where: Path = WHERE) -> None:
    """Calls, tokens and money by file, and a table of what failed and why."""
    failed: Counter[str] = Counter()
    examples: dict[str, str] = {}
    paths, total = files(where), 0.0
    print(f"{'answers':40} {'ok':>8} {'missing':>8} {'calls':>8} {'tokens in':>12} {'tokens out':>12} {'spent':>10}")
    for path in paths:
        entries = lines(path)
        ok = sum(entry["status"] == "ok" for entry in entries)
        missing = sum(entry["status"] == "missing" for entry in entries)
        sums = {name: sum(entry[name] for entry in entries) for name in ("calls", "tokens_in", "tokens_out", "paid")}
        told = f"{sums['calls']:8,} {sums['tokens_in']:12,} {sums['tokens_out']:12,} {sums['paid']:10.4f}"
        total += sums["paid"]
        name = path.relative_to(where).as_posix() if path != where else path.name
        print(f"{name:40} {ok:8,} {missing:8,} {told}")
        for entry in entries:
            if entry["status"] == "missing":
                failed[entry["reason"]] += 1
                examples.setdefault(entry["reason"], entry.get("name", ""))
    print(f"{total:.4f} spent in all: a budget is a job's, and each line here is one")
    for reason, count in failed.most_common():
        print(f"{count:8,} missing: {reason} (such as {examples[reason]})")


@app.command()
def forget(where: Path = WHERE) -> None:
    """Let what failed be asked again: its entries go, what they cost stays counted. Answers stay."""
    for path in files(where):
        with Cache(path).writing():  # a job that is asking now would add its answers to a file that is gone
            entries = lines(path)
            kept = [spent(entry) if entry["status"] == "missing" else entry for entry in entries]
            gone = sum(entry["status"] == "missing" for entry in entries)
            with shards.atomic(path) as partial:
                text = "".join(json.dumps(entry, ensure_ascii=False, sort_keys=True) + "\n" for entry in kept)
                partial.write_text(text, encoding="utf-8")
        print(f"{path}: {gone} forgotten")
    print("delete the plans, questions or answers that were made of them, and run the workflow again")


def spent(entry: dict) -> dict:
    """What is left of a failure: a key that no request has, and what it cost."""
    return entry | {"key": f"forgotten {entry['key']}", "status": "forgotten"}


def files(where: Path) -> list[Path]:
    """The files of answers. Errors: MadiError where there is none."""
    found = [where] if where.is_file() else sorted(where.rglob("*.jsonl"))
    if not found:
        raise MadiError("no answers", where, "a .jsonl file, or a folder with some: no model was asked yet")
    return found
