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


class DeviceName(StrEnum):
    """Where models run."""

    cpu = "cpu"
    cuda = "cuda"


def folder(
    images: Path = typer.Argument(..., help="A folder of images: edits that anybody made."),
    benchmark: str = typer.Option(..., help="emu_edit, magicbrush, complex_edit, idea_bench or geneval."),
    samples: Path = typer.Option(..., help="Its samples: results/<name>/data/<benchmark>/samples.json."),
    layout: LayoutName = typer.Option(LayoutName.plain, help="Where a sample's image lies and what it is called."),
    out: Path = typer.Option(Path("scored"), help="Folder for index.html, table.csv and the scores."),
    clip: Path | None = typer.Option(None, help="Folder of a CLIP. Default: the small one, for the small world only."),
    dino: Path | None = typer.Option(None, help="Folder of a ViT. Default: the small one, for the small world only."),
    detector: Path | None = typer.Option(None, help="Folder of a Mask2Former, for GenEval on photographs."),
    colours: Path | None = typer.Option(None, help="Folder of a CLIP for GenEval's colours (default: --clip)."),
    turns: TurnsName = typer.Option(TurnsName.given, help="What later turns edited: MagicBrush's two protocols."),
    seeds: int = typer.Option(1, min=1, help="Images a sample; GenEval has 4."),
    threads: int = typer.Option(2, min=1, max=1024, help="CPU threads."),
    device: DeviceName = typer.Option(DeviceName.cpu, help="Where the models run."),
) -> None:
    """Score a folder of images by a benchmark's numbers: table, intervals, tasks, a page with the best and worst.

    On photographs a metric whose model is not named is missing, with the reason; the small models are never used."""
    from madi.folder import page
    from madi.folder.run import Asked, run, shown
    from madi.options import folder_for

    asked = Asked(
        images,
        layout.value,
        samples,
        benchmark,
        clip=clip,
        dino=dino,
        geneval=decided_by(detector, colours),
        turns=turns.value,
        seeds=seeds,
        batch=16,
        threads=threads,
        device=device.value,
    )
    table = run(asked, folder_for(out, "--out"))
    page.write(table, out, samples, f"{images} on {benchmark}")
    print(shown(table))
    print(f"written: {out / 'index.html'}, {out / 'table.csv'}")


def decided_by(detector: Path | None, colours: Path | None):
    """The scorer of GenEval's rule. Errors: MadiError for a colour model without a detector."""
    from madi.errors import MadiError
    from madi.settings import GenEval

    if detector is None:
        if colours is not None:
            raise MadiError("a CLIP for colours, and no detector", "--colours", "--detector DIR beside it")
        return GenEval()
    return GenEval(detector="mask2former", model=str(detector), colours=str(colours) if colours else None)
