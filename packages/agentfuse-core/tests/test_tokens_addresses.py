"""Linked pictures are counted by what their addresses tell, and set aside for at their most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentfuse.messages import Media, Message, Request
from agentfuse.tokens import TokenCounter, TokenEstimate
from agentfuse.tokens.addresses import linked_size


def showing(model: str, address: str) -> TokenEstimate:
    picture = Media(kind="image", url=address)
    request = Request(provider="", model=model, messages=(Message("user", (picture,)),))
    return TokenCounter().count(request)


@pytest.mark.parametrize(
    ("address", "size"),
    [
        ("https://blogs.example.com/2025/05/Hero-Art-Final-1024x576.png", (1024, 576)),
        ("https://source.example.com/8xznAGy4HcY/800x400", (800, 400)),
        ("https://a.b/thumb/d/dd/Walk.jpg/2560px-Walk.jpg", (2560, 1706)),
        ("https://a.b/files/FW24-Edito-01_1920x.jpg?v=1736371244", (1920, 1280)),
        ("https://a.b/files/potions_x480.jpg", (720, 480)),
        ("https://a.b/files/potions_480x480.jpg", (480, 480)),
        ("https://a.b/photo?w=640&h=400&q=75", (640, 400)),
        ("https://a.b/photo?fit=max&width=1200", (1200, 800)),
        ("https://a.b/photo?height=400", (600, 400)),
        ("https://a.b/static/images/icons/wikipedia.png", (128, 128)),
        ("https://a.b/favicon.png", (128, 128)),
        ("https://a.b/icons/app-192x192.png", (192, 192)),
        # None of these says how large it is.
        ("https://a.b/webp/gallery3/1.png", (400, 300)),
        ("https://a.b/iconic-views.jpg", (400, 300)),
        ("https://a.b/0x7f20x30ab.png", (400, 300)),
        ("https://a.b/photo?w=0.5", (400, 300)),
        ("https://a.b/photo-00x00.png?w=0", (400, 300)),
        ("", (400, 300)),
    ],
)
def test_a_size_is_read_where_an_address_tells_it(address: str, size: tuple[int, int]) -> None:
    assert linked_size(address) == size


def test_what_an_address_tells_moves_the_count_and_not_what_is_set_aside() -> None:
    untold = showing("gpt-4o", "https://a.b/c.png")
    large = showing("gpt-4o", "https://a.b/2560px-c.png")
    icon = showing("claude-sonnet-4-0", "https://a.b/icon.png")
    assert large.tokens - untold.tokens == 5 * 170
    assert icon.tokens == 7 + 25
    assert icon.high >= 1600
    assert large.high >= untold.high


@given(st.text(st.sampled_from("0123456789x_-./?&=whpicons@"), max_size=60))
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-mini", "claude-opus-5", "gemini-2.0-flash"])
def test_no_address_counts_more_than_is_set_aside(model: str, address: str) -> None:
    estimate = showing(model, f"https://a.b/{address}")
    assert 0 < estimate.tokens <= estimate.high
    assert estimate.high >= showing(model, "https://a.b/c.png").tokens
