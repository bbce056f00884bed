"""The simulated provider: a process of its own that bills each call once and writes it down.

    python chaos/provider.py FILE

It prints its port, and then one line in FILE for each call that reached it: id and nanodollars.
"""

from __future__ import annotations

import socketserver
import sys
from pathlib import Path
from threading import Lock


class Provider(socketserver.ThreadingTCPServer):
    """Bills whatever line it is sent."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, file: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Calls)
        self.book = file.open("ab", buffering=0)
        self.lock = Lock()


class _Calls(socketserver.StreamRequestHandler):
    server: Provider

    def handle(self) -> None:
        """Bill each line, and say so."""
        try:
            for line in self.rfile:
                with self.server.lock:
                    self.server.book.write(line)
                self.wfile.write(b"ok\n")
        except OSError:
            return  # the caller was killed


def main() -> None:
    with Provider(Path(sys.argv[1])) as provider:
        print(provider.server_address[1], flush=True)
        provider.serve_forever()


if __name__ == "__main__":
    main()
