"""Which cells of the declared tables a config cannot fill, and why: said before a run, from the config alone.

A row whose editors are not in the config, or not asked about a benchmark, is not run, and no fault: presets run what
they can afford. A gap is a cell whose edits are made and whose number will still be missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from madi import settle
from madi.config import Config
from madi.settings import BenchmarkSet, TuneSet
from madi.tables import choose
from madi.tables.asking import merged
from madi.tables.spec import Ask, Metric, TablesSpec

# What published sets hold beside source and instruction. Scenes hold everything; a text-to-image prompt is a caption.
HELD = {
    "emu_edit": {"source_caption", "global_caption"},
    "magicbrush": {"target"},
    "magicbrush_zip": {"target", "source_caption", "global_caption", "local_caption"},
    "complex_edit": set(),
    "idea_bench": set(),
    "geneval": {"global_caption"},
    "published": {"target", "source_caption", "global_caption"},  # UltraEdit's rows, as validation
    "scenes": {"target", "source_caption", "global_caption", "local_caption"},
}
CAPTIONS = {"source_caption", "global_caption", "local_caption"}


@dataclass(frozen=True)
class Gap:
    """One cell that cannot be filled, or something declared that reaches no cell (table: ""). details: what the reason
    is about, where cells of one reason differ in it."""

    reason: str
    details: tuple[str, ...] = ()
    table: str = ""
    block: str = ""
    row: str = ""
    column: str = ""

    def at(self, table: str, block: str, row: str, column: str) -> Gap:
        """The same, of a cell."""
        return Gap(self.reason, self.details, table, block, row, column)


def gaps(config: Config, spec: TablesSpec) -> list[Gap]:
    """Every gap of a config, in the order of the tables."""
    return [*loose(config, spec), *cells(config, spec)]


def loose(config: Config, spec: TablesSpec) -> Iterator[Gap]:
    """What is declared and reaches no cell."""
    shown = {editor for system in spec.systems.values() for editor in system.editors}
    for name in config.edit.editors:
        if name not in shown:
            yield Gap(f"editor {name}: no system of {config.tables.file} has it")
    for name, ask in config.edit.asks.items():
        known = config.data.benchmarks.get(ask.benchmark)
        if known and ask.take and ask.take > samples_of(known):
            yield Gap(f"ask {name}: takes {ask.take} of {ask.benchmark}'s {samples_of(known)} samples")
    made = names_of(config)
    for name, metric in spec.metrics.items():
        if lost := [part for part in (*metric.parts, *metric.best) if part not in made]:
            yield Gap(f"metric {name}: no scorer makes {', '.join(lost)}")
    for name, threshold in (("dino", config.tables.dino_threshold), ("clip_dir", config.tables.clip_dir_threshold)):
        bar = spec.thresholds[name]
        if threshold.quantile is None:
            continue
        if gap := not_asked(config, spec.systems[bar.system].editors, bar.benchmark, [0], [0]):
            yield Gap(f"threshold {name}, a quantile: {gap.reason} {' '.join(gap.details)}")


def samples_of(source: BenchmarkSet) -> int:
    """How many samples a benchmark comes to: Complex-Edit has one for each level of a picture."""
    return source.samples * (source.levels or 1 if source.reader == "complex_edit" else 1)


def names_of(config: Config) -> set[str]:
    """Every `metric/against` that the score stage can make."""
    from madi.score.metrics import names

    return names({name: tower.kind for name, tower in config.model.more.items()})


def cells(config: Config, spec: TablesSpec) -> Iterator[Gap]:
    for table, body in spec.all_tables().items():
        for key, block in body.blocks.items():
            for row, row_ask in block.rows.items():
                for column, column_ask in block.columns.items():
                    gap = None if row_ask.gain else lack(config, spec, merged(block, row_ask, column_ask))
                    if gap:
                        yield gap.at(table, key, row, column)


def lack(config: Config, spec: TablesSpec, ask: Ask) -> Gap | None:
    """Why a cell cannot be filled; None where it can, or is not run at all."""
    if ask.fact is not None or None in (ask.system, ask.metric, ask.benchmark):
        return None
    editors = spec.systems[ask.system].editors
    source = benchmark_of(config, ask.benchmark)
    if source is None or not editors or not any(asked(config, one, ask.benchmark) for one in editors):
        return None
    pauses, seeds = ask.pauses or [0], [0] if ask.seeds in (None, "all") else ask.seeds
    if gap := not_asked(config, editors, ask.benchmark, pauses, seeds):
        return gap
    reason = (
        not_taken(config, ask, editors, pauses, seeds)
        or not_measured(config, spec.metrics[ask.metric], ask, source)
        or not_there(ask, source)
    )
    return Gap(reason) if reason else None


def benchmark_of(config: Config, name: str) -> TuneSet | BenchmarkSet | None:
    return config.data.validation if name == "validation" else config.data.benchmarks.get(name)


def asked(config: Config, editor: str, benchmark: str) -> dict[tuple[int, int], float]:
    """Of how many samples an editor is asked for each pause count and seed of a benchmark."""
    found: dict[tuple[int, int], float] = {}
    for ask in config.edit.asks.values():
        if ask.benchmark == benchmark and editor in ask.editors:
            for key in ((pause, seed) for pause in ask.pauses for seed in ask.seeds):
                found[key] = max(found.get(key, 0), ask.take or float("inf"))
    return found


def not_asked(config: Config, editors: list[str], benchmark: str, pauses: list[int], seeds: list[int]) -> Gap | None:
    """Pause counts or seeds that no ask provides."""
    for editor in editors:
        known = asked(config, editor, benchmark)
        lost = [(pause, seed) for pause in pauses for seed in seeds if (pause, seed) not in known]
        if lost:
            words = [f"{pause} pauses" if seed == 0 else f"seed {seed}" for pause, seed in lost]
            return Gap(f"no ask of {benchmark} has {editor} with", tuple(words))
    return None


def not_taken(config: Config, ask: Ask, editors: list[str], pauses: list[int], seeds: list[int]) -> str | None:
    """Candidates that are edited for fewer samples than the cell is about."""
    takes = {
        known[pause, seed]
        for editor in editors
        for known in [asked(config, editor, ask.benchmark)]
        for pause in pauses
        for seed in seeds
    }
    about = scaled(config, ask.benchmark) if ask.among == "scaled" else None
    if about is not None and min(takes) < about:
        return f"an ask of {ask.benchmark} takes {min(takes):g} samples, the cell is about {about:g}"
    return None


def scaled(config: Config, benchmark: str) -> float | None:
    """How many samples `among: scaled` is about, as the tables count them."""
    asks = [ask for ask in config.edit.asks.values() if ask.benchmark == benchmark and max(ask.pauses) > 0]
    return min((ask.take for ask in asks if ask.take), default=None)


def not_measured(config: Config, metric: Metric, ask: Ask, source: TuneSet | BenchmarkSet) -> str | None:
    """A score of the cell that will not be made, or be missing for every sample."""
    rule = choose.RULES[ask.select] if ask.select else None
    parts = [*(metric.best if ask.judgements == "best" else metric.parts)]
    parts += [part for part in (rule.objective, rule.guard) if part] if rule else []
    made = names_of(config)
    for part in parts:
        if part not in made:
            return f"no scorer makes {part}"
        if reason := not_scored(config, part, ask.benchmark, source):
            return reason
    return None


def not_scored(config: Config, part: str, benchmark: str, source: TuneSet | BenchmarkSet) -> str | None:
    """Why one score has no value for any sample of a benchmark."""
    name, against = part.split("/")
    held = held_by(source)
    if against == "judge":
        return not_judged(config, name, benchmark, source)
    if name == "geneval_correct":
        return not_detected(config, source)
    if against == "truth":
        return None if source.reader == "scenes" else "the oracle judges scenes alone"
    wanted = {"source_caption", "global_caption"} if name.startswith("clip_dir") else {against}
    if lost := sorted((wanted & (CAPTIONS | {"target"})) - held):
        what = "captions" if CAPTIONS & set(lost) and not held & CAPTIONS else lost[0].replace("_", " ")
        return f"{benchmark} by its reader {source.reader} has no {what}"
    return None


def held_by(source: TuneSet | BenchmarkSet) -> set[str]:
    """What the samples of a set hold beside source and instruction."""
    more = CAPTIONS if getattr(source, "captions", None) else set()
    return HELD[source.reader] | more


def not_judged(config: Config, name: str, benchmark: str, source: TuneSet | BenchmarkSet) -> str | None:
    from madi.score.metrics import BY_SCORER

    protocol = next(one.protocol for one in BY_SCORER["judge"] if one.name == name)
    if config.score.judge not in config.mllms and source.reader != "scenes":
        return f"{config.score.judge} judges scenes alone, and {benchmark} is published"
    if protocol not in config.score.protocols.get(benchmark, ()):
        return f"score.protocols has no {protocol} for {benchmark}"
    return None


def not_detected(config: Config, source: TuneSet | BenchmarkSet) -> str | None:
    """Why GenEval's rule cannot be decided. A detector's classes are held to all of its 80."""
    from madi.score.scorers import of_small_world

    asked_ = settle.geneval(config)
    if source.reader == "scenes" or asked_.detector == "results":
        return None
    if asked_.detector == "parser":
        return "no detector for photographs (score.geneval)"
    if asked_.colours is None and of_small_world(config.model.clip):
        return "GenEval's colours need a CLIP that knows photographs (score.geneval.colours)"
    fetched = {tower.folder for tower in config.model.more.values() if tower.hub}
    if asked_.colours and asked_.colours not in fetched and not Path(asked_.colours).is_dir():
        return f"no CLIP for colours in {asked_.colours}"
    return not_known(asked_.model)


def not_known(folder: str) -> str | None:
    """Why a detector's folder cannot decide every prompt of GenEval."""
    from madi.errors import MadiError
    from madi.score.classes import NAMES, labels, unknown

    if not Path(folder, "config.json").is_file():
        return f"no detector in {folder}"
    try:
        lost = unknown(NAMES, labels(folder).values())
    except MadiError as fault:
        return str(fault)
    return f"the detector in {folder} knows no {', '.join(lost)}" if lost else None


