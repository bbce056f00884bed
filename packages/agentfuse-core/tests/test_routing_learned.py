"""What a router learns from outcomes: estimates, targets, the edge of what it knows."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agentfuse import ConfigurationError
from agentfuse.cli.main import main
from agentfuse.messages import Message, Request, Text
from agentfuse.routing import Knowledge, Outcome, Router, fit, outcomes_of
from agentfuse.routing.evaluation import ranking_of
from agentfuse.routing.features import MOST_CHARS, sketch_of

if TYPE_CHECKING:
    from pathlib import Path

WEAK, STRONG = "gpt-4o-mini", "gpt-4o"
COSTS = {WEAK: 0.06, STRONG: 1.0}
EASY = ("capital", "colour", "name", "city", "river", "flag")
HARD = ("integral", "lemma", "compile", "theorem", "matrix", "prove")
PLAIN = ("what", "is", "the", "of", "a", "in", "and", "please", "tell", "me")


def prompt(draw: random.Random, telling: tuple[str, ...]) -> str:
    words = [draw.choice(PLAIN) for _ in range(10)] + [draw.choice(telling) for _ in range(3)]
    draw.shuffle(words)
    return " ".join(words) + "?"


def rows(count: int, *, seed: int = 1, tagged: bool = False) -> list[dict[str, Any]]:
    """Prompts whose words say whether the cheap model can do them, nine times in ten."""
    draw, made = random.Random(seed), []
    for _ in range(count):
        hard = draw.random() < 0.5
        right = draw.random() < (0.1 if hard else 0.9)
        scores = {WEAK: float(right), STRONG: 1.0}
        row = {"prompt": prompt(draw, HARD if hard else EASY), "scores": scores}
        made.append(row | ({"tag": "hard" if hard else "easy"} if tagged else {}))
    return made


def outcomes(count: int, **options: Any) -> list[Outcome]:
    return list(outcomes_of(json.dumps(row) for row in rows(count, **options)))


def fitted(known: list[Outcome]) -> Knowledge:
    return fit(known, models=(WEAK, STRONG), strong=STRONG, costs=COSTS)


@pytest.fixture(scope="module")
def text() -> Knowledge:
    return fitted(outcomes(1200))


def asking(words: str) -> Request:
    return Request(provider="openai", model=STRONG, messages=(Message("user", (Text(words),)),))


def test_words_tell_which_model_is_needed(text: Knowledge) -> None:
    router = Router([WEAK, STRONG], weights=text, target_quality=0.8)
    draw = random.Random(5)
    easy = [router.decide(asking(prompt(draw, EASY))).model for _ in range(50)]
    hard = [router.decide(asking(prompt(draw, HARD))).model for _ in range(50)]
    assert easy.count(WEAK) > 45
    assert hard.count(STRONG) > 40


def test_saved_weights_choose_alike(text: Knowledge, tmp_path: Path) -> None:
    path = tmp_path / "route.json"
    path.write_text(text.dumps(), "utf-8")
    one = Router([WEAK, STRONG], weights=text, target_quality=0.8)
    other = Router([WEAK, STRONG], weights=path, target_quality=0.8)
    draw = random.Random(6)
    for _ in range(30):
        asked = asking(prompt(draw, EASY + HARD))
        first, second = one.decide(asked), other.decide(asked)
        assert first.model == second.model
        assert first.p_ok[WEAK] == pytest.approx(second.p_ok[WEAK], abs=1e-4)
    assert "integral" not in path.read_text("utf-8")


@pytest.mark.parametrize("given", ["", "{}", '{"agentfuse_route": 99}', "[1]"])
def test_what_are_no_weights_is_said(given: str) -> None:
    with pytest.raises(ConfigurationError, match="no weights of a router"):
        Knowledge.loads(given)


def test_prompts_of_another_kind_go_to_the_strong_model(text: Knowledge) -> None:
    router = Router([WEAK, STRONG], weights=text, target_quality=0.5)
    strange = "def zx(qq):\n    return [w9 for w9 in qq if w9 % 7 == 3]\n# fix KeyError at L88" * 3
    decision = router.decide(asking(strange))
    assert decision.model == STRONG
    assert decision.reason.startswith("out of domain: ")


def test_traffic_that_drifts_is_noticed_and_may_come_back(text: Knowledge) -> None:
    router = Router([WEAK, STRONG], weights=text, target_quality=0.5)
    draw = random.Random(7)
    for _ in range(100):
        router.decide(asking(" ".join(prompt(draw, HARD) for _ in range(3))))
    moved = router.decide(asking(prompt(draw, EASY)))
    assert "over the last" in moved.reason
    for _ in range(300):
        back = router.decide(asking(prompt(draw, EASY + HARD)))
    assert "out of domain" not in back.reason


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_quality_that_is_asked_for_is_kept(text: Knowledge, share: float) -> None:
    router = Router([WEAK, STRONG], weights=text, target_quality=share)
    fresh = rows(1500, seed=11)
    lost = gap = strong = 0.0
    for row in fresh:
        chosen = router.decide(asking(row["prompt"])).model
        gap += 1.0 - row["scores"][WEAK]
        lost += 1.0 - row["scores"][chosen]
        strong += chosen == STRONG
    assert 1 - lost / gap >= share - 0.05
    assert strong / len(fresh) < 1.0


def test_a_quality_is_aimed_at_and_not_overshot() -> None:
    """Each small set is noise; the mean over many of them is the target, and above it if sure."""
    kept: dict[float, list[float]] = {0.5: [], 0.9: []}
    for seed in range(12):
        known = fitted(outcomes(400, seed=100 + seed))
        for confidence, shares in kept.items():
            router = Router(
                [WEAK, STRONG], weights=known, target_quality=0.8, confidence=confidence
            )
            shares.append(share_kept(router, rows(400, seed=200 + seed)))
    aimed, sure = (sum(shares) / len(shares) for shares in kept.values())
    assert aimed == pytest.approx(0.8, abs=0.05)
    assert sure > aimed + 0.02
    assert sum(share < 0.8 for share in kept[0.9]) < sum(share < 0.8 for share in kept[0.5])


def test_without_a_target_the_lead_is_kept_by_a_lower_bound(text: Knowledge) -> None:
    unnamed = Router([WEAK, STRONG], weights=text)
    sure = Router([WEAK, STRONG], weights=text, target_quality=1.0, confidence=0.8)
    aimed = Router([WEAK, STRONG], weights=text, target_quality=1.0)
    fresh = [asking(row["prompt"]) for row in rows(300, seed=13)]
    chosen = [[router.decide(each).model for each in fresh] for router in (unnamed, sure, aimed)]
    assert chosen[0] == chosen[1]
    assert chosen[0].count(STRONG) >= chosen[2].count(STRONG)


def share_kept(router: Router, fresh: list[dict[str, Any]]) -> float:
    """Give the share of the strong model's lead that a router's choices keep."""
    lost = gap = 0.0
    for row in fresh:
        gap += 1.0 - row["scores"][WEAK]
        lost += 1.0 - row["scores"][router.decide(asking(row["prompt"])).model]
    return 1 - lost / gap


def test_a_share_and_a_cost_that_are_allowed_are_not_passed(text: Knowledge) -> None:
    fresh = [asking(row["prompt"]) for row in rows(600, seed=12)]
    router = Router([WEAK, STRONG], weights=text, max_share=0.3)
    models = [router.decide(each).model for each in fresh]
    assert 0.2 < models.count(STRONG) / len(fresh) < 0.36
    dear = Router([WEAK, STRONG], weights=text).decide(fresh[0]).expected_cost[STRONG]
    router = Router([WEAK, STRONG], weights=text, target_cost=f"{dear * 0.4 / 1e9:.9f}")
    costs = [(d := router.decide(each)).expected_cost[d.model] for each in fresh]
    assert sum(costs) / len(costs) < dear * 0.46


def test_one_answer_a_call_teaches_the_same_by_its_odds() -> None:
    draw = random.Random(3)
    known = []
    for row in rows(3000, seed=4, tagged=True):
        weak = draw.random() < 0.2
        model = WEAK if weak else STRONG
        score = row["scores"][model]
        known.append(
            Outcome(scores={model: score}, tag=row["tag"], propensity=0.2 if weak else 0.8)
        )
    learned = fitted(known)
    assert learned.means[WEAK] == pytest.approx(0.5, abs=0.06)
    router = Router([WEAK, STRONG], weights=learned, target_quality=0.8)
    assert router.decide(asking("x"), "easy").model == WEAK
    assert router.decide(asking("x"), "hard").model == STRONG


def test_too_little_is_said_to_be_too_little() -> None:
    with pytest.raises(ConfigurationError, match="too few"):
        fitted(outcomes(5))
    known = [Outcome(scores={STRONG: 1.0}) for _ in range(40)]
    with pytest.raises(ConfigurationError, match="no outcome of 'gpt-4o-mini'"):
        fitted(known)
    with pytest.raises(ConfigurationError, match="line 2 is no outcome"):
        list(outcomes_of(['{"scores": {"a": 1}}', '{"scores": {"a": 7}}']))


def test_a_ranking_is_judged_against_a_coin() -> None:
    draw = np.random.default_rng(1)
    difference = (draw.random(2000) < 0.3).astype(float)
    assert ranking_of(draw.random(2000), difference).apgr == pytest.approx(0.5, abs=0.04)
    perfect = ranking_of(difference, difference)
    assert perfect.apgr == pytest.approx(1 - 0.3 / 2, abs=0.02)
    assert perfect.cpt80 == pytest.approx(0.24, abs=0.02)
    assert ranking_of(np.zeros(2000), difference).apgr == pytest.approx(0.5)


def test_a_long_text_is_read_at_both_ends() -> None:
    start, end = sketch_of("alpha").words, sketch_of("omega").words
    words = sketch_of("alpha " + "x " * MOST_CHARS + "omega").words
    assert (words[0], words[-1]) == (start[0], end[0])
    assert len(words) <= MOST_CHARS


def test_the_command_fits_judges_and_calibrates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out, figures = tmp_path / "o.jsonl", tmp_path / "route.json", tmp_path / "eval.json"
    log.write_text("\n".join(map(json.dumps, rows(400, tagged=True))), "utf-8")
    assert main(["route", "fit", str(log), "--strong", STRONG, "--out", str(out)]) == 0
    assert "400 outcomes, 2 tags, a text model" in capsys.readouterr().out
    Router([WEAK, STRONG], weights=out)
    judged = ["route", "eval", str(log), "--strong", STRONG, "--json", str(figures)]
    assert main(judged) == 0
    printed = capsys.readouterr().out
    for name in ("always gpt-4o:", "always gpt-4o-mini:", "random", "length", "category mean"):
        assert name in printed
    routers = json.loads(figures.read_text("utf-8"))["routers"][WEAK]
    assert routers["text"]["apgr"] > routers["random"]["apgr"] + 0.1
    assert routers["tags and text"]["apgr"] > 0.65
    calibrated = ["route", "calibrate", str(log), "--weights", str(out), "--target-quality", "0.8"]
    assert main(calibrated) == 0
    printed = capsys.readouterr().out
    assert "80% asked for: price" in printed
    assert "80% asked for with confidence 0.8: price" in printed
    assert main([*calibrated, "--confidence", "0.999"]) in {0, 1}
    assert "with confidence 0.999" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*calibrated, "--confidence", "1"])


def test_the_command_says_what_is_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "o.jsonl"
    made = [{"scores": {"my-model": 1, STRONG: 1}, "tag": "a"} for _ in range(100)]
    log.write_text("\n".join(map(json.dumps, made)), "utf-8")
    assert main(["route", "fit", str(log), "--strong", STRONG]) == 2
    assert "--cost my-model=0.1" in capsys.readouterr().err
    out = str(tmp_path / "r.json")
    words = ["route", "fit", str(log), "--strong", STRONG, "--out", out, "--cost"]
    assert main([*words, "my-model=cheap"]) == 2
    assert main([*words, "my-model=0.1"]) == 0
    assert main(["route", "fit", str(tmp_path / "none"), "--strong", STRONG]) == 2
    assert "cannot be read" in capsys.readouterr().err
