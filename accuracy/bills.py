"""Bills of recorded usages: totals, costs beside the price list's own, and what was charged."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from replays import read_as_json, read_by_client

from agentfuse.errors import UnknownPrice
from agentfuse.pricing import PriceBook
from agentfuse.usage import Usage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_UNEXPLAINED = "UNEXPLAINED"

# What genai-prices calls the providers and the kinds of answers of the recordings.
_LISTED = {"bedrock": "aws", "google-vertex": "google", "gemini": "google", "vertex": "google"}
_FLAVORS = {
    "chat.completions": ("chat", "default"),
    "responses": ("responses", "default"),
    "embeddings": ("embeddings", "default"),
    "bedrock.invoke": ("anthropic", "default"),
}
_STANDARD = frozenset({"", "default", "standard", "auto", "on_demand", "provisioned", "scale"})

# How far back a price may have moved: the oldest recordings, in steps of a month.
_MONTHS = 24
_MONTH = 30 * 86_400


def bill_figures(data: Path) -> dict[str, Any]:
    """Read and price every recording below ``data``."""
    now = time.time()
    pairs = list(_lines(data.glob("usage_pairs/*/*.jsonl.gz")))
    recorded = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(data.glob("recorded/*/*.json"))
        if path.name != "billed_cost_pairs.json"
    ]
    rows = [_pair_figures(row, now) for row in pairs]
    replays = [_replay_figures(each) for each in recorded]
    charges = [_charge_figures(*each, now) for each in _charged(data, pairs)]
    everything = [*rows, *replays, *charges]
    reasons = [why for each in everything for why in each["reasons"].values()]
    return {
        "pairs": rows,
        "replays": replays,
        "charges": charges,
        "unexplained": sum(_UNEXPLAINED in why for why in reasons),
    }


def print_bills(figures: dict[str, Any]) -> None:
    """Print what was read and priced alike, and each exception with its reason."""
    print("\nBills")
    for name in ("pairs", "replays", "charges"):
        rows = figures[name]
        marks = Counter(mark for row in rows for mark in row["marks"])
        told = ", ".join(f"{mark} {count}" for mark, count in sorted(marks.items()))
        print(f"  {name}: {len(rows)} rows: {told}")
        for row in rows:
            for what, why in row["reasons"].items():
                print(f"    {row['id']} {row['model']} {what}: {why}")
    print(f"  unexplained: {figures['unexplained']}")


# --- usages beside the price list's own reading -------------------------------------------------


def _pair_figures(row: dict[str, Any], now: float) -> dict[str, Any]:
    body = _body_of(row)
    report = Usage.from_response(body, row["api"], row["provider"])
    marks = {"parsed"} if report.items else set()
    reasons = {} if report.items else {"parsed": f"{_UNEXPLAINED}: nothing was read"}
    told = (report.usage.input_tokens, report.usage.output_tokens)
    if told == (row["input_total"], row.get("output_total") or 0):
        marks.add("equal totals")
    else:
        reasons["totals"] = f"{_totals_reason(row['usage'], report)} {told}"
    if "count" not in row["api"].lower():
        mark, why = _cost_figures(row, body, report, now)
        marks.add(mark)
        if why:
            reasons["cost"] = why
    model = row.get("response_model") or row["model"]
    return {"id": row["id"], "model": model, "marks": sorted(marks), "reasons": reasons}


def _body_of(row: dict[str, Any]) -> dict[str, Any]:
    native = row["api"].startswith("google")
    model = row.get("response_model") or row["model"]
    tier = (row.get("extra") or {}).get("service_tier")
    key = "usageMetadata" if native else "usage"
    named = {"modelVersion": model} if native else {"model": model}
    return {key: row["usage"], **named, **({"service_tier": tier} if tier else {})}


def _totals_reason(usage: dict[str, Any], report: UsageReport) -> str:
    if usage.get("iterations"):
        return "every iteration is billed, the top level leaves some out"
    if usage.get("billed_units"):
        units = usage["billed_units"]
        billed = (units.get("input_tokens", 0), units.get("output_tokens", 0))
        if billed == (report.usage.input_tokens, report.usage.output_tokens):
            return "Cohere charges its billed units, fewer than the tokens it counts"
    tools = usage.get("toolUsePromptTokenCount")
    prompt = usage.get("promptTokenCount", 0)
    if tools and report.usage.input_tokens == prompt + tools:
        return "what tools put into the prompt is billed as input"
    return _UNEXPLAINED


def _cost_figures(
    row: dict[str, Any], body: dict[str, Any], report: UsageReport, now: float
) -> tuple[str, str]:
    model = row.get("response_model") or row["model"]
    ours = _pico_of(report, row["provider"], model, now)
    theirs = _listed_pico(row, body, report, now)
    if isinstance(theirs, str):
        if ours is None:
            return "priced by neither", ""
        return "priced by us alone", "" if theirs == "no price" else f"genai-prices: {theirs}"
    if ours is None:
        return "priced by the list alone", f"{_UNEXPLAINED}: we know no price"
    if ours == theirs:
        return "equal cost", ""
    why = _cost_reason(row, report, now)
    return "another cost", f"{ours / 10**12:.9f}, the list {theirs / 10**12:.9f}: {why}"


def _pico_of(report: UsageReport, provider: str, model: str, now: float) -> int | None:
    """Price a report from its tokens alone, in picodollars."""
    book = _books(now)
    try:
        return sum(
            book.card(item.model or model, provider, item.context).cost(item.usage)
            for item in report.items
        )
    except UnknownPrice:
        return None


_KNOWN_BOOKS: dict[float, PriceBook] = {}


def _books(now: float) -> PriceBook:
    return _KNOWN_BOOKS.setdefault(now, PriceBook(now=lambda: now))


def _listed_pico(
    row: dict[str, Any], body: dict[str, Any], report: UsageReport, now: float
) -> Decimal | str:
    """Price a body by genai-prices itself, reading included; a word where it cannot."""
    from genai_prices import calc_price
    from genai_prices.data_snapshot import get_snapshot

    provider = _LISTED.get(row["provider"], row["provider"])
    failure = "no price"
    for flavor in _FLAVORS.get(row["api"], ("default",)):
        try:
            found = get_snapshot().extract_usage(body, provider, None, flavor)
        except ValueError as error:
            failure = failure if "flavor" in str(error) else f"its reader fails: {error}"
            continue
        except LookupError:
            continue
        except AttributeError as error:  # an enum as a number
            return f"its reader fails: {error}"
        try:
            price = calc_price(
                found.usage,
                row.get("response_model") or row["model"],
                provider_id=provider,
                genai_request_timestamp=datetime.fromtimestamp(now, UTC),
                price_context=_terms(report) or None,
            )
        except LookupError:
            return "no price"
        except ValueError as error:
            return f"its arithmetic fails: {error}"
        rates = price.model_price.__dict__.values()
        return price.total_price * 10**12 if any(rates) else "no price"
    return failure


def _terms(report: UsageReport) -> dict[str, str]:
    context = report.items[0].context
    terms = {"speed": context.speed} if context.speed not in _STANDARD else {}
    tier = context.service_tier
    if context.batch or tier == "batch":
        return terms | {"processing": "batch"}
    return terms if tier in _STANDARD else terms | {"service_tier": tier}


def _cost_reason(row: dict[str, Any], report: UsageReport, now: float) -> str:
    """Say why our cost is not the list's own, if there is a reason."""
    usage, item = row["usage"], report.items[0]
    card = _books(now).card(item.model or row["model"], row["provider"], item.context)
    given = usage.get("total_tokens", 0)
    parts = usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0)
    known = (
        (bool(usage.get("iterations")), "the list bills the top level, not the iterations"),
        (report.approximate, "the counts contradict each other: priced at the dearest reading"),
        ("genai-prices" not in card.id, f"our supplement corrects the list ({card.id})"),
        (bool(usage.get("num_cached_tokens")), "the list overlooks num_cached_tokens"),
        (bool(item.context.region), "regional uplift, which the list leaves out"),
        (given > parts > 0, "the list leaves out what only the total shows"),
        (bool(_terms(report)), "terms that the list has no price for"),
        (bool(report.usage.tool_requests), "fees of the provider's tools"),
    )
    return next((why for holds, why in known if holds), _UNEXPLAINED)


