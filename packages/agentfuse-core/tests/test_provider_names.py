"""Names lead to the right provider, and each provider sees its own key only."""

from __future__ import annotations

import pytest
from genai_prices.data import providers as priced

from agentfuse.errors import ConfigurationError
from agentfuse.providers.directory import BY_PREFIX, PROVIDERS
from agentfuse.providers.names import NO_KEY, Target, access_of, target_of

ALL_KEYS = {row.keys[0]: f"key-of-{row.id}" for row in PROVIDERS}
ELSEWHERE = {
    "AZURE_OPENAI_ENDPOINT": "https://us.openai.azure.com",
    "OPENAI_API_VERSION": "2024-10-21",
    "VLLM_BASE_URL": "http://gpu:8000/v1",
}


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-5-mini", "openai"),
        ("chatgpt-4o-latest", "openai"),
        ("o3", "openai"),
        ("o4-mini", "openai"),
        ("ft:gpt-4o-mini:acme::1", "openai"),
        ("text-embedding-3-small", "openai"),
        ("claude-sonnet-4-6", "anthropic"),
        ("gemini-2.5-flash", "google"),
        ("deepseek-chat", "deepseek"),
        ("mistral-large-latest", "mistral"),
        ("codestral-2501", "mistral"),
        ("open-mixtral-8x22b", "mistral"),
        ("magistral-medium-latest", "mistral"),
        ("grok-4", "x-ai"),
    ],
)
def test_a_bare_name_belongs_to_its_maker_and_stays_as_it_is(model: str, provider: str) -> None:
    target = target_of(model)
    assert (target.provider, target.model) == (provider, model)


@pytest.mark.parametrize(
    ("written", "provider", "model"),
    [
        ("openai/gpt-5", "openai", "gpt-5"),
        ("anthropic/claude-opus-4-1", "anthropic", "claude-opus-4-1"),
        ("deepseek/deepseek-chat", "deepseek", "deepseek-chat"),
        ("together_ai/meta-llama/Llama-3", "together", "meta-llama/Llama-3"),
        ("openrouter/openai/gpt-5:online", "openrouter", "openai/gpt-5:online"),
        ("xai/grok-4", "x-ai", "grok-4"),
        ("fireworks_ai/accounts/x", "fireworks", "accounts/x"),
        ("hosted_vllm/my/model", "vllm", "my/model"),
        ("azure/my-deployment", "azure", "my-deployment"),
    ],
)
def test_a_prefix_names_the_provider_and_is_not_sent(
    written: str, provider: str, model: str
) -> None:
    target = target_of(written)
    assert (target.provider, target.model) == (provider, model)


def test_a_given_provider_settles_a_bare_name() -> None:
    assert target_of("gpt-oss-120b", "groq").provider == "groq"
    assert target_of("groq/gpt-oss-120b", "groq").model == "gpt-oss-120b"


@pytest.mark.parametrize("model", ["llama-3", "", "openai/", "nobody/gpt-5"])
def test_a_name_nobody_answers_to_is_refused_with_advice(model: str) -> None:
    with pytest.raises(ConfigurationError, match=r"provider"):
        target_of(model)


def test_only_claude_is_spoken_to_in_anthropics_dialect() -> None:
    apis = {row.id: target_of(f"{row.prefixes[0]}/x").api for row in PROVIDERS}
    assert {p for p, api in apis.items() if api == "anthropic.messages"} == {"anthropic"}


def test_ids_are_the_price_catalogues_own() -> None:
    catalogued = {provider.id for provider in priced}
    assert {row.id for row in PROVIDERS} - catalogued == {"ollama", "vllm"}


def test_every_row_gives_its_source() -> None:
    assert all(row.source.startswith("https://") for row in PROVIDERS)


@pytest.mark.parametrize("prefix", sorted(BY_PREFIX))
def test_each_provider_is_given_its_own_key(prefix: str) -> None:
    target = target_of(f"{prefix}/m")
    assert access_of(target, ALL_KEYS | ELSEWHERE).key == f"key-of-{target.provider}"


@pytest.mark.parametrize("row", [row for row in PROVIDERS if row.key_needed], ids=lambda r: r.id)
def test_a_missing_key_is_named_and_no_other_key_is_lent(row: object) -> None:
    target = target_of(f"{row.prefixes[0]}/m")  # type: ignore[attr-defined]
    others = {name: key for name, key in ALL_KEYS.items() if name != target.key_variable}
    with pytest.raises(ConfigurationError, match=target.key_variable):
        access_of(target, others | ELSEWHERE)


def test_google_takes_either_of_its_variables() -> None:
    assert access_of(target_of("gemini-2.5-pro"), {"GOOGLE_API_KEY": "g"}).key == "g"


def test_local_servers_need_no_key() -> None:
    access = access_of(target_of("ollama/llama3"), {"OPENAI_API_KEY": "secret"})
    assert (access.key, access.base_url) == (NO_KEY, "http://localhost:11434/v1")


def test_a_server_without_an_address_asks_for_one() -> None:
    target = target_of("vllm/m")
    with pytest.raises(ConfigurationError, match="VLLM_BASE_URL"):
        access_of(target, {})
    assert access_of(target, {}, base_url="http://here/v1").base_url == "http://here/v1"
    assert access_of(target, ELSEWHERE).base_url == "http://gpu:8000/v1"


def test_azure_says_what_it_lacks() -> None:
    key = {"AZURE_OPENAI_API_KEY": "z"}
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_ENDPOINT"):
        access_of(target_of("azure/d"), key)
    with pytest.raises(ConfigurationError, match="OPENAI_API_VERSION"):
        access_of(target_of("azure/d"), key | {"AZURE_OPENAI_ENDPOINT": "https://x"})


def test_an_address_is_taken_from_the_caller_then_the_environment_then_the_provider() -> None:
    target, key = target_of("gpt-5"), {"OPENAI_API_KEY": "k"}
    moved = key | {"OPENAI_BASE_URL": "http://proxy/v1"}
    assert access_of(target, key).base_url == "https://api.openai.com/v1"
    assert access_of(target, moved).base_url == "http://proxy/v1"
    assert access_of(target, moved, base_url="http://mine").base_url == "http://mine"
    groq = {"GROQ_API_KEY": "g", "GROQ_BASE_URL": "http://proxy/groq"}
    assert access_of(target_of("groq/m"), groq | moved).base_url == "http://proxy/groq"


def test_a_key_is_not_printed() -> None:
    access = access_of(target_of("gpt-5"), {"OPENAI_API_KEY": "sk-secret"})
    assert "sk-secret" not in repr(access)


def test_a_target_is_read_once() -> None:
    assert target_of("gpt-5") is target_of("gpt-5")
    assert isinstance(target_of("gpt-5"), Target)
