"""`madi score folder`: a service's verb among the score stage's, since to a person it is a score."""

from enum import StrEnum
from pathlib import Path

import typer


class LayoutName(StrEnum):
    """plain: under the samples' names; the others: as the benchmarks' official scripts have it."""

    plain = "plain"
    geneval = "geneval"
    magicbrush = "magicbrush"
    complex_edit = "complex-edit"
    idea_bench = "idea-bench"


class TurnsName(StrEnum):
    """given: each turn's own source; own: the editor's edit of the turn before, of which a session's last counts."""

    given = "given"
    own = "own"


def folder(
    images: Path = typer.Argument(..., help="A folder of images: edits that anybody made."),
    benchmark: str = typer.Option(..., help="emu_edit, magicbrush, complex_edit, idea_bench or geneval."),
    samples: Path = typer.Option(..., help="Its samples: results/<name>/data/<benchmark>/samples.json."),
    layout: LayoutName = typer.Option(LayoutName.plain, help="Where a sample's image lies and what it is called."),
    out: Path = typer.Option(Path("scored"), help="Folder for index.html, table.csv and the scores."),
    clip: Path | None = typer.Option(None, help="Folder of a CLIP (default: the small one that ships)."),
    dino: Path | None = typer.Option(None, help="Folder of a ViT (default: the small one that ships)."),
    detector: Path | None = typer.Option(None, help="Folder of a Mask2Former, for GenEval on photographs."),
    turns: TurnsName = typer.Option(TurnsName.given, help="What later turns edited: MagicBrush's two protocols."),
    seeds: int = typer.Option(1, min=1, help="Images a sample; GenEval has 4."),
    threads: int = typer.Option(2, min=1, max=1024, help="CPU threads."),
) -> None:
    """Score a folder of images by a benchmark's numbers: table, intervals, tasks, a page with the best and worst."""
    from madi.folder import page
    from madi.folder.run import Asked, run, shown
    from madi.options import folder_for, shipped
    from madi.settings import GenEval

    decided = GenEval(detector="mask2former", model=str(detector)) if detector else GenEval()
    towers = {"clip": clip or shipped("clip"), "dino": dino or shipped("dino")}
    asked = Asked(
        images,
        layout.value,
        samples,
        benchmark,
        geneval=decided,
        turns=turns.value,
        seeds=seeds,
        batch=16,
        threads=threads,
        **towers,
    )
    table = run(asked, folder_for(out, "--out"))
    page.write(table, out, samples, f"{images} on {benchmark}")
    print(shown(table))
    print(f"written: {out / 'index.html'}, {out / 'table.csv'}")