# --- recorded responses, through the real clients ------------------------------------------------


def _replay_figures(recorded: dict[str, Any]) -> dict[str, Any]:
    marks: set[str] = set()
    reasons: dict[str, str] = {}
    asked = (recorded["api"].replace("anthropic-", "anthropic."), recorded["provider"])
    plain = Usage.from_response(read_as_json(recorded), *asked)
    try:
        answer = read_by_client(recorded)
    except Exception as error:  # noqa: BLE001 - each client has errors of its own
        if recorded["status"] < 400:  # noqa: PLR2004
            reasons["client"] = f"{_UNEXPLAINED}: {error!r}"
        marks.add("an error, unbilled")
        answer = None
    if answer is not None:
        marks.add("read by its client")
        if Usage.from_response(answer, *asked) != plain:
            reasons["client"] = f"{_UNEXPLAINED}: the client's object is read otherwise"
    told = (plain.usage.input_tokens, plain.usage.output_tokens)
    if told == _totals_of(recorded["raw_usage"]):
        marks.add("equal totals")
    else:
        reasons["totals"] = f"{_UNEXPLAINED}: {told}, not {_totals_of(recorded['raw_usage'])}"
    if plain.approximate and plain.items:
        marks.add("contradictory, marked")
    return {
        "id": recorded["id"],
        "model": recorded["model"],
        "marks": sorted(marks),
        "reasons": reasons,
    }


