"""What is remembered of an LLM's settings and tools never outlives a change of them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from crewai import LLM
from crewai.llms.base_llm import BaseLLM
from pydantic import BaseModel, Field

from agentfuse import Fuse
from agentfuse.policy.keys import key_of
from agentfuse_crewai import AgentFuseLLM
from agentfuse_crewai.requests import Asked, request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.messages import Request
    from agentfuse.testing import Upstream

KEY = "sk-upstream"

LOOK_UP: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
    },
}


def asked_of(llm: Any, **given: Any) -> Request:
    return request_of(llm, Asked("hello", given))


def set_to(name: str, value: Any) -> Callable[[Any], None]:
    return lambda llm: setattr(llm, name, value)


@pytest.mark.parametrize(
    "change",
    [
        set_to("temperature", 0.7),
        set_to("seed", 1),
        set_to("max_tokens", 10),
        set_to("max_completion_tokens", 10),
        set_to("model", "gpt-4o-mini"),
        set_to("base_url", "http://elsewhere.example/v1"),
        set_to("reasoning_effort", "low"),
        set_to("response_format", {"type": "json_object"}),
        lambda llm: llm.stop.append("END"),
        lambda llm: llm.additional_params.update(logit_bias={"1": 2}),
        lambda llm: llm.include.append("reasoning"),
    ],
)
def test_a_setting_changed_between_two_calls_is_another_question(change: Any) -> None:
    llm = LLM(model="gpt-4o", api_key=KEY, include=["usage"])
    before = key_of(asked_of(llm))
    other = copy.copy(llm)
    for name in ("stop", "include", "additional_params"):
        setattr(other, name, copy.copy(getattr(llm, name)))
    change(llm)
    assert key_of(asked_of(llm)) not in {before, None}
    assert key_of(asked_of(other)) == before


def test_one_and_true_are_two_values() -> None:
    llm = LLM(model="gpt-4o", api_key=KEY)
    told = []
    for value in (1, True, 1.0, 1):
        llm.seed = value
        told.append(asked_of(llm).params["seed"])
    assert [type(each) for each in told] == [int, bool, float, int]


def test_a_change_is_seen_by_the_next_call(
    bare_of: Callable[..., Any], up: Upstream, vendor: str
) -> None:
    llm = AgentFuseLLM(bare_of(vendor), budget="$1", spend_book=False)
    for limit in (1_100, 1_200, 1_100, 1_200):  # the newest anthropic takes no temperature
        llm.max_tokens = limit
        llm.call("hello")
    assert [request.body["max_tokens"] for request in up.requests] == [1_100, 1_200]


def test_what_is_set_beside_the_fields_counts() -> None:
    llm = LLM(model="gpt-4o", api_key=KEY)
    assert "previous_response_id" not in asked_of(llm).params
    llm.tool_search = True  # a field of Claude's class
    assert asked_of(llm).params["previous_response_id"] is True


class Wandering(BaseLLM):
    """A user's own LLM class, whose address is worked out, and tools are read by a state of it."""

    _place: list[str] = ["first"]  # noqa: RUF012 - a private attribute of pydantic's

    @property
    def api_base(self) -> str:
        """Where it goes now."""
        return f"http://{self._place[0]}.example"

    def call(self, messages: Any, *_: Any, **__: Any) -> str:
        """Say it again."""
        return str(messages)

    def _convert_tools_for_interference(self, tools: Any) -> Any:
        return [{**tool, "function": {"name": self._place[0]}} for tool in tools]


def test_what_a_class_works_out_is_asked_each_time() -> None:
    llm = Wandering(model="parrot")
    for place in ("first", "second"):
        llm._place[0] = place
        request = asked_of(llm, tools=[LOOK_UP])
        assert request.base_url == f"http://{place}.example"
        assert request.tools[0]["function"] == {"name": place}


def test_a_tool_changed_in_place_is_another_tool(bare_of: Callable[..., Any], vendor: str) -> None:
    llm, tool = bare_of(vendor), copy.deepcopy(LOOK_UP)
    first, same = asked_of(llm, tools=[tool]), asked_of(llm, tools=[copy.deepcopy(tool)])
    tool["function"]["parameters"]["properties"]["word"]["description"] = "in English"
    assert first == same
    assert "in English" in str(asked_of(llm, tools=[tool]).tools)
    assert "in English" not in str(first.tools)


def test_a_tool_is_read_as_each_provider_does(bare_of: Callable[..., Any]) -> None:
    openais, claudes = (
        asked_of(bare_of(each), tools=[LOOK_UP]) for each in ("openai", "anthropic")
    )
    assert "strict" in openais.tools[0]["function"]
    assert "strict" not in claudes.tools[0]["function"]


class Answer(BaseModel):
    word: str = Field(description="any")


def test_a_schema_that_was_rebuilt_is_another_form(bare_of: Callable[..., Any]) -> None:
    llm = bare_of()
    first = asked_of(llm, response_model=Answer)
    assert asked_of(llm, response_model=Answer) == first
    Answer.model_fields["word"].description = "in English"
    Answer.model_rebuild(force=True)
    assert "in English" in str(asked_of(llm, response_model=Answer).params)
    assert "in English" not in str(first.params)


class Agentlike(Wandering):
    """An LLM class with a word of its own where CrewAI's events look for a crew or an agent."""

    entity_type: str = "agentlike"


def test_a_class_keeps_what_events_look_for() -> None:
    assert AgentFuseLLM(Agentlike(model="parrot"), spend_book=False).entity_type == "agentlike"
    assert AgentFuseLLM(Wandering(model="parrot"), spend_book=False).entity_type is None


class Persona(BaseLLM):
    """An LLM of a caller's own, that keeps what it needs where it likes."""

    def __init__(self, model: str, persona: str) -> None:
        super().__init__(model=model)
        self.persona = persona

    def call(self, messages: Any, *_: Any, **__: Any) -> str:
        """Answer in character."""
        return f"{self.persona} heard {len(messages)}"


def test_two_llms_of_a_callers_own_never_share_an_answer() -> None:
    fuse = Fuse(spend_book=False)
    said = [
        AgentFuseLLM(Persona("gpt-4o", persona), fuse=fuse).call("Who is there?")
        for persona in ("Ann", "Bob", "Ann")
    ]
    assert said == ["Ann heard 13", "Bob heard 13", "Ann heard 13"]
    assert fuse.receipt().exact == 1
