"""``wrap_openai``, ``wrap_anthropic`` and ``unwrap``: cover clients, and give them back bare."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from agentfuse.errors import ConfigurationError
from agentfuse.patches.flavours import flavour_of
from agentfuse.patches.transports import AsyncFusedTransport, FusedTransport
from agentfuse.runtime.default import default_fuse
from agentfuse.runtime.fuses import fuse_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.money import Dollars
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.runtime.settings import Options

Client = TypeVar("Client")

_MARK = "agentfuse_new_clients"
_COVERED = (FusedTransport, AsyncFusedTransport)
_CLASSES = {"openai": ("OpenAI", "AsyncOpenAI"), "anthropic": ("Anthropic", "AsyncAnthropic")}


@overload
def wrap_openai(
    client: None = ...,
    *,
    fuse: Fuse | None = ...,
    budget: Dollars | None = ...,
    **options: Unpack[Options],
) -> Fuse: ...
@overload
def wrap_openai(
    client: Client,
    *,
    fuse: Fuse | None = ...,
    budget: Dollars | None = ...,
    **options: Unpack[Options],
) -> Client: ...
def wrap_openai(
    client: Any = None,
    *,
    fuse: Fuse | None = None,
    budget: Dollars | None = None,
    **options: Unpack[Options],
) -> Any:
    """Hold an OpenAI client to a budget, and let it remember; the same client is given back.

    ``client`` is an ``OpenAI``, ``AsyncOpenAI`` or their Azure kind. Without one, all clients made
    from now on are covered, and the fuse is given back. ``fuse`` is what meters; or give a
    ``budget`` and a Fuse's ``options`` for one of its own; with none of them it is the one behind
    ``completion()``. A client has one fuse: another takes the place of the one before.

    Chat completions, responses and embeddings are metered, in every call style; other endpoints
    pass untouched. Calls then raise BudgetExceeded (an ``OpenAIError`` as well) before anything is
    sent. Raises ConfigurationError for what is no such client, or a fuse beside a budget.
    """
    return _wrapped("openai", client, _fuse_of(fuse, budget, options))


@overload
def wrap_anthropic(
    client: None = ...,
    *,
    fuse: Fuse | None = ...,
    budget: Dollars | None = ...,
    **options: Unpack[Options],
) -> Fuse: ...
@overload
def wrap_anthropic(
    client: Client,
    *,
    fuse: Fuse | None = ...,
    budget: Dollars | None = ...,
    **options: Unpack[Options],
) -> Client: ...
def wrap_anthropic(
    client: Any = None,
    *,
    fuse: Fuse | None = None,
    budget: Dollars | None = None,
    **options: Unpack[Options],
) -> Any:
    """Do as ``wrap_openai`` for an ``Anthropic`` or ``AsyncAnthropic`` client.

    Messages are metered, beta ones too; a stop is an ``AnthropicError`` as well.
    """
    return _wrapped("anthropic", client, _fuse_of(fuse, budget, options))


@overload
def unwrap(client: None = ...) -> None: ...
@overload
def unwrap(client: Client) -> Client: ...
def unwrap(client: Any = None) -> Any:
    """Give a client back bare; without one, clients made from now on are bare again.

    Clients that were covered while they were made stay so until they are unwrapped themselves: no
    budget ends under a client in use.
    """
    if client is None:
        for sdk in _CLASSES:
            _uncover_new(sdk)
        return None
    if _is_covered(client):
        _replace(_http_client_of(client), _bare)
    return client


def _fuse_of(fuse: Fuse | None, budget: Dollars | None, options: Any) -> Fuse:
    """Give the fuse that is meant; with no word about it, the one behind ``completion()``."""
    if fuse is None and budget is None and not options:
        return default_fuse().run(None, None)
    return fuse_of(budget, fuse, options)


def _wrapped(sdk: str, client: Any, fuse: Fuse) -> Any:
    kinds = _kinds_of(sdk)
    if client is None:
        for kind in kinds:
            _cover_new(kind, fuse)
        return fuse
    if not isinstance(client, kinds):
        raise ConfigurationError(
            f"wrap_{sdk} covers {' and '.join(_CLASSES[sdk])}, not {type(client).__name__}"
        )
    _cover(client, fuse)
    return client


def _kinds_of(sdk: str) -> tuple[Any, ...]:
    try:
        module = import_module(sdk)
    except ImportError as error:
        raise ConfigurationError(
            f"wrap_{sdk} needs the {sdk} SDK: pip install 'agentfuse-core[{sdk}]'"
        ) from error
    return tuple(getattr(module, name) for name in _CLASSES[sdk])


def _cover(client: Any, fuse: Fuse) -> None:
    """Put a metered transport around each of a client's own."""
    http_client = _http_client_of(client)
    flavour = flavour_of(http_client)
    kind = FusedTransport if flavour.is_blocking(http_client) else AsyncFusedTransport
    _replace(http_client, lambda transport: kind(_bare(transport), fuse, flavour))


def _http_client_of(client: Any) -> Any:
    return getattr(client, "_client", None)


def _bare(transport: Any) -> Any:
    return transport.inner if isinstance(transport, _COVERED) else transport


def _replace(http_client: Any, change: Callable[[Any], Any]) -> None:
    """Change a client's transports: the usual one, and those for proxies."""
    http_client._transport = change(http_client._transport)  # noqa: SLF001 - no public way
    mounts = http_client._mounts  # noqa: SLF001
    for pattern, transport in mounts.items():
        mounts[pattern] = None if transport is None else change(transport)


@dataclass(slots=True)
class _NewClients:
    """What holds for clients of a class yet to be made, and the steps of their making."""

    fuse: Fuse | None
    bare: Callable[..., None]
    step: Callable[..., None] | None = None


def _cover_new(kind: Any, fuse: Fuse) -> None:
    """Cover clients of a class as they are made, once; ``copy()`` keeps the cover it has."""
    known = _new_clients_of(kind)
    if known is not None:
        known.fuse = fuse
        return
    new = _NewClients(fuse, kind.__init__)

    @wraps(new.bare)
    def covering_init(client: Any, *args: Any, **kwargs: Any) -> None:
        new.bare(client, *args, **kwargs)
        if new.fuse is not None and not _is_covered(client):
            _cover(client, new.fuse)

    setattr(covering_init, _MARK, new)
    new.step = kind.__init__ = covering_init


def _uncover_new(sdk: str) -> None:
    """Undo ``_cover_new``; a step that others have built upon stays, and does nothing."""
    module = sys.modules.get(sdk)
    for name in _CLASSES[sdk] if module is not None else ():
        kind = getattr(module, name)
        new = _new_clients_of(kind)
        if new is not None:
            new.fuse = None
            if new.step is kind.__init__:
                kind.__init__ = new.bare


def _new_clients_of(kind: Any) -> _NewClients | None:
    """Find our own step among those that others may have put around a class's ``__init__``."""
    step = kind.__init__
    while step is not None:
        new: _NewClients | None = getattr(step, _MARK, None)
        if new is not None:
            return new
        step = getattr(step, "__wrapped__", None)
    return None


def _is_covered(client: Any) -> bool:
    return isinstance(getattr(_http_client_of(client), "_transport", None), _COVERED)
