"""A call's cost can be asked for before the call is made."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

import pytest

import agentfuse
from agentfuse import Estimate, Fuse, UnknownPrice, estimate_cost
from agentfuse.runtime.warming import warm_up

ASKED = [{"role": "user", "content": "hello world"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def test_an_estimate_is_the_counted_prompt_and_the_longest_answer():
    estimate = estimate_cost("gpt-4o", ASKED, max_output_tokens=10)
    assert estimate == Estimate(
        expected=Decimal("0.0001225"),
        worst=Decimal("0.0001225"),
        input_tokens=9,
        max_output_tokens=10,
        card_id=estimate.card_id,
    )
    assert estimate.card_id.startswith("openai/gpt-4o@genai-prices-")


def test_without_a_maximum_the_worst_case_is_the_models_own_longest_answer():
    estimate = estimate_cost("gpt-4o", ASKED)
    assert estimate.max_output_tokens == 16_384
    assert estimate.worst == Decimal("0.1638625")
    assert estimate.expected == Decimal("0.0050225")


def test_tools_are_counted():
    bare = estimate_cost("gpt-4o", ASKED, max_output_tokens=10)
    tooled = estimate_cost("gpt-4o", ASKED, tools=[TOOL], max_output_tokens=10)
    assert tooled.input_tokens > bare.input_tokens + 10
    assert tooled.worst > bare.worst


def test_terms_and_choices_are_priced():
    one = estimate_cost("gpt-4o", ASKED, max_output_tokens=10)
    assert estimate_cost("gpt-4o", ASKED, max_output_tokens=10, service_tier="priority").worst > (
        one.worst
    )
    assert estimate_cost("gpt-4o", ASKED, max_output_tokens=10, n=3).max_output_tokens == 30


def test_other_dialects_are_estimated_too():
    estimate = estimate_cost("claude-sonnet-4-6", ASKED, max_output_tokens=100)
    assert estimate.card_id.startswith("anthropic/claude-sonnet-4-6@")
    assert Decimal("0.0015") < estimate.worst < Decimal("0.01")


def test_a_fuses_own_prices_hold_for_its_estimates():
    fuse = Fuse(prices={"gpt-4o": {"input": 1_000_000, "output": 0}})
    assert estimate_cost("gpt-4o", ASKED, max_output_tokens=10, fuse=fuse).worst == 9


def test_a_deployment_is_priced_as_the_model_behind_it():
    fuse = Fuse(deployments={"My-Deploy": "gpt-4o"})
    estimate = estimate_cost("azure/my-deploy", ASKED, max_output_tokens=10, fuse=fuse)
    assert estimate.card_id.startswith("azure/gpt-4o@")


def test_a_model_without_a_price_has_no_estimate():
    with pytest.raises(UnknownPrice):
        estimate_cost("gpt-99-super", ASKED)


def test_nothing_to_ask_has_no_estimate():
    with pytest.raises(agentfuse.ConfigurationError, match="messages"):
        estimate_cost("gpt-4o", [])


WARMED = """
import sys, time
from agentfuse import Fuse
assert "genai_prices" not in sys.modules
Fuse("$1")
for _ in range(300):
    time.sleep(0.05)
    if "genai_prices.data" in sys.modules and "tiktoken" in sys.modules:
        sys.exit(0)
sys.exit(1)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True
    )


def test_a_fuse_with_a_budget_warms_up_by_itself():
    done = run(WARMED.replace("    from agentfuse.tokens.encodings import {probe}\n", ""))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fuse_without_a_budget_loads_nothing():
    done = run(
        "import sys, time; from agentfuse import Fuse; Fuse(); time.sleep(0.3);"
        "sys.exit('genai_prices' in sys.modules or 'tiktoken' in sys.modules)"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_may_end_while_it_warms_up():
    done = run("from agentfuse import Fuse; Fuse('$1')")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are for POSIX")
def test_a_child_forked_while_it_warms_up_can_price_and_count():
    done = run(
        "import os; from agentfuse import Fuse, estimate_cost; Fuse('$1')\n"
        "pid = os.fork()\n"
        "asked = [{'role': 'user', 'content': 'hi'}]\n"
        "worst = estimate_cost('gpt-4o', asked, max_output_tokens=1).worst\n"
        "if pid == 0: os._exit(0 if worst > 0 else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_client_made_while_it_warms_up_meets_no_half_of_a_module():
    done = run(
        "import sys, types; sys.modules['openai'] = types.ModuleType('openai')\n"
        "from agentfuse import Fuse; Fuse('$1', spend_book=False)\n"
        "raise SystemExit(0 if hasattr(sys.modules.get('httpx2'), 'URL') else 1)\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_warming_up_twice_starts_one_thread():
    from agentfuse.runtime import warming

    warm_up()
    first = warming._warming()
    warm_up()
    assert warming._warming() is first
    first.join()
