"""What `config/tables.yaml` may say: every table of the paper declared as data.

A cell is asked for by merging what its block, its row and its column say (`Ask`, the column wins). A column or row of
its own is therefore a few lines of YAML. Names of tables, blocks, rows and columns are those of `reported.csv`, which
is how a cell finds the value the paper prints.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from madi.settings import AskedSet, BenchmarkName
from madi.values import Name

Select = Literal["best_clip_dir", "best_dino", "best_qa", "dino_at_least", "clip_dir_at_least"]
SCORE_NAME = r"^[a-z0-9_]+/(source|target|global_caption|local_caption|truth|judge)$"
ScoreName = Annotated[str, Field(pattern=SCORE_NAME)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class System(Strict):
    """A table's row as a reader knows it: the editors of its training seeds pooled; none when nobody can run it."""

    title: str
    editors: list[str] = []
    colour: str = "#767676"
    public: bool = True  # are its weights to be had at all?
    reference: bool = False  # a floor or a ceiling, not a competitor


class Metric(Strict):
    """How one column's number of a sample is put together from its scores."""

    parts: Annotated[list[ScoreName], Field(min_length=1)]
    best: list[ScoreName] = []  # its parts in the best of several judgements of one edit
    combine: Literal["mean", "filtered"] = "mean"  # filtered: Table 5's rule over (IF, IDP), see choose.discord_weight
    digits: int = 3
    percent: bool = False
    rate: bool = False  # 0/1 scores: Wilson's interval
    statistic: Literal["mean", "macro"] = "mean"  # of cells that ask for none: see Ask.statistic
    higher_is_better: bool = True
    by_task: bool = False  # the mean of the tasks' means, instead of that of all samples


class Threshold(Strict):
    """A faithfulness or directional bar (DINO >= 0.91 in the paper): which scores its quantile is taken over."""

    score: ScoreName
    system: str
    benchmark: AskedSet
    paper: float
    digits: int = 3


OfSamples = Literal["samples", "tasks", "levels", "has_task", "scaled_samples", "pauses"]
OfEdits = Literal["edits", "prompt_tokens", "steps"]


class Fact(Strict):
    """A cell that is not measured: read from the config, or counted over samples or edits.

    edits, prompt_tokens, steps: what a sample costs on average, over all its candidates.
    """

    config: list[str] | None = None  # dotted paths into the tables slice, `{run}` filled in; summed, `-path` subtracted
    count: OfSamples | OfEdits | None = None
    tasks: list[str] = []  # for has_task
    trained: bool = False  # said of rows that name a run only
    show: str = "{}"

    @model_validator(mode="after")
    def one_origin(self):
        if (self.config is None) == (self.count is None):
            raise ValueError("a fact names either config or count")
        return self


class Where(Strict):
    task: list[str] | None = None
    complexity: list[int] | None = None
    tag: list[str] | None = None  # GenEval's tags, IDEA-Bench's categories; a macro mean needs all that are named
    captions: list[str] | None = None  # clean: samples whose captions describe their pictures (Emu Edit)
    last_turn: list[bool] | None = None  # of a session; samples that stand alone are their own last


class Gain(Strict):
    """Percent by which one row of the block exceeds another."""

    of: str
    over: str


class Ask(Strict):
    """What a block, a row or a column may say about its cells."""

    title: str | None = None
    system: str | None = None
    benchmark: AskedSet | None = None
    metric: str | None = None
    pauses: list[int] | None = None
    seeds: list[int] | Literal["all"] | None = None  # default: the first seed alone
    among: Literal["all", "scaled"] | None = None  # scaled: samples edited with pauses, if fewer
    judgements: Literal["best"] | None = None  # of the same edit judged several times, the best (see Metric.best)
    select: Select | None = None
    statistic: Literal["mean", "recall", "macro"] | None = None  # macro: unweighted mean over tags
    where: Where | None = None
    fact: Fact | None = None
    run: str | None = None
    gain: Gain | None = None
    extra: bool = False  # beyond the paper
    printed_in: str | None = None  # the table whose printed values these are, where it is another


