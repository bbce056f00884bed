"""Bring a known model's files from where somebody says, when somebody asks, and check them."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from agentfuse.embedders.model_folders import known_models
from agentfuse.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUT = 60.0  # seconds of silence, not of the whole
_PIECE = 1 << 18
_BAR = 30


class Progress(Protocol):
    """Hears how a file is coming on: its name, the bytes so far, and all of them (0: unknown)."""

    def __call__(self, file: str, done: int, whole: int, /) -> None:
        """Take note."""
        ...


def bar(file: str, done: int, whole: int, /) -> None:
    """Draw a bar on a terminal's standard error, and nothing anywhere else."""
    if not sys.stderr.isatty():
        return
    share = done / whole if whole else 0.0
    drawn = "#" * round(share * _BAR)
    end = "\n" if done == whole else ""
    sys.stderr.write(f"\r{file} [{drawn:{_BAR}}] {done / 1e6:.1f} MB{end}")
    sys.stderr.flush()


def fetch(
    model: str, into: Path | str, *, url: str | None = None, progress: Progress = bar
) -> Path:
    """Download a model's files into the folder ``into / model``, and give that folder.

    ``model`` is "numpy" (from its publisher's hub unless ``url`` says otherwise), "minilm" or
    "tiny" (from ``url``: they come with agentfuse-minilm). ``url`` is a folder that holds the same
    files: each is compared with the SHA-256 that AgentFuse knows, and takes its place in one step,
    so that a folder never holds half a file. What is there and right is not fetched again. Raises
    ConfigurationError for an unknown model or other bytes, StoreUnavailable where the address does
    not answer.
    """
    known = known_models().get(model)
    if known is None:
        raise ConfigurationError(f"no model {model!r} is known: {', '.join(known_models())}")
    start = url or known.url
    if not start.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{model} comes with a package ({known.install}); to fetch it, say url='https://...'"
        )
    folder = Path(into) / model
    folder.mkdir(parents=True, exist_ok=True)
    for file, digest in known.files.items():
        if not _is_right(folder / file, digest):
            _fetch_file(f"{start.rstrip('/')}/{file}", folder / file, digest, progress)
    return folder


def _is_right(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest


def _fetch_file(url: str, path: Path, digest: str, progress: Progress) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        found = hashlib.sha256()
        with os.fdopen(handle, "wb") as file:
            for piece in _pieces_of(url, path.name, progress):
                found.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if found.hexdigest() != digest:
            raise ConfigurationError(
                f"{url} is not the file that was expected: its SHA-256 is {found.hexdigest()},"
                f" not {digest}; nothing was kept"
            )
        Path(name).chmod(0o644)  # mkstemp's are for their owner alone
        Path(name).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _pieces_of(url: str, file: str, progress: Progress) -> Iterator[bytes]:
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - the scheme was looked at
            whole, done = int(answer.headers.get("Content-Length") or 0), 0
            while piece := answer.read(_PIECE):
                done += len(piece)
                progress(file, done, whole)
                yield piece
    except OSError as error:  # URLError and its heirs among them
        raise StoreUnavailable(f"{url} cannot be fetched: {error}") from error
