"""Where a model's files lie: a folder somebody names, or one that an installed package brings."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from agentfuse.errors import ConfigurationError

_KNOWN = Path(__file__).with_name("models.toml")


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model of ``models.toml``: its files with their SHA-256, in the order they are fetched.

    ``package`` brings it, in the folder that its ``accessor`` names: ``folder`` to be called, or
    else a folder inside the package, which then is not imported. ``url`` is where the publisher
    keeps the same files, or empty.
    """

    name: str
    files: dict[str, str]
    package: str
    accessor: str
    install: str
    url: str


@cache
def known_models() -> dict[str, KnownModel]:
    """Read ``models.toml``: the models by the name of their folder."""
    listed = tomllib.loads(_KNOWN.read_text("utf-8"))
    return {name: KnownModel(name=name, **entry) for name, entry in listed.items()}


def folder_of(name: str, folder: Path | str | None, models: Path | None = None) -> Path:
    """Find a known model's folder: ``folder``, else ``models / name``, else an installed package.

    A folder that was named is the only place looked at. Raises ConfigurationError that says what
    to install where the files are not there.
    """
    model = known_models()[name]
    places = [Path(folder)] if folder is not None else _usual_places(model, models)
    for place in places:
        if all((place / file).is_file() for file in model.files):
            return place
    looked = ", ".join(map(str, places)) or "no folder, as no package brings one"
    raise ConfigurationError(
        f"the model {name} is not here: {' and '.join(model.files)} were looked for in {looked}."
        f" Install it ({model.install}), or set AGENTFUSE_MODELS to a folder with {name}/ in it"
    )


def digest_of(path: Path) -> str:
    """Give a file's SHA-256 as the twelve letters that a fingerprint holds."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _usual_places(model: KnownModel, models: Path | None) -> list[Path]:
    places = [models / model.name] if models is not None else []
    spec = find_spec(model.package)
    if spec is None or spec.origin is None:
        return places
    if model.accessor == "folder()":
        return [*places, import_module(model.package).folder()]
    return [*places, Path(spec.origin).parent / model.accessor]
