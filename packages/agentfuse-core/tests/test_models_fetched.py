"""A model is fetched on request alone, over loopback here: checked, and whole or not there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import agentfuse_minilm
from agentfuse import ConfigurationError, StoreUnavailable
from agentfuse.embedders import OnnxMiniLM, StaticTable, embedder_named, fetch
from agentfuse.embedders.fetching import bar


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A folder with the published files, and the address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    for file in agentfuse_minilm.folder().iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("model", ["minilm", "tiny"])
def test_a_fetched_model_is_the_installed_one(model: str, served, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    folder = fetch(model, tmp_path, url=served[0], progress=lambda *each: told.append(each))
    kind = {"minilm": OnnxMiniLM, "tiny": StaticTable}[model]
    assert kind(folder).fingerprint == kind().fingerprint
    assert embedder_named(model, models=tmp_path).fingerprint == kind().fingerprint
    assert {(file, done) for file, done, whole in told if done == whole} == {
        (path.name, path.stat().st_size) for path in folder.iterdir()
    }


def test_what_is_there_is_not_fetched_again(served, tmp_path: Path) -> None:
    url, there = served
    fetch("tiny", tmp_path, url=url)
    for file in there.iterdir():
        file.unlink()
    fetch("tiny", tmp_path, url=url)


def test_other_bytes_are_refused_and_nothing_is_kept(served, tmp_path: Path) -> None:
    url, there = served
    (there / "tiny-int8.npy").write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="not the file that was expected"):
        fetch("tiny", tmp_path, url=url)
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["tokenizer.json"]
    with pytest.raises(ConfigurationError, match="is not here"):
        StaticTable(tmp_path / "tiny")


def test_an_address_that_does_not_answer_is_said(served, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="404"):
        fetch("tiny", tmp_path, url=f"{served[0]}/elsewhere")
    with pytest.raises(StoreUnavailable, match="cannot be fetched"):
        fetch("tiny", tmp_path, url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("model", "url", "said"),
    [
        ("bert", None, "no model 'bert' is known: minilm, numpy, tiny"),
        ("minilm", None, "comes with a package"),
        ("minilm", "ftp://example.org", "say url='https://...'"),
    ],
)
def test_a_wrong_word_is_said(model: str, url: str | None, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        fetch(model, tmp_path, url=url)


def test_a_bar_is_drawn_for_people_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bar("model", 50, 100)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar("model", 50_000_000, 100_000_000)
    bar("model", 100_000_000, 100_000_000)
    lines = capsys.readouterr().err
    assert f"\rmodel [{'#' * 15}{' ' * 15}] 50.0 MB\r" in lines
    assert lines.endswith(f"[{'#' * 30}] 100.0 MB\n")
