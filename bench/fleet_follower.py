"""Another process with a semantic store: says when an entry, named on stdin, has come.

python fleet_follower.py URL DIM; answers each line, an entry's id, with a Unix time.
"""

from __future__ import annotations

import sys
import time

from agentfuse.caches.fleet.streamed import StreamedSemanticStore

# Between two looks at the index, in seconds: what a figure may be too high by.
PAUSE = 0.0001


def main() -> None:
    """Answer until stdin ends."""
    url, dim = sys.argv[1], int(sys.argv[2])
    store = StreamedSemanticStore(url, dim, fingerprint="bench")
    print(len(store), flush=True)
    for line in sys.stdin:
        entry_id = line.strip()
        print("waiting", flush=True)
        while store.entry(entry_id) is None:
            time.sleep(PAUSE)
        print(time.time(), flush=True)
    store.close()


if __name__ == "__main__":
    main()
