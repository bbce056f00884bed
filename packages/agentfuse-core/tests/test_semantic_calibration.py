"""A threshold is chosen from what was seen, as often as it was seen."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import ConfigurationError, Fuse, SemanticCache, completion
from agentfuse.caches.semantic.report import wilson
from agentfuse.cli.main import main
from agentfuse.embedders import OnnxMiniLM
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from pathlib import Path

FINGERPRINT = OnnxMiniLM().fingerprint


def pairs(right: float, wrong: float, each: int = 400) -> list[dict[str, Any]]:
    """Give trials: right ones at one score, and wrong ones at another that the guard lets pass."""
    row = {"a": "What is the capital of France", "b": "What's the capital of France?"}
    return [
        {**row, "y": y, "score": score, "veto": "", "embedder": FINGERPRINT}
        for y, score in ((1, right), (0, wrong))
        for _ in range(each)
    ]


def written(path: Path, rows: list[Any]) -> str:
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("wrong", "checked", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 300, 0.0, 0.0126), (3, 300, 0.0034, 0.0290), (5, 10, 0.2366, 0.7634)],
)
def test_intervals_are_wilsons(wrong: int, checked: int, low: float, high: float) -> None:
    assert wilson(wrong, checked) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_the_lowest_threshold_within_the_target_is_chosen(tmp_path: Path, capsys) -> None:
    log, out = (
        written(tmp_path / "trials.jsonl", pairs(0.935, 0.885)),
        tmp_path / "calibration.json",
    )
    assert main(["cache", "calibrate", log, "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "<- chosen" in said
    found = json.loads(out.read_text())
    assert found["threshold"] == 0.89
    assert found["embedder"] == FINGERPRINT
    row = next(row for row in found["rows"] if row["threshold"] == 0.88)
    assert (row["hits"], row["wrong"], row["requests"]) == (800, 400, 800)


def test_a_target_that_was_not_seen_often_enough_is_not_met(tmp_path: Path, capsys) -> None:
    log = written(tmp_path / "few.jsonl", pairs(0.95, 0.5, each=50))
    assert main(["cache", "calibrate", log]) == 1
    assert "takes 381 hits" in capsys.readouterr().out
    assert main(["cache", "calibrate", log, "--target", "0.1"]) == 0


def test_what_a_judge_or_the_guard_held_back_is_no_hit(tmp_path: Path) -> None:
    rows = [{**row, "veto": "judge said no"} for row in pairs(0.9, 0.99)]
    rows += [{"a": "Add 5 users", "b": "Add 50 users", "y": 0}] * 3
    out = tmp_path / "out.json"
    assert main(["cache", "calibrate", written(tmp_path / "t", rows), "--json", str(out)]) == 1
    assert all(row["hits"] == 0 for row in json.loads(out.read_text())["rows"])


def test_a_stream_is_replayed_as_the_cache_would(tmp_path: Path, capsys) -> None:
    rows = [
        {"q": "How do I reset my password?", "c": "password"},
        {"q": "How can I reset my password?", "c": "password"},
        {"q": "How do I reset my password?", "c": None},
        {"q": "Which wine goes with salmon?", "c": "wine"},
    ]
    out = tmp_path / "out.json"
    log = written(tmp_path / "stream.jsonl.gz", rows)
    assert main(["cache", "calibrate", log, "--target", "0.9", "--json", str(out)]) == 1
    row = next(row for row in json.loads(out.read_text())["rows"] if row["threshold"] == 0.9)
    assert (row["hits"], row["wrong"]) == (2, 1)


@pytest.mark.parametrize(
    "line", ["", "{", "[]", '{"a": "x"}', '{"a": "x", "b": "y", "y": 2}', '{"q": 1}']
)
def test_a_file_of_another_form_is_an_error(tmp_path: Path, line: str, capsys) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(line)
    assert main(["cache", "calibrate", str(log)]) == 2
    assert "agentfuse:" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--target", "0"], ["--target", "1"], ["--embedder", "no-such"]])
def test_words_that_are_off_are_an_error(tmp_path: Path, words: list[str]) -> None:
    log = written(tmp_path / "t.jsonl", pairs(0.9, 0.8, each=1))
    assert main(["cache", "calibrate", log, *words]) == 2
    assert main(["cache", "calibrate", str(tmp_path / "none.jsonl")]) == 2


def test_the_command_says_what_it_can(capsys) -> None:
    for words in (["--help"], ["cache", "calibrate", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0
    assert "JSONL" in capsys.readouterr().out


class Renamed(OnnxMiniLM):
    """A model nobody has measured."""

    def __init__(self) -> None:
        super().__init__()
        self.fingerprint = "renamed"


def test_an_unmeasured_embedder_takes_its_own_calibration(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    file.write_text(json.dumps({"embedder": "renamed", "threshold": 0.97}))
    cache = SemanticCache(embedder=Renamed(), calibration=file)
    assert cache.tier.terms.threshold == 0.97
    with pytest.raises(ConfigurationError, match="calibrate again"):
        SemanticCache(calibration=file)
    file.write_text(json.dumps({"embedder": "renamed", "threshold": None}))
    with pytest.raises(ConfigurationError, match="names no threshold"):
        SemanticCache(embedder=Renamed(), calibration=file)


def test_trials_of_a_running_fuse_can_be_calibrated_on(tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"
    fuse = Fuse(cache=False, semantic=SemanticCache(trial_log=log))
    with Upstream() as upstream:
        for question in ("How do I reset my password?", "How can I reset my password?"):
            completion(
                "gpt-4o",
                [{"role": "user", "content": question}],
                fuse=fuse,
                cache_mode="shadow",
                base_url=upstream.openai_url,
                api_key="sk-upstream",
            )
    out = tmp_path / "out.json"
    assert main(["cache", "calibrate", str(log), "--json", str(out)]) == 1
    found = json.loads(out.read_text())
    assert found["requests"] == 1
    assert sum(row["hits"] for row in found["rows"]) > 0