def _totals_of(usage: dict[str, Any] | None) -> tuple[int, int]:
    """Add up a provider's own usage, iteration by iteration."""
    rounds = (usage or {}).get("iterations") or [usage or {}]
    inputs = sum(each.get(key) or 0 for each in rounds for key in _INPUTS)
    return inputs, sum(each.get(key) or 0 for each in rounds for key in _OUTPUTS)


_INPUTS = (
    *("prompt_tokens", "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
    *("promptTokenCount", "toolUsePromptTokenCount"),
    *("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"),
)
_OUTPUTS = (
    *("completion_tokens", "output_tokens", "outputTokens"),
    *("candidatesTokenCount", "thoughtsTokenCount"),
)


# --- what OpenRouter charged ---------------------------------------------------------------------


def _charged(
    data: Path, pairs: list[dict[str, Any]]
) -> Iterable[tuple[str, str, dict[str, Any], Decimal]]:
    """List every (id, model, usage, dollars) of which OpenRouter told the charge."""
    for path in sorted(data.glob("recorded/*/billed_cost_pairs.json")):
        for number, pair in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            charge = Decimal(str(pair["billed_usd"]))
            yield f"{path.parent.name}-billed-{number:02}", pair["model"], pair["usage"], charge
    for row in pairs:
        if row["provider"] == "openrouter" and row["usage"].get("cost") is not None:
            model = row.get("response_model") or row["model"]
            yield row["id"], model, row["usage"], Decimal(str(row["usage"]["cost"]))


def _charge_figures(
    name: str, model: str, usage: dict[str, Any], charge: Decimal, now: float
) -> dict[str, Any]:
    report = Usage.from_response({"usage": usage, "model": model}, None, "openrouter")
    figures: dict[str, Any] = {"id": name, "model": model, "marks": [], "reasons": {}}
    spent = _spent_on_tokens(usage)
    if usage.get("server_tool_use_details") or (spent is not None and charge > spent):
        figures["marks"] = ["fees of server tools"]
        return figures
    if usage.get("is_byok"):  # the caller's own key: the fee, and the provider's bill on top
        charge = report.reported_cost or charge
    ours = _dollars(report, model, now)
    if ours == charge:
        figures["marks"] = ["equal to the charge"]
        return figures
    figures["marks"] = ["price moved or route's own"]
    figures["reasons"]["charge"] = f"${charge}, ours ${ours}: " + _moved(
        report, model, usage, charge, now
    )
    return figures


def _dollars(report: UsageReport, model: str, at: float) -> Decimal | None:
    pico = _pico_of(replace(report, reported_cost=None), "openrouter", model, at)
    return None if pico is None else Decimal(pico).scaleb(-12)


def _moved(
    report: UsageReport, model: str, usage: dict[str, Any], charge: Decimal, now: float
) -> str:
    """Find the month whose list gives the charge, or the rates that were charged."""
    for month in range(1, _MONTHS):
        at = now - month * _MONTH
        if _dollars(report, model, at) == charge:
            return f"the list of {datetime.fromtimestamp(at, UTC):%Y-%m} gives the charge"
    try:
        listed_output = _books(now).card(model, "openrouter").rates.output
    except UnknownPrice:
        listed_output = -1
    return _charged_rates(report, usage, listed_output)


def _charged_rates(report: UsageReport, usage: dict[str, Any], listed_output: int) -> str:
    spent_in, spent_out = _spent(usage)
    if spent_in is None or spent_out is None:
        return "no rates were told; the route that served it has a price of its own"
    if spent_in + spent_out == 0:
        return "a free route"
    per_in = _rate(spent_in, report.usage.input_tokens)
    per_out = _rate(spent_out, report.usage.output_tokens)
    if per_out == f"{Decimal(listed_output) / 10**6:.4f}":
        return f"{_UNEXPLAINED}: charged the output at the list's rate"
    return f"charged ${per_in} and ${per_out} a million, which no month's list has"


def _spent(usage: dict[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    """Read what the input and the output are told to have cost, in dollars."""
    details = usage.get("cost_details") or {}
    told = [
        next((details[key] for key in keys if details.get(key) is not None), None)
        for keys in (
            ("upstream_inference_prompt_cost", "upstream_inference_input_cost"),
            ("upstream_inference_completions_cost", "upstream_inference_output_cost"),
        )
    ]
    spent_in, spent_out = (None if each is None else Decimal(str(each)) for each in told)
    return spent_in, spent_out


def _spent_on_tokens(usage: dict[str, Any]) -> Decimal | None:
    spent_in, spent_out = _spent(usage)
    return None if spent_in is None or spent_out is None else spent_in + spent_out


def _rate(spent: Decimal, tokens: int) -> str:
    return f"{spent * 10**6 / tokens:.4f}" if tokens else "-"


def _lines(paths: Iterable[Path]) -> Iterable[dict[str, Any]]:
    for path in sorted(paths):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)
