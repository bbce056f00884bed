"""Who hears the events of a fuse: the user's listeners, those of their alerts, the spend book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.observe.alerts import AlertCallback, AlertWebhook

if TYPE_CHECKING:
    from agentfuse.observe.spend_book import SpendBook
    from agentfuse.ports import Listener
    from agentfuse.runtime.settings import Settings


def listeners_of(settings: Settings, book: SpendBook | None) -> tuple[Listener, ...]:
    """Give the user's listeners, those of their alerts, and the spend book."""
    found: list[Listener] = list(settings.listeners)
    if settings.on_alert is not None:
        found.append(AlertCallback(settings.on_alert))
    if settings.alert_webhook is not None:
        found.append(AlertWebhook(settings.alert_webhook))
    return (*found, *((book,) if book is not None else ()))
