"""Compare our price cards with a second public list, and name every difference nobody explained.

The list is the JSON inside the litellm wheel, read as a file: ``python scripts/check_prices.py
[--json FILE] [--list FILE] [--write]``. A difference that ``scripts/price_differences.toml``
explains, with both figures as they are now, passes; any other one makes the exit status 1.
``--write`` adds what is new with an empty reason, which does not pass before somebody fills it in.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agentfuse.errors import UnknownPrice
from agentfuse.pricing import PriceBook, PriceCard
from agentfuse.usage import PriceContext

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPLAINED = Path(__file__).with_name("price_differences.toml")
LIST_FILE = "model_prices_and_context_window_backup.json"
# Whose models are routed to, in litellm's words and in ours.
PROVIDERS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "groq": "groq",
    "cohere_chat": "cohere",
    "perplexity": "perplexity",
    "together_ai": "together",
}
KINDS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "cache_write_12h": "cache_creation_input_token_cost_above_12hr",
}
TERMS = {
    "": PriceContext(),
    "_batches": PriceContext(batch=True),
    "_flex": PriceContext(service_tier="flex"),
    "_priority": PriceContext(service_tier="priority"),
    "_ultrafast": PriceContext(service_tier="ultrafast"),
}


class Difference(NamedTuple):
    """Two figures for one thing, in picodollars a token."""

    provider: str
    model: str
    what: str
    ours: int
    theirs: int


def their_list(path: Path | None) -> dict[str, dict[str, Any]]:
    """Read litellm's list out of what is installed, without importing it."""
    if path is None:
        files = importlib.metadata.files("litellm") or []
        path = next(Path(str(file.locate())) for file in files if file.name == LIST_FILE)
    return json.loads(path.read_text("utf-8"), parse_float=Decimal)


def compared(theirs: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, str, int, int]]:
    """Give every figure that both lists state for a model of chat: provider, model, what, both."""
    book = PriceBook()
    for key, entry in theirs.items():
        provider = PROVIDERS.get(str(entry.get("litellm_provider")))
        if provider is None or entry.get("mode") not in {"chat", "responses"}:
            continue
        model = key.removeprefix(f"{entry['litellm_provider']}/")
        for term, context in TERMS.items():
            card = known_card(book, model, provider, context)
            for kind, word in KINDS.items() if card is not None else ():
                price = entry.get(word + term)
                if price:
                    ours = getattr(card.rates, kind)  # type: ignore[union-attr]
                    figure = int((Decimal(price) * 10**12).to_integral_value())
                    yield provider, model, kind + term, ours, figure


def known_card(
    book: PriceBook, model: str, provider: str, context: PriceContext
) -> PriceCard | None:
    """Give our card where it states the very model and terms; an assumption is not compared."""
    try:
        card = book.card(model, provider, context)
    except UnknownPrice:
        return None
    return None if card.approximate else card


def explained_differences() -> dict[tuple[str, str, str], tuple[int, int, str]]:
    rows = tomllib.loads(EXPLAINED.read_text("utf-8")).get("difference", [])
    return {
        (row["provider"], row["model"], row["what"]): (row["ours"], row["theirs"], row["why"])
        for row in rows
    }


def written(difference: Difference, why: str = "") -> str:
    fields = {**difference._asdict(), "why": why}
    body = ", ".join(f"{word} = {json.dumps(value)}" for word, value in fields.items())
    return f"    {{ {body} }},\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, help="write every figure here")
    parser.add_argument("--list", type=Path, help="another copy of their list")
    parser.add_argument("--write", action="store_true", help="print rows for what is unexplained")
    options = parser.parse_args()
    figures = list(compared(their_list(options.list)))
    known = explained_differences()
    differing = [Difference(*figure) for figure in figures if figure[3] != figure[4]]
    unexplained = [
        each
        for each in differing
        if known.get(each[:3], (0, 0, ""))[:2] != (each.ours, each.theirs) or not known[each[:3]][2]
    ]
    for each in unexplained:
        text = f"{each.provider}/{each.model} {each.what}: {each.ours} here, {each.theirs} there"
        print(written(each) if options.write else text, end="" if options.write else "\n")
    summary = {
        "compared": len(figures),
        "equal": len(figures) - len(differing),
        "explained": len(differing) - len(unexplained),
        "unexplained": len(unexplained),
    }
    print(summary)
    if options.json:
        rows = [each._asdict() for each in unexplained]
        options.json.write_text(json.dumps({**summary, "differences": rows}, indent=1), "utf-8")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
