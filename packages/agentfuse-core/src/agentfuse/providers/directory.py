"""The providers known by name: where each one lives, which key it takes, what it accepts.

Ids are those of the genai-prices catalogue where it has the provider, so that a name leads to its
price card without a second table. Each row's facts are from the page in ``source``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Api = Literal["openai.chat", "anthropic.messages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider.

    ``prefixes`` are what may stand before a slash in a model's name; ``models`` is a pattern for
    names that belong to it without a prefix. ``keys`` are the variables its key may stand in, the
    first found wins; with ``key_needed`` False none is required. ``home`` is its own address.
    ``limit_word`` names the parameter that caps the output; ``usage_option`` says that a stream
    takes ``stream_options.include_usage`` (the others send usage unasked).
    """

    id: str
    prefixes: tuple[str, ...]
    keys: tuple[str, ...]
    source: str
    home: str = ""
    models: str = ""
    api: Api = "openai.chat"
    base_url_variable: str = ""
    key_needed: bool = True
    limit_word: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    usage_option: bool = True

    @property
    def address_variable(self) -> str:
        """The environment variable that moves this provider to another address."""
        return self.base_url_variable or f"{self.prefixes[0].upper()}_BASE_URL"


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        id="openai",
        prefixes=("openai",),
        keys=("OPENAI_API_KEY",),
        home="https://api.openai.com/v1",
        models=r"(gpt|chatgpt|text|codex|computer-use|davinci|babbage)-|o[1-9](-|$)|ft:",
        limit_word="max_completion_tokens",
        source="https://platform.openai.com/docs/api-reference/chat/create",
    ),
    Provider(
        id="anthropic",
        prefixes=("anthropic",),
        keys=("ANTHROPIC_API_KEY",),
        home="https://api.anthropic.com",
        models=r"claude-",
        api="anthropic.messages",
        source="https://docs.anthropic.com/en/api/messages",
    ),
    Provider(
        id="google",
        prefixes=("gemini", "google"),
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        home="https://generativelanguage.googleapis.com/v1beta/openai/",
        models=r"(gemini|gemma)-",
        source="https://ai.google.dev/gemini-api/docs/openai",
    ),
    Provider(
        id="deepseek",
        prefixes=("deepseek",),
        keys=("DEEPSEEK_API_KEY",),
        home="https://api.deepseek.com",
        models=r"deepseek-",
        source="https://api-docs.deepseek.com/api/create-chat-completion",
    ),
    Provider(
        id="mistral",
        prefixes=("mistral",),
        keys=("MISTRAL_API_KEY",),
        home="https://api.mistral.ai/v1",
        models=r"(open-)?(mistral|mixtral|codestral|devstral|ministral|magistral|pixtral|voxtral)(-|$)",
        usage_option=False,  # its schema forbids fields it does not list; usage always comes last
        source="https://docs.mistral.ai/api/#tag/chat",
    ),
    Provider(
        id="groq",
        prefixes=("groq",),
        keys=("GROQ_API_KEY",),
        home="https://api.groq.com/openai/v1",
        source="https://console.groq.com/docs/openai",
    ),
    Provider(
        id="together",
        prefixes=("together", "together_ai"),
        keys=("TOGETHER_API_KEY",),
        home="https://api.together.xyz/v1",
        source="https://docs.together.ai/docs/openai-api-compatibility",
    ),
    Provider(
        id="x-ai",
        prefixes=("xai", "x-ai"),
        keys=("XAI_API_KEY",),
        home="https://api.x.ai/v1",
        models=r"grok-",
        source="https://docs.x.ai/docs/api-reference",
    ),
    Provider(
        id="fireworks",
        prefixes=("fireworks", "fireworks_ai"),
        keys=("FIREWORKS_API_KEY",),
        home="https://api.fireworks.ai/inference/v1",
        models=r"accounts/fireworks/",
        source="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
    ),
    Provider(
        id="openrouter",
        prefixes=("openrouter",),
        keys=("OPENROUTER_API_KEY",),
        home="https://openrouter.ai/api/v1",
        source="https://openrouter.ai/docs/api-reference/overview",
    ),
    Provider(
        id="ollama",
        prefixes=("ollama",),
        keys=("OLLAMA_API_KEY",),
        home="http://localhost:11434/v1",
        key_needed=False,
        source="https://docs.ollama.com/api/openai-compatibility",
    ),
    Provider(
        id="vllm",
        prefixes=("vllm", "hosted_vllm"),
        keys=("VLLM_API_KEY",),
        key_needed=False,
        source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    Provider(
        id="azure",
        prefixes=("azure",),
        keys=("AZURE_OPENAI_API_KEY",),
        base_url_variable="AZURE_OPENAI_ENDPOINT",
        limit_word="max_completion_tokens",
        source="https://learn.microsoft.com/azure/ai-foundry/openai/reference",
    ),
)

BY_PREFIX = {prefix: row for row in PROVIDERS for prefix in row.prefixes}
BY_ID = {row.id: row for row in PROVIDERS}


def provider_of(provider: str) -> Provider:
    """Give the row of a provider id; an unknown one is taken for a plain compatible server."""
    return BY_ID.get(provider) or Provider(
        id=provider, prefixes=(provider,), keys=(), source="", key_needed=False
    )
