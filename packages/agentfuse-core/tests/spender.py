"""A process that spends one limit through slices until it is refused: run by its path.

python spender.py URL LIMIT COST MOST, in nanodollars; says what it has spent, and waits for a line
before it ends.
"""

from __future__ import annotations

import json
import sys
from itertools import count

from agentfuse.ledgers.slices import SlicedLedger
from agentfuse.runtime.now import run_now
from agentfuse.tickets import Amounts, Lease, Limit


def main() -> None:
    url, limit, cost, most = sys.argv[1], *map(int, sys.argv[2:5])
    money, shared = Amounts(cost), Limit("run", "shared", limit)
    spent = refused = 0
    with SlicedLedger.from_url(url) as ledger:
        for number in count():
            name = f"{sys.argv[5]}-{number}"
            lease = Lease(id=name, amount=money, estimate=money, limits=(shared,), ttl=60)
            if spent >= most or not isinstance(run_now(ledger.reserve(lease)), Lease):
                refused = int(spent < most)
                break
            spent += run_now(ledger.settle(name, money)).booked.nanodollars
        sys.stdout.write(json.dumps({"spent": spent, "refused": refused}) + "\n")
        sys.stdout.flush()
        sys.stdin.readline()


if __name__ == "__main__":
    main()
