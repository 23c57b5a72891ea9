"""What a cell asks, in plain words: for who reads a number and wants to know of what."""

from __future__ import annotations

from madi.tables import choose
from madi.tables.board import Query
from madi.tables.spec import Fact

WHERE = {"complexity": "level", "last_turn": "being the last turn of a session"}


def asked(query: Query) -> str:
    """One query as sentences."""
    said = [f"{statistic(query)} over the samples of {query.benchmark}{where(query)}, {edits(query)}."]
    if query.select is not None and query.statistic != "recall":
        said.append(choice(query))
    if query.combine == "filtered":
        said.append(
            "A sample with IF above 7 and IDP below 3 is left out, one with IDP above 7 and IF below 3 weighs half."
        )
    return " ".join(said)


def fact(said: Fact, run: str | None, benchmark: str | None) -> str:
    """Where a cell comes from that is not measured."""
    if said.config is None:
        return f"Counted over the samples of {benchmark}: {said.count}."
    paths = [path.format(run=run or "{run}") for path in said.config]
    return f"Read from the configuration: {', '.join(paths) or 'nothing, the same for all'}."


def statistic(query: Query) -> str:
    unit = ", in percent," if query.scale == 100 else ""
    if query.statistic == "recall":
        rule = choose.RULES[query.select]
        return f"The share with at least one edit whose {rule.guard} is {query.bar:.4g} or more,"
    number = query.parts[0] if len(query.parts) == 1 else f"each edit's mean of {', '.join(query.parts)}"
    if query.statistic == "macro":
        return f"The unweighted mean over GenEval's tags of the mean of {number}{unit}"
    return f"The mean of {number}{unit}"


def where(query: Query) -> str:
    parts = [f"{WHERE.get(name, name)} is {listed(values)}" for name, values in query.where.items()]
    some = f" (the {query.among} that were scaled)" if query.among is not None else ""
    return some + (f" whose {' and '.join(parts)}" if parts else "")


def edits(query: Query) -> str:
    pauses = f"pause {listed(query.pauses)}"
    seeds = "every seed" if query.seeds is None else f"seed {listed(query.seeds)}"
    return f"edited by {listed(query.editors)} at {pauses} and {seeds}"


def choice(query: Query) -> str:
    rule = choose.RULES[query.select]
    among = f" among those whose {rule.guard} is {query.bar:.4g} or more" if rule.guard else ""
    return f"Of each sample and editor the edit with the highest {rule.objective}{among} is taken."


def listed(values: list) -> str:
    """`8`, `8 or 16`, `8, 16 or 32`."""
    words = [str(value) for value in values]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
