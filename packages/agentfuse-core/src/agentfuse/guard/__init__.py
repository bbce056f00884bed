"""Tell apart two questions that a vector takes for one, by the words in them: pure Python, no I/O.

``veto`` names what forbids giving one question the answer of another. ``features_of`` reads a text
once, so that a kept text's reading can be kept beside it.
"""

from __future__ import annotations

from agentfuse.guard.asking import is_about_now, is_follow_up
from agentfuse.guard.features import Features, features_of
from agentfuse.guard.languages import is_english
from agentfuse.guard.rules import RULES, Rule
from agentfuse.guard.vetoes import Level, veto

# Part of every scope's key: raised with each change of the rules or the tables, so that two guards
# never share entries.
VERSION = 1

__all__ = [
    "RULES",
    "VERSION",
    "Features",
    "Level",
    "Rule",
    "features_of",
    "is_about_now",
    "is_english",
    "is_follow_up",
    "veto",
]
