"""What a cell asks, in plain words: for who reads a number and wants to know of what."""

from __future__ import annotations

from madi.tables import choose
from madi.tables.board import Query
from madi.tables.spec import Fact, TablesSpec

BENCHMARKS = {
    "emu_edit": "Emu-Edit",
    "magicbrush": "MagicBrush",
    "complex_edit": "Complex-Edit",
    "idea_bench": "IDEA-Bench",
    "geneval": "GenEval",
}
KINDS = {"task": "task", "complexity": "level", "tag": "tag", "last_turn": "the last turn of a session:"}
KINDS |= {"captions": "samples whose captions are"}
STATISTICS = {
    "mean": "the mean of {metric} over the samples",
    "recall": "the share of samples with an edit that meets the bar",
    "macro": "the mean of {metric} over the samples of each tag, then of the tags, unweighted",
}


def asked(query: Query, spec: TablesSpec) -> list[tuple[str, str]]:
    """What a query asks, as (term, words)."""
    said = [
        ("Benchmark", BENCHMARKS.get(query.benchmark, query.benchmark)),
        ("System", system_of(query, spec)),
        ("Pauses", listed(query.pauses)),
        ("Seeds", "all there are" if query.seeds is None else listed(query.seeds)),
        ("Choice", choice_of(query, spec)),
    ]
    if query.among is not None:
        said.append(("Samples", f"the {query.among} that were scaled"))
    for name, allowed in query.where.items():
        said.append(("Only", f"{KINDS.get(name, name)} {listed(allowed).replace('_', ' ')}"))
    metric = metric_of(query.parts, query.combine, spec)
    number = STATISTICS[query.statistic].format(metric=metric) + (", in percent" if query.scale == 100 else "")
    if query.by_task:
        number += "; a task counts once, as the mean of its samples"
    if query.combine == "filtered":
        number += (
            "; a sample with IF above 7 and IDP below 3 is left out, one with IDP above 7 and IF below 3 weighs half"
        )
    return [*said, ("Number", number), ("Scores", ", ".join(query.parts))]


def fact(said: Fact, run: str | None, benchmark: str | None) -> str:
    """Where a cell comes from that is not measured."""
    if said.config is None:
        return f"Counted over the samples of {benchmark}: {said.count}."
    paths = [path.format(run=run or "{run}") for path in said.config]
    return f"Read from the configuration: {', '.join(paths) or 'nothing, the same for all'}."


def listed(values: list) -> str:
    return ", ".join(str(value) for value in values)


def system_of(query: Query, spec: TablesSpec) -> str:
    """The title of the system with these editors."""
    for system in spec.systems.values():
        if system.editors == query.editors:
            return system.title
    return listed(query.editors)


def metric_of(parts: list[str], combine: str, spec: TablesSpec) -> str:
    """The first metric of tables.yaml that is made of these scores in this way."""
    for name, metric in spec.metrics.items():
        if metric.parts == parts and metric.combine == combine:
            return name
    return listed(parts)


def choice_of(query: Query, spec: TablesSpec) -> str:
    """The rule by which one of a sample's edits is taken."""
    if query.select is None:
        return "none, all these edits count"
    rule = choose.RULES[query.select]
    if query.statistic == "recall":
        return f"none: a sample counts where an edit has {metric_of([rule.guard], 'mean', spec)} ≥ {query.bar:.3f}"
    best = f"of each sample the edit with the highest {metric_of([rule.objective], 'mean', spec)}"
    if rule.guard is None:
        return best
    return f"{best} among those with {metric_of([rule.guard], 'mean', spec)} ≥ {query.bar:.3f}"
