"""`madi audit`: the paper's printed numbers checked against arithmetic and against each other."""

from pathlib import Path

import typer


def audit(
    reported: Path = typer.Option(Path("config/reported.csv"), help="The paper's printed values (CSV)."),
    everything: bool = typer.Option(False, "--all", help="Tell of what holds, too."),
    out: Path | None = typer.Option(None, help="Write the findings here too (CSV)."),
    scores: list[Path] = typer.Option([], help="Scores (Parquet), once a file, to measure spreads of differences in."),
    between: tuple[str, str] = typer.Option(("magd_ep", "omnigen"), help="The two editors whose scores are compared."),
) -> None:
    """Check the paper's printed numbers against arithmetic and against each other; no model is run."""
    from collections import Counter

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from madi.tables.audit import finding, run

    found = run.findings(reported, scores, between)
    colours = {"contradiction": "red", "impossible": "red", "unexplained": "yellow", "holds": "green"}
    console = Console()
    shown = [one for one in found if everything or one.verdict != finding.HOLDS]
    for kind in dict.fromkeys(one.kind for one in shown):
        table = Table(title=kind, title_justify="left", expand=True, show_lines=True)
        for name, ratio in (("id", 3), ("verdict", None), ("claim and evidence", 9)):
            table.add_column(name, ratio=ratio, overflow="fold", no_wrap=ratio is None)
        for one in (one for one in shown if one.kind == kind):
            colour = colours.get(one.verdict, "dim")
            words = f"{escape(one.claim)}\n[dim]{escape(one.evidence)}[/dim]"
            table.add_row(escape(one.id), f"[{colour}]{one.verdict}[/{colour}]", words)
        console.print(table)
    counted = Counter(one.verdict for one in found)
    told = ", ".join(f"{counted[verdict]} {verdict}" for verdict in finding.VERDICTS if counted[verdict])
    console.print(f"{len(found)} findings: {told}" + ("" if everything else " (--all shows these)"), highlight=False)
    if out is not None:
        run.write_csv(out, found)
