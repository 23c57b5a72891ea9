"""Reading YAML files as they are: laid over one another, `like:` filled in, and errors traced to file, line and key."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from madi.errors import MadiError
from madi.values import SAID

Key = tuple[str | int, ...]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same rules, a tenth of the time


@dataclass(frozen=True)
class Source:
    """One YAML file: its content, and its node tree, which knows the line of every key."""

    path: str
    content: dict
    tree: yaml.Node

    def line(self, key: Key) -> tuple[int, int]:
        """How many parts of `key` this file has, and the line of the last one it has (from 1)."""
        node, line, depth = self.tree, 1, 0
        for part in key:
            found = _child(node, part)
            if found is None:
                break
            line, node = found
            depth += 1
        return depth, line


class KeyProblem(Exception):
    """Something wrong at a key, before it is known which file the key came from."""

    def __init__(self, key: Key, what: str, expected: str, do: str | None = None):
        super().__init__(what)
        self.key, self.what, self.expected, self.do = key, what, expected, do

    def explained(self, sources: Sequence[Source], where: str | None = None) -> MadiError:
        return MadiError(self.what, where=_place(self.key, sources, where), expected=self.expected, do=self.do)


def read(path: str | Path) -> Source:
    """A YAML file holding a mapping, without repeated keys."""
    try:
        text = Path(path).read_text()
        tree = yaml.compose(text, Loader=LOADER)
        content = yaml.load(text, Loader=LOADER)
    except FileNotFoundError:
        raise MadiError("no such file", where=path) from None
    except (OSError, UnicodeDecodeError) as bad:
        raise MadiError(f"cannot be read ({bad})", where=path, expected="a YAML file") from None
    except yaml.YAMLError as bad:
        mark = getattr(bad, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(bad, "problem", bad)).split())
        raise MadiError(f"broken YAML: {problem}", where=f"{path}{line}", expected="a YAML mapping") from None
    if not isinstance(content, dict):
        raise MadiError(f"found {short(content)}", where=path, expected="a YAML mapping")
    try:
        _no_repeats(tree, (), str(path))
    except RecursionError:
        raise MadiError("broken YAML: an alias inside itself", where=path, expected="a YAML mapping") from None
    return Source(str(path), content, tree)


def merge(*contents: Any) -> Any:
    """Mappings laid over one another, key by key; anything else is replaced by the later one."""
    under, *over = contents
    for top in over:
        if isinstance(under, dict) and isinstance(top, dict):
            under = {**under, **{key: merge(under[key], top[key]) if key in under else top[key] for key in top}}
        else:
            under = top
    return under


def fill_runs(raw: Any) -> Any:
    """`raw` with every run's `like: OTHER` replaced by OTHER's settings under its own."""
    runs = raw.get("train", {}).get("runs") if isinstance(raw, dict) and isinstance(raw.get("train"), dict) else None
    if not isinstance(runs, dict):
        return raw
    filled = {name: _like(name, runs, ()) for name in runs}
    return {**raw, "train": {**raw["train"], "runs": filled}}


def _like(name: str, runs: dict, above: tuple[str, ...]) -> Any:
    run = runs[name]
    if not isinstance(run, dict) or "like" not in run:
        return run
    key = ("train", "runs", name, "like")
    if name in above:
        raise KeyProblem(key, f"goes round: {' -> '.join((*above, name))}", "a run that does not lead back here")
    known(run["like"], runs, key)
    own = {k: v for k, v in run.items() if k != "like"}
    return merge(_like(run["like"], runs, (*above, name)), own)


def known(name: Any, names: Iterable[Any], key: Key) -> None:
    """KeyProblem unless `name` is one of `names`."""
    names = list(names)
    if name not in names:
        allowed = [str(n) for n in names if n is not None]
        raise KeyProblem(key, f"found {short(name)}", one_of(allowed), nearest(name, allowed))


def explain(
    bad: ValidationError, model: type[BaseModel], sources: Sequence[Source], where: str | None = None
) -> MadiError:
    """The first problem pydantic found, as a MadiError of one line.

    A misspelt key is both unknown and missing: the unknown one says more, so it comes first.
    """
    if bad.errors()[0]["type"] == "json_invalid":
        fault = str(bad.errors()[0].get("ctx", {}).get("error", "")).strip()
        return MadiError(
            f"not JSON ({fault})", where, "a slice that `snakemake` wrote", "delete it and run snakemake again"
        )
    problems = sorted(bad.errors(), key=lambda p: p["type"] != "extra_forbidden")
    first, key = problems[0], tuple(part for part in problems[0]["loc"] if part != "[key]")
    found, do = f"found {short(first['input'])}", None
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        names = sorted(fields(model, key[:-1]))
        found, expected, do = "unknown key", one_of(names), nearest(key[-1], names)
    elif first["type"] == "missing":
        found, expected = "this key is missing", "a value"
    elif first["loc"] and first["loc"][-1] == "[key]":
        found, do = (
            f"found the key {short(key[-1])}",
            nearest(key[-1], first.get("ctx", {}).get("expected", "").split("'")),
        )
    elif first["type"] in ("model_type", "dict_type"):
        expected = "a mapping"
    elif first["type"] == "too_short":
        expected = f"{first['ctx']['min_length']} or more"
    if first["type"] == "string_pattern_mismatch" and first["ctx"]["pattern"] in SAID:
        expected = SAID[first["ctx"]["pattern"]]
    if may_be_secret(key, first["input"]):
        found = "found something else (not shown, should it be a secret)"
    return KeyProblem(key, found, expected, do).explained(sources, where)


def may_be_secret(key: Key, value: object) -> bool:
    """Whether a value is one that nobody should see: a key written where its name belongs, or within an address."""
    return key[-1:] == ("key",) or (key[-1:] == ("url",) and any(mark in str(value) for mark in "@?"))


def fields(model: type[BaseModel], key: Key) -> set[str]:
    """The keys allowed at `key`, by descending through models, dicts and lists."""
    for part in key:
        field = getattr(model, "model_fields", {}).get(part)
        annotation = field.annotation if field else model
        model = _inner(annotation)
    return set(getattr(model, "model_fields", {}))


def free(model: type[BaseModel], key: Key) -> bool:
    """Whether `key` leads to a mapping whose keys are names of one's own."""
    field = getattr(model, "model_fields", {}).get(key[0]) if key else None
    if field is None:
        return False
    if len(key) > 1:
        return free(_inner(field.annotation), key[1:])
    return getattr(field.annotation, "__origin__", None) is dict


def _inner(annotation: Any) -> Any:
    """The model inside `Model | None`, `dict[str, Model]` or `list[Model]`: the last model named."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [_inner(arg) for arg in getattr(annotation, "__args__", ())]
    return next((model for model in reversed(inner) if model is not None), None)


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    return None


def _no_repeats(node: yaml.Node, key: Key, path: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for name, value in node.value:
            if name.value in seen:
                where = f"{path}:{name.start_mark.line + 1} {_dotted((*key, name.value))}"
                raise MadiError("this key is given twice", where=where, expected="each key once")
            seen.add(name.value)
            _no_repeats(value, (*key, name.value), path)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _no_repeats(value, (*key, i), path)


def _place(key: Key, sources: Sequence[Source], where: str | None) -> str:
    """`file:line key`, in the file that has most of the key; the last such file, since later files win."""
    if sources:
        _, best = max(enumerate(sources), key=lambda s: (s[1].line(key)[0], s[0]))
        where = f"{best.path}:{best.line(key)[1]}"
    return " ".join(part for part in (where or "config", _dotted(key)) if part)


def _dotted(key: Key) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")


def one_of(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}" if names else "no key here"


def nearest(name: Any, names: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else None


def short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
