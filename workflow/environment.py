"""Prints environment.yml: the versions of requirements.lock for what pyproject.toml asks for, for conda users."""

import re
import tomllib
from pathlib import Path

HEAD = """\
# The same versions as requirements.lock, for conda: `conda env create -f environment.yml`, then in it
# `pip install --no-deps -e .`. Written by `make lock`.
name: madi
channels: [conda-forge]
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def plain(name: str) -> str:
    """A package's name as the lock spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked(pyproject: Path) -> list[str]:
    """Names of the direct dependencies, those of development among them."""
    project = tomllib.loads(pyproject.read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return sorted({plain(re.match(r"[\w.-]+", line)[0]) for line in wanted})


def locked(lock: Path) -> dict[str, str]:
    """Versions by name; of two for different Pythons, the one for Python 3.11, which comes first."""
    versions: dict[str, str] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE):
        versions.setdefault(plain(name), version)
    return versions


def environment(folder: Path) -> str:
    """The content of environment.yml."""
    versions = locked(folder / "requirements.lock")
    return HEAD + "".join(f"      - {name}=={versions[name]}\n" for name in asked(folder / "pyproject.toml"))


if __name__ == "__main__":
    print(environment(Path(__file__).parent.parent), end="")
