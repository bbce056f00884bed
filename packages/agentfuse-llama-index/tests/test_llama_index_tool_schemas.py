"""A tool's schema is written once, and again wherever it could have become another one."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest
from llama_index.core.llms import LLM
from llama_index.core.tools import FunctionTool, ToolMetadata
from pydantic import BaseModel, Field
from pydantic.json_schema import GenerateJsonSchema

from agentfuse import Fuse
from agentfuse_llama_index import AgentFuseLLM
from agentfuse_llama_index.tool_schemas import described

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., LLM]


class City(enum.Enum):
    """Where it rains."""

    ROME = "Rome"


class Place(BaseModel):
    """A place."""

    name: str


def tell_weather(city: str, days: int = 1, unit: str = "c") -> str:
    """Tell what the weather in a city will be like."""
    return f"sunny in {city} for {days} days in {unit}"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Keep what pydantic writes a schema of."""
    kept: list[object] = []
    generate = GenerateJsonSchema.generate

    def noted(self: Any, schema: Any, mode: Any = "validation") -> Any:
        kept.append(schema)
        return generate(self, schema, mode)

    monkeypatch.setattr(GenerateJsonSchema, "generate", noted)
    return kept


def words_of(tool: Any) -> list[dict[str, Any]]:
    """Give a tool's words twice: the second time they may be at hand; and bare."""
    given = [described([tool])[0].metadata.to_openai_tool() for _ in range(2)]
    return [*given, tool.metadata.to_openai_tool()]


def tool_of(kind: type[BaseModel] | None) -> FunctionTool:
    metadata = ToolMetadata(name="tell weather", description="Tell it.", fn_schema=kind)
    return FunctionTool(fn=tell_weather, metadata=metadata)


class Plain(BaseModel):
    """Of fields of all the plain types."""

    city: str
    days: int | None = 1
    parts: list[str] | dict[str, tuple[float, ...]]
    unit: Literal["c", "f"] = Field("c", description="Celsius or Fahrenheit.")


def test_a_schema_of_plain_types_is_written_once(written: list[object]) -> None:
    first, second, bare = words_of(tool_of(Plain))
    assert first == second == bare
    assert len(written) == 2


def test_a_tools_schema_is_written_once(written: list[object]) -> None:
    tool = FunctionTool.from_defaults(tell_weather)
    first, second, bare = words_of(tool)
    assert first == second == bare
    assert len(written) == 2
    second["function"]["parameters"]["properties"]["city"]["title"] = "changed by who got it"
    tool.metadata.description = "Told otherwise."
    tool.metadata.name = "tell"
    assert words_of(tool)[0] == tool.metadata.to_openai_tool()
    assert words_of(tool)[0]["function"]["description"] == "Told otherwise."


CHANGES: dict[str, Callable[[Any], object]] = {
    "a title": lambda kind: setattr(kind, "__name__", "Renamed"),
    "a description": lambda kind: setattr(kind.model_fields["city"], "description", "Where?"),
    "a default": lambda kind: setattr(kind.model_fields["days"], "default", 3),
    "something beside": lambda kind: setattr(
        kind.model_fields["city"], "json_schema_extra", {"format": "city"}
    ),
    "something into what is beside": lambda kind: (
        kind.model_fields["city"].json_schema_extra or {}
    ).update(format="city"),
    "the configuration": lambda kind: kind.model_config.update(json_schema_extra={"required": []}),
    "the way it is written": lambda kind: setattr(
        kind, "model_json_schema", classmethod(lambda _: {"type": "object", "properties": {}})
    ),
    "how pydantic writes it": lambda kind: setattr(
        kind,
        "__get_pydantic_json_schema__",
        classmethod(lambda *_: {"type": "object", "properties": {"x": {}}}),
    ),
}


@pytest.mark.parametrize("rebuild", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_class_that_is_changed_is_seen_at_once(change: str, *, rebuild: bool) -> None:
    tool = FunctionTool.from_defaults(tell_weather)
    kind: Any = tool.metadata.fn_schema
    assert words_of(tool)[1] == tool.metadata.to_openai_tool()
    CHANGES[change](kind)
    if rebuild:
        kind.model_rebuild(force=True)
    first, second, bare = words_of(tool)
    assert first == second == bare


class Listed(BaseModel):
    """Of a field whose default can be written into."""

    cities: list[str] = ["Rome"]


class Of(BaseModel):
    """Of another model, and of a choice."""

    place: Place
    city: City


class Telling(str):
    """A type that says for itself how it is written."""

    __slots__ = ()
    said = ("Rome",)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        del source
        return handler(str)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        return {**handler(schema), "enum": list(cls.said)}


class Asked(BaseModel):
    """Of such a type."""

    city: Telling


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (Listed, lambda: Listed.model_fields["cities"].default.append("Oslo")),
        (Of, lambda: setattr(Place, "__doc__", "Another place.")),
        (Asked, lambda: setattr(Telling, "said", ("Oslo",))),
    ],
)
def test_what_can_change_unseen_is_asked_anew(
    monkeypatch: pytest.MonkeyPatch, kind: type[BaseModel], change: Callable[[], object]
) -> None:
    monkeypatch.setattr(Telling, "said", Telling.said)
    monkeypatch.setattr(Place, "__doc__", Place.__doc__)
    tool = tool_of(kind)
    before = words_of(tool)
    change()
    first, second, bare = words_of(tool)
    assert first == second == bare
    assert bare != before[2]


def test_tools_that_are_none_of_llama_indexs_own_are_left_alone() -> None:
    class Own(ToolMetadata):
        """Metadata that is told in a way of its own."""

        def get_parameters_dict(self) -> dict[str, Any]:
            return {"type": "object", "properties": {"own": {}}}

    tool: Any = FunctionTool(fn=tell_weather, metadata=Own(name="tell", description="Tell it."))
    assert described([tool]) == [tool]
    assert described(None) is None
    assert words_of(tool_of(None))[0] == tool_of(None).metadata.to_openai_tool()


async def test_a_call_with_tools_is_sent_as_the_bare_one(
    bare_of: BareOf, up: Upstream, vendor: str, written: list[object]
) -> None:
    bare: Any = bare_of(vendor)
    tools = [FunctionTool.from_defaults(tell_weather), tool_of(Of)]
    bare.chat_with_tools(tools, "hello")
    llm: Any = AgentFuseLLM(inner=bare, fuse=Fuse("$1", spend_book=False))
    for _ in range(2):
        llm.chat_with_tools(tools, "hello")
    await llm.achat_with_tools(tools=tools, user_msg="hello", tool_required=True)
    assert up.requests[0].body == up.requests[1].body
    assert up.requests[2].body["tools"] == up.requests[0].body["tools"]
    assert up.requests[2].body["tool_choice"] != up.requests[0].body.get("tool_choice")
    # The first tool's twice (bare, fused), the other one's in each of the four calls.
    assert len(written) == 6