def not_there(ask: Ask, source: TuneSet | BenchmarkSet) -> str | None:
    """A level that the benchmark's samples do not have."""
    levels = getattr(source, "levels", None)
    if ask.where and ask.where.complexity and levels and min(ask.where.complexity) > levels:
        return f"levels: {levels} has no level {min(ask.where.complexity)}"
    return None


def shown(found: list[Gap], spec: TablesSpec) -> list[str]:
    """The gaps as text, a reason and below it the cells that it empties."""
    reasons: dict[str, list[Gap]] = {}
    for gap in found:
        reasons.setdefault(gap.reason, []).append(gap)
    lines = []
    for reason, some in reasons.items():
        details = ", ".join(dict.fromkeys(word for gap in some for word in gap.details))
        lines.append(f"{reason} {details}".rstrip())
        blocks: dict[tuple[str, str], list[Gap]] = {}
        for gap in some:
            if gap.table:
                blocks.setdefault((gap.table, gap.block), []).append(gap)
        for (table, block), mine in blocks.items():
            of = spec.all_tables()[table].blocks[block]
            lines += [f"    {table}, {block}: {words}" for words in rectangles(mine, list(of.columns))]
    return lines


def rectangles(some: list[Gap], columns: list[str]) -> list[str]:
    """Cells of one block as few rectangles of rows and columns."""
    of_row: dict[str, list[str]] = {}
    for gap in some:
        of_row.setdefault(gap.row, []).append(gap.column)
    alike: dict[tuple[str, ...], list[str]] = {}
    for row, mine in of_row.items():
        alike.setdefault(tuple(mine), []).append(row)
    return [
        f"{'all' if list(mine) == columns else ', '.join(mine)} of {', '.join(rows)}" for mine, rows in alike.items()
    ]
