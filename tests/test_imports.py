"""Arrows go down only: foundation and scenes < model < stages < what calls them. Read from the source, not run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAGES = {"data", "prompts", "train", "edit", "score", "tables"}
# they may use stages
SERVICES = {
    "pretrain",
    "cli",
    "check",
    "photo",
    "export",
    "asked",
    "folder",
    "bench",
    "cost",
    "lineage",
}  # may use stages
HEAVY = {"torch", "torchvision", "diffusers", "transformers", "open_clip", "timm", "accelerate", "peft"}

MODULES = sorted((ROOT / "madi").rglob("*.py"))


def layer(module: Path) -> str:
    """The part of the house that a file belongs to: a stage, a service, model, scenes or foundation."""
    return place(module.relative_to(ROOT / "madi").with_suffix("").parts[0].replace("__main__", "cli"))


def place(name: str) -> str:
    name = "model" if name == "omnigen" else name  # its rooms are of one layer until `model` moves in there
    return name if name in STAGES | SERVICES | {"model", "scenes"} else "foundation"


def imports(module: Path) -> set[str]:
    """Dotted names that a file imports, wherever in it; `from madi import x` counts as madi.x."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def used_layers(module: Path) -> set[str]:
    own = {name.split(".")[1] for name in imports(module) if name.startswith("madi.")}
    return {place(name) for name in own}


def allowed(part: str) -> set[str]:
    if part == "foundation":
        return {"foundation"}
    if part == "scenes":
        return {"foundation", "scenes"}
    if part == "model":
        return {"foundation", "scenes", "model"}
    if part in STAGES:
        return {"foundation", "scenes", "model", part} - ({"model"} if part == "tables" else set())
    return {"foundation", "scenes", "model", part, *STAGES}


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(ROOT)))
def test_arrows_go_down(module):
    beyond = used_layers(module) - allowed(layer(module))
    assert not beyond, f"{module} ({layer(module)}) imports from {beyond}"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(ROOT)))
def test_scenes_tables_and_foundation_need_no_torch(module):
    heavy = {name.split(".")[0] for name in imports(module)} & HEAVY
    if module.name == "local.py":  # runs a model, and imports it as it does
        return
    assert not heavy or layer(module) not in {"foundation", "scenes", "tables", "prompts", "cli", "check"}, heavy


@pytest.mark.parametrize("verbs", sorted((ROOT / "madi").glob("*/verbs.py")), ids=lambda v: v.parent.name)
def test_verbs_import_their_work_when_called(verbs):
    """At the top of a verbs file stand the standard library and typer: `madi --help` is as quick as it can be."""
    top = {n for node in ast.parse(verbs.read_text()).body for n in names(node)}
    assert {name.split(".")[0] for name in top} <= {"pathlib", "typer", "typing", "__future__", "enum"}


def names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module} if isinstance(node, ast.ImportFrom) else set()


def test_the_equations_of_masking_import_torch_alone():
    assert {name.split(".")[0] for name in imports(ROOT / "madi/train/magd.py")} <= {"torch", "math", "__future__"}