class Column(Ask):
    group: str | None = None  # a heading over several columns
    along: str | None = None  # which of a row's `systems` it is of


class Row(Ask):
    systems: dict[str, str] = {}  # where a row is of several systems, a column's `along` says which


class Block(Ask):
    """protocol: of the judge; the block is left out where no benchmark is judged by it."""

    columns: dict[str, Column]
    rows: dict[str, Row]
    references: list[str] = []  # systems appended as floor and ceiling rows, unscaled
    across: str = ""  # what stands along a plot of lines
    protocol: str | None = None


class Table(Strict):
    """name: what it is called, where it has no number of the paper's."""

    title: str
    name: str | None = None
    caption: str = ""
    blocks: dict[str, Block]


class Figure(Table):
    """A table that is drawn. bars: groups of bars, a group a row; lines: along the columns; frontier: the first column
    against each other one, a point a row."""

    plot: Literal["bars", "lines", "frontier"] = "bars"


class Grid(Strict):
    """A grid of pictures: samples by a rule (madi/tables/figures/pictures.py), and what each column made of them.

    by: the column whose edits the rule ranks (default: the last). notes: metrics written below the pictures.
    """

    title: str
    caption: str = ""
    benchmark: BenchmarkName
    columns: dict[str, Ask]
    rule: Literal["seeded", "top", "median", "worst", "spread", "disagree"] = "seeded"
    by: str | None = None
    where: Where | None = None
    metric: str = "CLIP-Dir"  # of which a sample must have a number
    rows: Annotated[int, Field(gt=0)] = 4
    notes: list[str] = []


class TablesSpec(Strict):
    systems: dict[Name, System]
    metrics: dict[str, Metric]
    thresholds: dict[Literal["dino", "clip_dir"], Threshold]
    tables: dict[Name, Table]  # names of files, as those of figures and grids
    figures: dict[Name, Figure]
    grids: dict[Name, Grid] = {}
    galleries: dict[BenchmarkName, list[str]]  # benchmark -> systems shown, in order

    @model_validator(mode="after")
    def names_exist(self):
        for table, block, where, ask in self.asks():
            spot = f"{table}/{block}/{where}"
            for kind, name, known in (("system", ask.system, self.systems), ("metric", ask.metric, self.metrics)):
                if name is not None and name not in known:
                    raise ValueError(f"{spot}: unknown {kind} {name!r}; known: {', '.join(known)}")
            if unknown := [one for one in getattr(ask, "systems", {}).values() if one not in self.systems]:
                raise ValueError(f"{spot}: unknown systems {unknown}")
        for name, threshold in self.thresholds.items():
            if threshold.system not in self.systems:
                raise ValueError(f"thresholds/{name}: unknown system {threshold.system!r}")
        for benchmark, systems in self.galleries.items():
            if unknown := [s for s in systems if s not in self.systems]:
                raise ValueError(f"galleries/{benchmark}: unknown systems {unknown}")
        for name, grid in self.grids.items():
            unknown = {ask.system for ask in grid.columns.values()} - set(self.systems)
            unknown |= {*grid.notes, grid.metric} - set(self.metrics) | ({grid.by} - {None} - set(grid.columns))
            if unknown:
                raise ValueError(f"grids/{name}: unknown {sorted(map(str, unknown))}")
        return self

    def all_tables(self) -> dict[str, Table]:
        return self.tables | self.figures

    def asks(self):
        """Yield (table, block, row or column, ask) for everything declared."""
        for table, body in self.all_tables().items():
            for name, block in body.blocks.items():
                yield table, name, "block", block
                yield from ((table, name, f"column {k}", c) for k, c in block.columns.items())
                above = set()
                for key, row in block.rows.items():
                    yield table, name, f"row {key}", row
                    if row.gain and not {row.gain.of, row.gain.over} <= above:
                        raise ValueError(f"{table}/{name}/{key}: gain names a row that is not above it in the block")
                    above.add(key)
                yield from ((table, name, "references", Row(system=s)) for s in block.references)
