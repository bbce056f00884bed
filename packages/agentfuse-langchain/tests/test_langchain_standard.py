"""LangChain's own standard tests, over the bare models and over the fused ones, cold and warm.

The bare classes are the guard: what they pass, the fused ones have to pass. Each fused test also
compares the books: every paid call that the provider served was metered, to the token.
"""

from __future__ import annotations

from base64 import b64decode
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.load import dumpd
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse_langchain import AgentFuseChatModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_core.language_models import BaseChatModel

# Of the bare models: pydantic's about the SDK's `parsed`, and LangChain's about a choice of method.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:Received a Pydantic BaseModel V1 schema:UserWarning"),
    pytest.mark.filterwarnings("ignore:Unrecognized structured output method:UserWarning"),
    pytest.mark.filterwarnings("ignore:OpenAI may require a filename:UserWarning"),
    pytest.mark.filterwarnings("ignore:Benchmarks are automatically disabled"),
]

KEY = "sk-upstream"
MEDIA = {
    "png": b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    ),
    "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
    "wav": b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00@\x1f\x00\x00"
    b"\x01\x00\x08\x00data\x00\x00\x00\x00",
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    with Upstream(models=["gpt-4o-mini", "claude-haiku-4-5"]) as upstream:
        yield upstream


@pytest.fixture(scope="class")
def memory() -> Fuse:
    """What the fused models of a class remember; each test has a budget of its own."""
    return Fuse(spend_book=False)


@pytest.fixture(scope="class")
def asked_before() -> set[str]:
    """The tests that have run over this memory."""
    return set()


@pytest.fixture(params=["cold", "warm"], scope="class")
def turn(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the four web pages that the standard tests fetch their media from."""

    def get(url: str, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(content=MEDIA[url.rpartition(".")[2]])

    monkeypatch.setattr("langchain_tests.integration_tests.chat_models.httpx.get", get)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "agentfuse-tests")


class OpenAIModel:
    """What ChatOpenAI can do; the same for bare and fused, so that the same tests are skipped."""

    bare_class: type[BaseChatModel] = ChatOpenAI
    address = "openai_url"
    model_name = "gpt-4o"
    other_model = "gpt-4o-mini"

    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_audio_inputs = True
    supports_model_override = True
    model_override_value = other_model

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        return {"invoke": [], "stream": []}


class AnthropicModel:
    """What ChatAnthropic can do."""

    bare_class: type[BaseChatModel] = ChatAnthropic
    address = "anthropic_url"
    model_name = "claude-sonnet-4-6"
    other_model = "claude-haiku-4-5"

    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    supports_model_override = True
    model_override_value = other_model

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        return {"invoke": [], "stream": []}


class Asked:
    """Models as the standard tests make them."""

    bare_class: type[BaseChatModel]
    address: str
    model_name: str

    @pytest.fixture(autouse=True)
    def asked(self, provider: Upstream) -> Upstream:
        provider.wait_idle()
        provider.reset()
        self.provider = provider
        return provider

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return self.bare_class

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "api_key": KEY,
            "base_url": getattr(self.provider, self.address),
            # A kept connection belongs to the event loop that opened it.
            "default_headers": {"Connection": "close"},
            "stream_usage": True,  # what ChatOpenAI leaves out at any address but its own
        }

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 100, "timeout": 60, "stop": [], "max_retries": 2}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        name = "openai" if self.bare_class is ChatOpenAI else "anthropic"
        given = {k: v for k, v in self.chat_model_params.items() if k in {"model", "fuse"}}
        return {f"{name.upper()}_API_KEY": "key"}, given, {f"{name}_api_key": "key"}

    @pytest.fixture
    def snapshot(self) -> Callable[..., Any]:
        """What a model is serialised to: the very words of the bare one."""
        params = {**self.standard_chat_model_params, **self.chat_model_params}
        params.pop("fuse", None)
        return lambda name: dumpd(self.bare_class(**params))


class Fused(Asked):
    """Fused models: every test is run twice over one memory, and its books are compared."""

    @pytest.fixture(autouse=True)
    def books(
        self, memory: Fuse, turn: str, asked: Upstream, asked_before: set[str], request: Any
    ) -> Iterator[None]:
        self.fuse = memory.session(turn, "$100")
        yield
        asked.wait_idle()
        spent = self.fuse.receipt()
        served, billed = [r for r in asked.requests if r.status == 200], asked.usage_served()
        metered = sum(model.calls - model.from_cache for model in spent.models)
        assert (metered, spent.estimated) == (len(served), 0)
        assert sum(model.input_tokens for model in spent.models) == billed.input_tokens
        assert sum(model.output_tokens for model in spent.models) == billed.output_tokens
        assert self.fuse.open_leases() == ()
        name = request.node.name.replace(turn, "")
        if name in asked_before:
            assert (turn, metered) == ("warm", 0)
        asked_before.add(name)

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return type(AgentFuseChatModel(inner=self.bare_class(**super().chat_model_params)))

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "fuse": self.fuse}

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> BaseChatModel:
        given = {**self.standard_chat_model_params, **super().chat_model_params}
        params = {**given, **(getattr(request, "param", None) or {})}
        return AgentFuseChatModel(inner=self.bare_class(**params), fuse=self.fuse)


class TestBareOpenAIUnits(OpenAIModel, Asked, ChatModelUnitTests):
    pass


class TestBareOpenAI(OpenAIModel, Asked, ChatModelIntegrationTests):
    pass


class TestBareAnthropicUnits(AnthropicModel, Asked, ChatModelUnitTests):
    pass


class TestBareAnthropic(AnthropicModel, Asked, ChatModelIntegrationTests):
    pass


class TestFusedOpenAIUnits(OpenAIModel, Fused, ChatModelUnitTests):
    pass


class TestFusedOpenAI(OpenAIModel, Fused, ChatModelIntegrationTests):
    pass


class TestFusedAnthropicUnits(AnthropicModel, Fused, ChatModelUnitTests):
    pass


class TestFusedAnthropic(AnthropicModel, Fused, ChatModelIntegrationTests):
    pass


@pytest.mark.parametrize(
    ("bare", "fused"),
    [
        (TestBareOpenAIUnits, TestFusedOpenAIUnits),
        (TestBareOpenAI, TestFusedOpenAI),
        (TestBareAnthropicUnits, TestFusedAnthropicUnits),
        (TestBareAnthropic, TestFusedAnthropic),
    ],
)
def test_a_fused_model_is_excused_from_nothing(bare: type, fused: type) -> None:
    tests = [name for name in dir(bare) if name.startswith("test_")]
    assert tests == [name for name in dir(fused) if name.startswith("test_")]
    assert all(getattr(bare, name) is getattr(fused, name) for name in tests)
    claims = [n for n in dir(bare) if n.startswith(("has_", "supports_", "returns_", "enable_"))]
    assert claims == [
        n for n in dir(fused) if n.startswith(("has_", "supports_", "returns_", "enable_"))
    ]
    assert all(getattr(bare, name) is getattr(fused, name) for name in claims)
