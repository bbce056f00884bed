"""A small instance that is valid for a JSON schema, filled from what the user wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentfuse.testing.upstream.said import list_in, object_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.testing.upstream.said import Json

    Schema = Mapping[str, Json]

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w]*\d)")
_QUOTED = re.compile(r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|「([^」]+)」")
_FORMATS: Mapping[str, str] = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "a@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_GUESSES = ("a", "A", "0", "1", "A1", "abc", "ABC", "123", "AB-123", "2025-01-01", "a@example.com")
# A schema that refers to itself is followed this deep; below, only what it requires is filled.
_DEEP = 5


class Hints:
    """The numbers and quoted strings of a text, each handed out once and in order."""

    def __init__(self, text: str = "") -> None:
        self.numbers = [float(n) if "." in n else int(n) for n in _NUMBER.findall(text)]
        self.strings = quoted(text)

    def number(self, schema: Schema, *, whole: bool) -> int | float | None:
        """Take the first number the schema allows."""
        for index, value in enumerate(self.numbers):
            if (isinstance(value, int) or not whole) and _within(value, schema):
                return self.numbers.pop(index)
        return None

    def string(self, schema: Schema) -> str | None:
        """Take the first quoted string the schema allows."""
        for index, value in enumerate(self.strings):
            if _fits(value, schema):
                return self.strings.pop(index)
        return None


def quoted(text: str) -> list[str]:
    """Give the texts in quotation marks; an apostrophe inside a word is none."""
    return ["".join(groups) for groups in _QUOTED.findall(text)]


def instance_of(schema: Schema, text: str = "") -> Json:
    """Build an instance with all properties, enums' first values and one-element arrays.

    Integers, numbers and strings come from ``text`` where it has some that are allowed, otherwise
    from the schema; a string without any other source is its property's name.
    """
    return _Builder(schema, Hints(text)).of(schema, "value", 0)


class _Builder:
    def __init__(self, root: Schema, hints: Hints) -> None:
        self._root = root
        self._hints = hints

    def of(self, given: Json, name: str, depth: int) -> Json:
        """Build the instance of one subschema; ``name`` is its property's."""
        schema = object_in(given)
        if "$ref" in schema:
            return self.of({**self._referred(schema["$ref"]), **_beside(schema)}, name, depth + 1)
        if "const" in schema or schema.get("enum"):
            return schema["const"] if "const" in schema else schema["enum"][0]
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return self.of(_chosen(options, depth), name, depth + 1)
        if schema.get("allOf"):
            return self.of(self._merged(schema), name, depth + 1)
        return self._typed(schema, name, depth)

    def _typed(self, schema: Schema, name: str, depth: int) -> Json:
        match _type_of(schema, depth):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number" as kind:
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._string(schema, name)

    def _object(self, schema: Schema, depth: int) -> dict[str, Json]:
        required = schema.get("required", ())
        return {
            key: self.of(value, key, depth + 1)
            for key, value in schema.get("properties", {}).items()
            if depth < _DEEP or key in required
        }

    def _array(self, schema: Schema, name: str, depth: int) -> list[Json]:
        least = schema.get("minItems", 0)
        if "prefixItems" in schema:
            return [self.of(item, name, depth + 1) for item in schema["prefixItems"]]
        count = max(least, 0 if depth >= _DEEP or schema.get("maxItems") == 0 else 1)
        return [self.of(schema.get("items", {}), name, depth + 1) for _ in range(count)]

    def _number(self, schema: Schema, *, whole: bool) -> int | float:
        hint = self._hints.number(schema, whole=whole)
        return _smallest(schema, whole=whole) if hint is None else hint

    def _string(self, schema: Schema, name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        hint = self._hints.string(schema)
        if hint is not None:
            return hint
        padded = name.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
        return next((text for text in (padded, *_GUESSES) if _fits(text, schema)), padded)

    def _referred(self, ref: str) -> Schema:
        found: Json = self._root
        for step in ref.removeprefix("#").strip("/").split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if step else found
        return object_in(found)

    def _merged(self, schema: Schema) -> Schema:
        merged: dict[str, Json] = {k: v for k, v in schema.items() if k != "allOf"}
        for part in schema["allOf"]:
            whole = {**self._referred(part["$ref"]), **_beside(part)} if "$ref" in part else part
            for key, value in whole.items():
                known = merged.get(key)
                merged[key] = {**object_in(known), **value} if isinstance(known, dict) else value
        return merged


def _beside(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "$ref"}


def _chosen(options: list[Json], depth: int) -> Json:
    """Prefer a value over null, except deep inside a schema that refers to itself."""
    wants_null = depth >= _DEEP
    for option in options:
        if (object_in(option).get("type") == "null") == wants_null:
            return option
    return options[0]


def _type_of(schema: Schema, depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [{"type": name} for name in list_in(kind)]
        return str(_chosen(kinds, depth)["type"])
    if kind is None and "properties" in schema:
        return "object"
    return str(kind or "string")


def _within(value: float, schema: Schema) -> bool:
    return bool(
        value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and value > schema.get("exclusiveMinimum", value - 1)
        and value < schema.get("exclusiveMaximum", value + 1)
        and value % schema.get("multipleOf", 1 if isinstance(value, int) else value or 1) == 0
    )


def _smallest(schema: Schema, *, whole: bool) -> int | float:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    start = 0 if low is None else -(-low // step) * step
    for value in (1, start, start + step, start - step, schema.get("maximum", start)):
        if _within(value, schema):
            return value
    between = (schema.get("exclusiveMinimum", 0) + schema.get("exclusiveMaximum", 1)) / 2
    return int(between) if whole else between


def _fits(value: str, schema: Schema) -> bool:
    return (
        schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        and re.search(schema.get("pattern", ""), value) is not None
    )
