"""What each rule of the guard brings and costs, among pairs that a vector takes for one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from matching import PRESETS

from agentfuse.guard import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matching import Reading
    from reading import Row
    from vectors import Vectors

    from agentfuse.guard import Rule

NEAR = 0.85


def rule_figures(
    sets: Mapping[str, Sequence[Row]], vectors: Vectors, read: Reading
) -> dict[str, Any]:
    """Give, for each set and each rule, what the rule alone removes, and what only it removes."""
    near = {
        name: [row for row in rows if vectors.cosine(row.asked, row.kept) >= NEAR]
        for name, rows in sets.items()
    }
    return {name: _of_set(rows, read) for name, rows in near.items() if rows}


def _of_set(rows: Sequence[Row], read: Reading) -> dict[str, Any]:
    balanced = tuple(rule for rule in RULES if not rule.strict)
    figures = {
        "balanced, all": _removed(rows, balanced, read),
        "strict, all": _removed(rows, RULES, read),
    }
    for rule in RULES:
        figures[rule.name] = _removed(rows, (rule,), read)
        if not rule.strict:
            others = tuple(other for other in balanced if other is not rule)
            figures[rule.name] |= _only(figures["balanced, all"], _removed(rows, others, read))
    traps = sum(not row.same for row in rows)
    return {"traps": traps, "good": len(rows) - traps, "rules": figures}


def _removed(rows: Sequence[Row], rules: tuple[Rule, ...], read: Reading) -> dict[str, int]:
    """Count the traps and the good pairs that some rules hold apart."""
    judged = replace(PRESETS[0], rules=rules)
    apart = [
        row
        for row in rows
        if judged.objection(read.features(row.asked), read.features(row.kept)) is not None
    ]
    good = sum(row.same for row in apart)
    return {"traps": len(apart) - good, "good": good}


def _only(everything: dict[str, int], others: dict[str, int]) -> dict[str, int]:
    return {f"only_{side}": everything[side] - others[side] for side in ("traps", "good")}


def print_rules(figures: dict[str, Any]) -> None:
    """Print the share of traps removed and of good pairs lost, rule by rule and set by set."""
    print(
        f"\nRules, among pairs of cosine {NEAR} or nearer: % of traps removed / of good pairs lost"
    )
    names = [*figures]
    print(f"{'':15}" + "".join(f"{name:>16}" for name in names))
    counts = (f"{figures[name]['traps']}/{figures[name]['good']}" for name in names)
    print(f"{'pairs':15}" + "".join(f"{count:>16}" for count in counts))
    for rule in figures[names[0]]["rules"]:
        shares = (_share(figures[name], rule) for name in names)
        print(f"{rule:15}" + "".join(f"{share:>16}" for share in shares))


def _share(figures: dict[str, Any], rule: str) -> str:
    removed = figures["rules"][rule]
    sides = (
        f"{100 * removed[side] / figures[side]:.1f}" if figures[side] else "-"
        for side in ("traps", "good")
    )
    return "/".join(sides)
