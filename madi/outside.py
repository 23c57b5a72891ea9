"""What a scale takes from outside: sets, weights and images, as files that are here or by manifests of fetched ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from madi import provenance
from madi.config import Config, EditSlice
from madi.settings import BenchmarkSet, Source, TuneSet
from madi.values import Hub


def sets(config: Config) -> list[str]:
    """All sets of samples."""
    return ["train", "validation", *config.data.benchmarks]


def source(config: Config, name: str) -> TuneSet | BenchmarkSet:
    """Where one set of samples comes from."""
    own = {"train": config.data.train, "validation": config.data.validation}
    return own.get(name) or config.data.benchmarks[name]


def scenes(config: Config, name: str) -> bool:
    """Whether a set is of scenes, which nothing is taken from outside for."""
    return source(config, name).reader == "scenes"


@dataclass(frozen=True)
class Fetch:
    """Something that is fetched: weights that go to `folder`, or a data set (None) from a hub or an address."""

    hub: Hub | None
    folder: str | None = None
    url: str | None = None

    @property
    def options(self) -> list[str]:
        """The words that tell `madi data fetch`; whoever puts them on a shell line quotes each."""
        if self.url:
            return [f"--url={self.url}"]
        folder = [f"--folder={self.folder}"] if self.folder else []
        files = [f"--files={pattern}" for pattern in self.hub.files]
        return [f"--repo={self.hub.repo}", f"--revision={self.hub.revision}", *folder, *files]


def fetches(config: Config) -> dict[str, Fetch]:
    """All that a scale takes from a hub, by the name of its manifest."""
    found = {f"model_{name}": Fetch(hub, config.model.folders[name]) for name, hub in config.model.hub.items()}
    for name, tower in config.model.more.items():
        if tower.hub:
            found[f"tower_{name}"] = Fetch(tower.hub, tower.folder)
    for name, editor in config.edit.editors.items():
        if editor.pipeline and editor.pipeline.hub:
            found[f"editor_{name}"] = Fetch(editor.pipeline.hub, editor.pipeline.weights)
        if editor.published and editor.published.hub:
            found[f"editor_{name}"] = Fetch(editor.published.hub)
    for name in sets(config):
        published = _published(config, name).items()
        found |= {key: Fetch(one.hub, url=one.url) for key, one in published if one.hub or one.url}
    return found


def _published(config: Config, name: str) -> dict[str, Source | BenchmarkSet]:
    """Published sources of a set, by the name of their manifests."""
    if scenes(config, name):
        return {}
    own = source(config, name)
    sources = getattr(own, "sources", None)
    return {f"{name}_{key}": one for key, one in sources.items()} if sources else {name: own}


def published_files(config: Config, name: str) -> dict[str, str]:
    """Where each published source of a set lies, by its own name: its path, or its fetch's manifest."""
    found = _published(config, name)
    own = {key: key.removeprefix(f"{name}_") for key in found}
    return {own[key]: one.files or f"results/{config.name}/fetched/{key}.json" for key, one in found.items()}


def captions(config: Config, name: str) -> list[str]:
    """The file of captions that a benchmark is read with, once it is there: a plan needs none, and `data prepare` says
    what is missing."""
    path = getattr(source(config, name), "captions", None)
    return [path] if path and Path(path).exists() else []


def model_files(config: Config, name: str, below: str = "") -> list[str]:
    """What a job that loads a model has as input: the files of its folder, or the manifest of one that is fetched."""
    if name in config.model.hub:
        return [f"results/{config.name}/fetched/model_{name}.json"]
    return files_in(str(Path(config.model.folders[name], below)))


def tower_files(config: Config) -> list[str]:
    """What a score job has as input for the embedding models beside the first two."""
    found = []
    for name, tower in config.model.more.items():
        found += [f"results/{config.name}/fetched/tower_{name}.json"] if tower.hub else files_in(tower.folder)
    return found


def files_in(folder: str) -> list[str]:
    """The files of a model folder, which are inputs of the jobs that load it. Its provenance tells of a time, and is
    none: equal weights rebuilt rerun nothing."""
    return [str(Path(folder, name)) for name in provenance.files_in(folder)]


def given(job: EditSlice) -> list[str]:
    """Files that one edit job's editors read: weights of pipelines, images that are there already, or the manifests of
    those that are fetched."""
    found = []
    for name, editor in job.editors.items():
        if editor.pipeline and editor.pipeline.hub:
            found.append(f"results/{job.name}/fetched/editor_{name}.json")
        elif editor.pipeline:
            found += files_in(editor.pipeline.weights)
        for part in (editor.folder, editor.published):
            if part:
                found += [part.path] if part.path.endswith(".json") else files_in(part.path)
    return found
