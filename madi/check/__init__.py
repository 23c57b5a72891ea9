"""`madi config ...`"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from madi.config import Config

PX_A_TOKEN = 16  # 8 px a latent, 2 latents a token

app = typer.Typer(no_args_is_help=True, help="Check a config, or write the schema that editors complete keys from.")


@app.command()
def check(
    files: list[Path] = typer.Argument(..., help="A YAML file, and others laid over it."),
    strict: bool = typer.Option(False, "--strict", help="Fail where a cell of a table cannot be filled."),
) -> None:
    """Check a config: a mistake is one line with file, line, key, what was found and what is allowed.

    Warns about cells of tables that the config cannot fill, with the reason."""
    from madi import settle
    from madi.check import coverage
    from madi.config import load
    from madi.errors import MadiError
    from madi.tables.spec import TablesSpec

    config = load(files)
    check_files(config)
    spec = TablesSpec.model_validate(settle.declared(config))
    gaps = coverage.gaps(config, spec)
    for line in coverage.shown(gaps, spec):
        typer.echo(f"warning: {line}" if not line.startswith(" ") else line, err=True)
    if gaps and strict:
        reasons = len({gap.reason for gap in gaps})
        what = f"{sum(bool(gap.table) for gap in gaps)} cells cannot be filled, for {reasons} reasons above"
        raise MadiError(what, " ".join(map(str, files)), "none with --strict")
    jobs = settle.jobs(config)
    typer.echo(f"{config.name}: {len(config.train.runs)} runs, {len(config.edit.editors)} editors in {len(jobs)} jobs")


@app.command()
def schema(out: Path = typer.Option(..., help="The JSON schema.")) -> None:
    """Write the JSON schema of a config."""
    from madi import shards

    with shards.atomic(out) as partial:
        partial.write_text(schema_text(), encoding="utf-8")


def check_files(config: "Config") -> None:
    """Errors: MadiError for a model folder or a file that is not there, and for a broken one of table
    specifications: what would else be found out hours later."""
    from madi.errors import MadiError

    for key, folder in config.model.folders.items():
        if key not in config.model.hub and not Path(folder).is_dir():
            raise MadiError("no such folder", where=f"model.{key} {folder}", expected="a folder of weights")
    for name, tower in config.model.more.items():
        if not tower.hub and not Path(tower.folder).is_dir():
            raise MadiError("no such folder", f"model.more.{name}.folder {tower.folder}", "a folder of weights")
    check_size(config)
    check_sources(config)
    check_editors(config)
    if not Path(config.tables.reported).is_file():
        raise MadiError("no such file", where=config.tables.reported, expected="the paper's values (CSV)")
    check_tables(config.tables.file)


def check_sources(config: "Config") -> None:
    """Errors: MadiError for published data that are said to be on this machine and are not."""
    from madi.errors import MadiError

    sources = {f"data.benchmarks.{name}": one for name, one in config.data.benchmarks.items()}
    for part in ("train", "validation"):
        found = getattr(config.data, part).sources
        sources |= {f"data.{part}.sources.{name}": one for name, one in found.items()}
    for key, source in sources.items():
        if source.files is not None and not Path(source.files).exists():
            what = "the published files: a folder, or one file"
            raise MadiError("no such file or folder", f"{key}.files {source.files}", what)


def check_editors(config: "Config") -> None:
    """Errors: MadiError for an editor whose weights or images are not there."""
    from madi.errors import MadiError

    for name, editor in config.edit.editors.items():
        for part, path in (
            ("pipeline.weights", editor.pipeline and not editor.pipeline.hub and editor.pipeline.weights),
            ("folder.path", editor.folder and editor.folder.path),
            ("published.path", editor.published and editor.published.path),
        ):
            if path and not Path(path).is_dir():
                raise MadiError("no such folder", f"edit.editors.{name}.{part} {path}", "a folder")


def check_size(config: "Config") -> None:
    """Errors: MadiError where the base has no places for pictures of `size_px`."""
    from madi.errors import MadiError
    from madi.shards import read_json

    path = Path(config.model.base) / "transformer" / "config.json"
    places = read_json(path).get("pos_embed_max_size") if path.is_file() else None
    if isinstance(places, int) and config.size_px > PX_A_TOKEN * places:
        raise MadiError(f"found {config.size_px}", "size_px", f"at most {PX_A_TOKEN * places} px with this base")


def check_tables(declared: str) -> None:
    """Errors: MadiError for a broken file of table specifications."""
    from pydantic import ValidationError

    from madi import configfile
    from madi.tables.spec import TablesSpec

    source = configfile.read(declared)
    try:
        TablesSpec.model_validate(source.content)
    except ValidationError as bad:
        raise configfile.explain(bad, TablesSpec, [source]) from None


def schema_text() -> str:
    """The JSON schema of a scale as it is written: a run may say `like: OTHER` and leave out what it shares."""
    from madi.config import Config

    content = Config.model_json_schema()
    run = content["$defs"]["Run"]
    run["properties"]["like"] = {"type": "string", "description": "the run whose settings this one starts from"}
    for part in ("Run", "Magd", "Drop", "EditWeight"):
        content["$defs"][part].pop("required", None)
    return json.dumps(content, indent=1) + "\n"
