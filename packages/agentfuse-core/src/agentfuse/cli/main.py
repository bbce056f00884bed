"""``agentfuse``: one command for each thing that is done beside the running program."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from agentfuse import __version__
from agentfuse.cli import cache, route
from agentfuse.errors import AgentFuseError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (cache, route)
"""Modules with ``add_to(subparsers)`` and ``run(args) -> int``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives 0 for done, 1 for a result that is a no, 2 for words that are off."""
    parser = argparse.ArgumentParser(prog="agentfuse", description="AgentFuse's tools.")
    parser.add_argument("--version", action="version", version=f"agentfuse {__version__}")
    subparsers = parser.add_subparsers(metavar="command", required=True)
    for command in COMMANDS:
        command.add_to(subparsers)
    given = parser.parse_args(arguments)
    try:
        code: int = given.run(given)
    except AgentFuseError as error:
        print(f"agentfuse: {error}", file=sys.stderr)
        return 2
    return code
