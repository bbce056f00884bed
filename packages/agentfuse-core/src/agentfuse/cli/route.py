"""``agentfuse route``: fit a router to outcomes, judge it on others, solve its target anew."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError, UnknownPrice
from agentfuse.pricing import PriceBook
from agentfuse.providers.names import target_of
from agentfuse.routing.frontier import AIMED, SURE
from agentfuse.routing.knowledge import Knowledge
from agentfuse.routing.outcomes import outcomes_of

if TYPE_CHECKING:
    import argparse

    from agentfuse.routing.evaluation import Ranking
    from agentfuse.routing.frontier import Frontier
    from agentfuse.routing.outcomes import Outcome

# The mix that prices are compared for where nothing else is said: as many tokens in as out.
_TOKENS = 1_000


def add_to(subparsers: Any) -> None:
    """Add the command and its three verbs."""
    parser = subparsers.add_parser("route", help="fit and judge a router on recorded outcomes")
    verbs = parser.add_subparsers(metavar="verb", required=True)
    fitting = verbs.add_parser("fit", help="learn from outcomes, and write the weights")
    _add_outcomes(fitting)
    _add_models(fitting)
    fitting.add_argument("--out", type=Path, default=Path("route.json"), help="the weights' file")
    fitting.set_defaults(run=run, act=_fit)
    judging = verbs.add_parser("eval", help="judge on held-out outcomes, beside what is free")
    _add_outcomes(judging)
    _add_models(judging)
    judging.add_argument("--json", type=Path, help="keep every figure in this file")
    judging.set_defaults(run=run, act=_eval)
    solving = verbs.add_parser("calibrate", help="solve the target anew on fresh outcomes")
    _add_outcomes(solving)
    solving.add_argument("--weights", type=Path, default=Path("route.json"), help="what fit wrote")
    solving.add_argument("--out", type=Path, help="the new weights (the same file by default)")
    solving.add_argument("--target-quality", type=float, default=0.95, help="share of the lead")
    solving.add_argument(
        "--confidence", type=_confidence_of, default=SURE, help="of the lower bound (default: 0.8)"
    )
    solving.set_defaults(run=run, act=_calibrate)


def run(args: argparse.Namespace) -> int:
    """Run a verb; gives 0, or 1 where no price of quality keeps the target with confidence."""
    code: int = args.act(args)
    return code


def _add_outcomes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "outcomes",
        type=Path,
        help='JSON lines: {"prompt": ..., "tag": ..., "scores": {model: 0..1, ...}}, or the log'
        " of Router(outcomes=...)",
    )


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strong", required=True, help="the strong model")
    parser.add_argument("--models", nargs="+", help="candidates; all in the file by default")
    parser.add_argument(
        "--cost",
        nargs="+",
        default=[],
        metavar="MODEL=SHARE",
        help="prices as shares of the strong model's, in place of the price list's",
    )


def _fit(args: argparse.Namespace) -> int:
    from agentfuse.routing.fitting import fit

    outcomes = _read(args.outcomes)
    models = _models_of(args, outcomes)
    _say(f"fitting {len(outcomes):,} outcomes of {', '.join(models)}")
    knowledge = fit(outcomes, models=models, strong=args.strong, costs=_costs_of(args, models))
    args.out.write_text(knowledge.dumps() + "\n", encoding="utf-8")
    print(
        f"{args.out}: {knowledge.rows:,} outcomes, {len(knowledge.tags)} tags, {_kind(knowledge)}"
    )
    for model in models:
        print(f"  {model}: mean score {knowledge.means[model]:.3f}")
    return 0


def _eval(args: argparse.Namespace) -> int:
    """Print what is to be compared, each half judged by what the other taught."""
    from agentfuse.cli.route_report import report_of

    outcomes = _read(args.outcomes)
    models = _models_of(args, outcomes)
    _say(f"fitting two halves of {len(outcomes):,} outcomes")
    report = report_of(outcomes, models, args.strong, _costs_of(args, models))
    for model, score in report.means.items():
        print(f"always {model}: mean score {score:.3f}")
    for weak, rankings in report.rankings.items():
        print(f"\n{weak} or {args.strong}, on the half not fitted on")
        print(
            f"{'router':16} {'APGR':>6} {'95 % interval':>15} {'CPT(50 %)':>10} {'CPT(80 %)':>10}"
        )
        for name, ranking in rankings.items():
            _print(name, ranking)
    if args.json:
        args.json.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
    return 0


def _calibrate(args: argparse.Namespace) -> int:
    from agentfuse.routing.fitting import frontier_of, promised_by

    try:
        knowledge = Knowledge.loads(args.weights.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the weights cannot be read: {error}") from error
    frontier = frontier_of(promised_by(knowledge, _read(args.outcomes)))
    solved = knowledge.calibrated(frontier)
    out = args.out or args.weights
    out.write_text(solved.dumps() + "\n", encoding="utf-8")
    print(f"{out}: {frontier.rows:,} outcomes, the strong model leads by {frontier.gap:.3f}")
    solvable = [
        _solvable(frontier, args.target_quality, confidence)
        for confidence in dict.fromkeys((AIMED, args.confidence))
    ]
    return 0 if solvable[-1] else 1


def _solvable(frontier: Frontier, share: float, confidence: float) -> bool:
    """Print what a target takes: aimed at, as a router does, or by a lower bound."""
    price = frontier.price_for_quality(share, confidence)
    asked = f"{share:.0%} asked for"
    if confidence > AIMED:
        asked += f" with confidence {confidence:g}"
    if price is None:
        print(f"{asked}: no price keeps it, so always strong")
        return False
    point = next(point for point in frontier.points if point.price >= price)
    kept = 1 - point.lost / frontier.gap if frontier.gap else 1.0
    print(
        f"{asked}: price {price:.3f}, {point.strong:.0%} strong calls,"
        f" {point.cost:.0%} of the strong model's cost, {kept:.0%} kept on these outcomes"
    )
    return True


def _read(path: Path) -> list[Outcome]:
    try:
        with path.open(encoding="utf-8") as file:
            return list(outcomes_of(file))
    except OSError as error:
        raise ConfigurationError(f"the outcomes cannot be read: {error}") from error


def _models_of(args: argparse.Namespace, outcomes: list[Outcome]) -> list[str]:
    if args.models:
        return list(args.models)
    return list(dict.fromkeys(model for each in outcomes for model in each.scores))


def _costs_of(args: argparse.Namespace, models: list[str]) -> dict[str, float]:
    """Give each model's price as a share of the strong one's."""
    given = {name: _share_of(share) for name, _, share in (c.rpartition("=") for c in args.cost)}
    book = PriceBook()
    found: dict[str, float] = {args.strong: 1.0, **given}
    for model in models:
        if model in found:
            continue
        found[model] = _price_of(book, model) / _price_of(book, args.strong)
    return found


def _price_of(book: PriceBook, name: str) -> float:
    try:
        target = target_of(name)
        return float(book.card(target.model, target.provider).worst(_TOKENS, _TOKENS))
    except (UnknownPrice, ConfigurationError) as error:
        raise ConfigurationError(
            f"no price is known for {name!r}: give --cost {name}=0.1 (a share of the strong"
            " model's) for each cheap model"
        ) from error


def _share_of(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"--cost takes MODEL=SHARE, not {text!r}") from None


def _confidence_of(text: str) -> float:
    confidence = float(text)
    if not AIMED <= confidence < 1:
        raise ValueError(f"from {AIMED} to below 1")
    return confidence


def _kind(knowledge: Knowledge) -> str:
    return (
        "no text model (some outcomes have no prompt)" if knowledge.text is None else "a text model"
    )


def _print(name: str, ranking: Ranking) -> None:
    ends = f"{ranking.interval[0]:.3f} to {ranking.interval[1]:.3f}"
    print(f"{name:16} {ranking.apgr:6.3f} {ends:>15} {ranking.cpt50:10.1%} {ranking.cpt80:10.1%}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
