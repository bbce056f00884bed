"""Read a text into tokens: words, numbers, times, dates and code, in the order they stand."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

EXTENSIONS = (
    "py|js|ts|tsx|jsx|java|go|rs|rb|php|c|h|cpp|cs|sh|sql|json|ya?ml|toml|csv|xml|html|css|md|txt"
    "|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg|mp[34]|zip|gz|log|ini|env|exe|ipynb"
)

# The first alternative that fits wins: what is more special stands further up. But for the first,
# which only spares most words all others: letters with a space or a mark behind them are a word.
TOKEN = re.compile(
    rf"""
      (?P<plain>[a-z]+)(?:[ ]|(?=[,?!]|\Z))
    | (?P<code>`[^`]+`
        | https?://\S+ | www\.\S+ | [\w.+-]+@[\w-]+\.[\w.-]*\w            # addresses
        | \d{{1,3}}(?:\.\d{{1,3}}){{3}}(?:/\d+)?                          # IPv4
        | (?<![\w-])--[a-z][\w-]* | (?<!\S)-[a-z](?![\w'-])               # switches
        | [\w-]+(?:/[\w.-]+)*\.(?:{EXTENSIONS})\b | (?<!\S)[~.]{{0,2}}/[\w.-]+(?:/[\w.-]+)*
        | [a-z_][\w.]*\((?!e?s\)) | [a-z_]\w*(?:::|->)\w+ | [a-z\d]*_\w+ | [$@\#][a-z]\w*  # names
        | [a-z]\+\+ | \b[cfj]\#(?!\w) | (?<!\w)\.net\b
      )
    | (?P<iso>\b\d{{4}}-\d{{1,2}}-\d{{1,2}}\b)
    | (?P<time>\b\d{{1,2}}(?::[0-5]\d){{1,2}}(?:\s?[ap]\.?m\b\.?)? | \b\d{{1,2}}\s?[ap]\.?m\b\.?)
    | (?P<number>(?:(?<!\S)[-−])?(?:[$€£¥₹₩]\s?)?
        (?:\d{{1,3}}(?:,\d{{2,3}})+(?:\.\d+)?|\d+(?:[.:/]\d+)*|(?<!\d)\.\d+)
        (?:st|nd|rd|th)?(?P<suffix>[a-z]+\d*|\s?[%€£¥₹°]c?)?)
    | (?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)
    | (?P<end>[.?!:;\n]+)
    | (?P<comma>,)
    """,  # noqa: RUF001 - the apostrophe that keyboards of phones write
    re.IGNORECASE | re.VERBOSE,
)
QUOTED = re.compile(r"“([^”]+)”|«([^»]+)»|\"([^\"]+)\"|(?<![\w'])'([^']{2,})'(?!\w)|‘([^’]{2,})’")  # noqa: RUF001 - the quotes people type


class Token(NamedTuple):
    """A token: its kind (a group of ``TOKEN``), as written, in lower case."""

    kind: str
    text: str
    low: str
    opens: bool = False


def plain(text: str) -> str:
    """Give a text in one form of Unicode, with one kind of apostrophe and of space."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("’", "'")  # noqa: RUF001 - see above
    return text


@lru_cache(maxsize=256)
def tokens_of(text: str) -> tuple[Token, ...]:
    """Give the tokens of a text that :func:`plain` has been through; a question is read thrice."""
    found: list[Token] = []
    opens = True
    for match in TOKEN.finditer(text):
        kind, written = match.lastgroup or "", match[0]
        if kind == "plain":
            kind, written = "word", match["plain"]
        elif kind == "suffix":
            kind = "number"
        found.append(Token(kind, written, written.casefold(), opens))
        opens = kind == "end"
    return tuple(found)
