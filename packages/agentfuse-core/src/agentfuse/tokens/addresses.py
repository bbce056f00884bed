"""How large a linked picture is, as far as its address tells: nothing is fetched to count it.

Sites write sizes into addresses: ``name-1024x576.png`` (WordPress,
https://developer.wordpress.org/reference/classes/wp_image_editor/get_suffix/), ``name_1920x.jpg``
(https://shopify.dev/docs/api/liquid/filters/img_url), ``2560px-name.jpg`` (MediaWiki's thumbnails),
``?w=800&h=400`` (https://docs.imgix.com/apis/url/size/w) and its like.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentfuse.tokens.images import Size

# Half of the recorded linked pictures count no more than this one: they are smaller than those
# given as files. An icon is one of some sixteen to two hundred pixels.
_LINKED: Size = (400, 300)
_ICON: Size = (128, 128)

_SIDE = r"([1-9]\d{1,3})"
_BOTH = re.compile(rf"(?<![0-9a-zA-Z]){_SIDE}x{_SIDE}(?![0-9a-zA-Z])")
_WIDTH = re.compile(rf"(?<![0-9a-zA-Z]){_SIDE}(?:px-|x(?=[.@_]))|[?&]w(?:idth)?={_SIDE}(?![\d.])")
_HEIGHT = re.compile(rf"_x{_SIDE}(?=[.@_])|[?&]h(?:eight)?={_SIDE}(?![\d.])")
_SAYS_ICON = re.compile(r"(?<![a-z])(?:fav)?icons?(?![a-z])", re.IGNORECASE)


def linked_size(address: str) -> Size:
    """Guess the width and height of the picture behind an address.

    Where it tells one side, the picture is as wide to its height as 3 to 2, as cameras take them.
    """
    both = _BOTH.search(address)
    if both:
        return int(both[1]), int(both[2])
    wide, high = _side(_WIDTH, address), _side(_HEIGHT, address)
    if wide or high:
        return wide or high * 3 // 2, high or max(wide * 2 // 3, 1)
    return _ICON if _SAYS_ICON.search(address) else _LINKED


def _side(written: re.Pattern[str], address: str) -> int:
    """Read one side; 0 where the address does not tell it."""
    found = written.search(address)
    return int(found[found.lastindex or 0]) if found else 0
