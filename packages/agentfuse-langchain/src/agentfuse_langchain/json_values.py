"""Any value a LangChain call may hold, as JSON that has no secret in it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeGuard
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr

from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.messages import Json

# Names of parameters that hold credentials, or may: they are told apart by a digest only.
_SECRETIVE = re.compile(
    r"(^|_)(api_key|access_key|secret|password|credentials?|authorization|auth|token|headers?)$",
    re.IGNORECASE,
)


_JSON = frozenset({bool, int, float, str})
_PLAIN = _JSON | {dict, list, type(None)}


@lru_cache(maxsize=4096)
def is_secretive(name: str) -> bool:
    """Say whether a parameter of this name may hold a credential (``max_tokens`` does not)."""
    return _SECRETIVE.search(name) is not None


def plain_of(value: Any) -> Json:
    """Write a value as JSON; what has no JSON form is given back as it is.

    Pydantic classes become their JSON schema, secrets a digest of theirs.
    """
    if value is None or type(value) in _JSON:
        return value
    if _is_mapping(value):
        return {str(name): _entry(str(name), inner) for name, inner in value.items()}
    if _is_sequence(value):
        return [plain_of(inner) for inner in value]
    if _is_set(value):
        return sorted(map(plain_of, value), key=json.dumps)
    return _rare(value)


def _is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return type(value) is dict or isinstance(value, Mapping)


def _is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    """Tell a sequence of values from one piece of text or bytes."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _is_set(value: Any) -> TypeGuard[AbstractSet[Any]]:
    return isinstance(value, AbstractSet)


def unparsed_of(value: Any) -> Json:
    """Do as ``plain_of``, and leave out the parsed objects that lie in dicts and lists."""
    if value is None or type(value) in _JSON:
        return value
    if isinstance(value, dict):
        kept: dict[str, Json] = {}
        for given, inner in object_of(value).items():
            name = str(given)
            if is_secretive(name) and not _is_parsed(inner):
                kept[name] = _entry(name, inner, unparsed_of)
            elif type(inner) in _JSON:
                kept[name] = inner
            elif not _is_parsed(inner):
                kept[name] = unparsed_of(inner)
        return kept
    if isinstance(value, list):
        return [unparsed_of(inner) for inner in list_of(value) if not _is_parsed(inner)]
    return plain_of(value)


def _is_parsed(value: Any) -> bool:
    return type(value) not in _PLAIN and isinstance(value, BaseModel)


def _entry(name: str, value: Any, write: Callable[[Any], Json] = plain_of) -> Json:
    """Hide a credential; a schema may describe one by the same name, and is no secret."""
    secret = value and is_secretive(name) and (isinstance(value, str) or name.endswith("headers"))
    return digest_of(value) if secret else write(value)


def _rare(value: Any) -> Json:  # noqa: PLR0911 - one line for each type
    if isinstance(value, type):
        return _schema_of(value)
    match value:
        case BaseModel():
            return plain_of(value.model_dump(mode="json", warnings=False))
        case SecretStr() | SecretBytes():
            return digest_of(value.get_secret_value())
        case Enum():
            return plain_of(value.value)
        case bytes() | bytearray():
            return b64encode(value).decode()
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case Decimal() | PurePath() | UUID():
            return str(value)
        case _:
            return value


def _schema_of(kind: type[Any]) -> Json:
    if issubclass(kind, BaseModel):
        return {"title": kind.__name__, "schema": kind.model_json_schema()}
    return kind


def digest_of(value: Any) -> str:
    """Name a secret value without telling it: the first half of its SHA-256, in hex."""
    text = json.dumps(value, sort_keys=True, default=repr)
    return f"sha256:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
