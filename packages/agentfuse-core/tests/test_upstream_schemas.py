"""Instances of JSON schemas, and which tools a text mentions."""

from __future__ import annotations

import re

import pytest

from agentfuse.testing.upstream.schema import instance_of
from agentfuse.testing.upstream.script import mentions

STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        ({"type": "object", "properties": {"a": STRING, "b": STRING}}, {"a": "a", "b": "b"}),
        ({"enum": ["x", "y"]}, "x"),
        ({"const": 5}, 5),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "integer", "minimum": 10}, 10),
        ({"type": "integer", "exclusiveMinimum": 10, "multipleOf": 4}, 12),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "string", "format": "date"}, "2025-01-01"),
        ({"type": "string", "minLength": 7}, "valuexx"),
        ({"type": "string", "maxLength": 2}, "va"),
        (
            {
                "allOf": [
                    {"$ref": "#/$defs/a"},
                    {"properties": {"n": {"type": "null"}}, "required": ["n"]},
                ],
                "$defs": {"a": {"type": "object", "properties": {"m": STRING}}},
            },
            {"m": "m", "n": None},
        ),
    ],
)
def test_an_instance_is_the_smallest_that_fits(schema, instance):
    assert instance_of(schema) == instance


def test_a_pattern_is_met_where_a_simple_text_meets_it():
    pattern = r"^[A-Z]{2}-\d{3}$"
    assert re.search(pattern, instance_of({"type": "string", "pattern": pattern}))


def test_a_schema_that_holds_itself_comes_to_an_end():
    node = {
        "type": "object",
        "properties": {
            "name": STRING,
            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
        },
        "required": ["name", "next", "children"],
    }
    found = instance_of({"$ref": "#/$defs/node", "$defs": {"node": node}})
    assert found["next"]["name"] == "name"
    assert '"next": None' in repr(found).replace("'", '"')


def test_numbers_and_quoted_strings_of_the_text_fill_an_instance_in_order():
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "name": STRING,
            "b": {"type": "integer", "maximum": 10},
            "share": {"type": "number"},
        },
    }
    text = "It's add(3, 400) with 4 and 0.5 for '你好啊集团'"
    assert instance_of(schema, text) == {"a": 3, "name": "你好啊集团", "b": 4, "share": 400}


@pytest.mark.parametrize(
    ("text", "tool", "yes"),
    [
        ("What is the weather in Rome?", "get_weather", True),
        ("Use get_weather please", "get_weather", True),
        ("What is 1 + 2", "my_adder_tool", False),
        ("Call magicFunction(3)", "magicFunction", True),
        ("Is the search box good for research?", "re_search", False),
        ("Transfer me to billing", "transfer_to_billing_agent", False),
        ("Hello", "get_tool", False),
    ],
)
def test_a_text_mentions_a_tool_by_its_name_or_its_telling_words(text, tool, yes):
    assert mentions(text, tool) is yes
