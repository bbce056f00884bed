"""Values of a call as JSON that has no secret in it."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from agentfuse.messages import Json


# What is JSON already: most of what an SDK hands over.
_PLAIN = frozenset({dict, list, str, int, float, bool, type(None)})


def plain_of(value: Any) -> Json:
    """Write an SDK's object as JSON; what has no JSON form is given back as it is."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True, warnings=False)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value


def digest_of(value: Any) -> str:
    """Name a value that may be secret without telling it: half of its SHA-256, in hex."""
    text = json.dumps(value, sort_keys=True, default=repr)
    return f"sha256:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
