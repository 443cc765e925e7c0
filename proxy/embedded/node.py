"""One redis-server or valkey-server process, and the faults that can befall it, by name."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from proxy.cluster.facts import parse_pairs
from proxy.cluster.topology import Address
from proxy.embedded.errors import EmbeddedError
from proxy.embedded.leash import Leash
from proxy.embedded.ports import LOOPBACK
from proxy.embedded.tls import TlsFiles
from proxy.embedded.waiting import wait_for
from proxy.embedded.wire import NodeConnection
from proxy.resp.decode import Value

START_DEADLINE_S = 60.0  # on a machine that is much too busy
STOP_DEADLINE_S = 30.0
LOG_TAIL_LINES = 15

# Loopback only, and nothing kept on disk.
_COMMON_SETTINGS: Mapping[str, str] = {
    "bind": LOOPBACK,
    "save": "",
    "appendonly": "no",
    "daemonize": "no",
}


class RedisNode:
    """A server process on a port of its own. Make it, then ``start`` it.

    A standalone server or a node of a cluster, as ``settings`` say.
    """

    def __init__(
        self,
        *,
        binary: Path,
        port: int,
        directory: Path,
        leash: Leash,
        settings: Mapping[str, str],
        tls: TlsFiles | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the server; nothing runs yet.

        Args:
            binary: The server program.
            port: Leased by the caller.
            directory: Its own, and there; holds its log and ``nodes.conf``.
            leash: What the process dies with.
            settings: Server configuration, above the few of ``_COMMON_SETTINGS``.
            tls: It speaks TLS with these; None: it does not.
            environment: Variables that it has besides ours.
        """
        self.address = Address(LOOPBACK, port)
        self.directory = directory
        self.log = directory / "server.log"
        self.is_frozen = False
        self._leash = leash
        self._environment = {**os.environ, **environment} if environment else None
        self._tls = tls.context() if tls is not None else None
        place = {"port": str(port)} if tls is None else tls.server_settings(port)
        merged = {**_COMMON_SETTINGS, **place, "dir": str(directory), **settings}
        self._command: list[str | Path] = [binary]
        for key, value in merged.items():
            self._command += [f"--{key}", value]
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"RedisNode({self.address})"

    @property
    def port(self) -> int:
        """The port clients connect to."""
        return self.address.port

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            EmbeddedError: The process has ended or was never started.
        """
        if self._process is None or self._process.poll() is not None:
            raise EmbeddedError(f"{self.address} is not running")
        return self._process.pid

    @property
    def has_process(self) -> bool:
        """Whether there is a process, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_running(self) -> bool:
        """Whether it can be expected to answer: there is a process and it is not frozen."""
        return self.has_process and not self.is_frozen

    def start_nowait(self) -> None:
        """Start the process without waiting until it answers.

        Raises:
            EmbeddedError: It is running already.
        """
        if self.has_process:
            raise EmbeddedError(f"{self.address} is running already")
        self._process = self._leash.start(self._command, log=self.log, env=self._environment)
        self.is_frozen = False

    def wait_until_answering(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Wait until the server answers PING.

        Raises:
            EmbeddedError: The process ended, or the deadline passed (``NotInTime``);
                the message shows the end of its log.
        """
        wait_for(self._answers, deadline_s, lambda: f"an answer from {self.address}\n{self.tail()}")

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.start_nowait()
        self.wait_until_answering()

    def stop(self) -> None:
        """End it in good order (SIGTERM), as a planned shutdown does. No-op if it is not running.

        Raises:
            subprocess.TimeoutExpired: It would not end; it is killed then.
        """
        self.thaw()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_DEADLINE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """Die as a crashed server does: no goodbye, sockets closed by the kernel (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.is_frozen = False

    def freeze(self) -> None:
        """Keep every socket open and answer nothing, as a hung server does (SIGSTOP)."""
        self._signal(signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        """Go on after ``freeze``, with everything that was sent meanwhile. Else a no-op."""
        if self.is_frozen:
            self._signal(signal.SIGCONT)
            self.is_frozen = False

    def restart(self) -> None:
        """Kill it if it runs, start it again with the same identity, wait until it answers.

        Its data is gone, for nothing is kept on disk. A primary restarted
        before its replica took over therefore comes back empty.
        """
        self.kill()
        self.start()

    def relocate(self, address: Address) -> None:
        """Listen at another address from the next start on, and tell the cluster so.

        Args:
            address: An address of this machine; its port and bus port leased by the caller.
        """
        self.address = address
        # Of an option that is given twice, a server takes the last.
        self._command += ["--port", str(address.port), "--bind", address.host]
        self._command += ["--cluster-announce-ip", address.host]

    def connect(self) -> NodeConnection:
        """Open a connection for administrative commands; the caller closes it."""
        return NodeConnection(self.address, tls=self._tls)

    def call(self, *args: bytes | str | int) -> Value:
        """Send one command on a connection of its own; ``NodeConnection.call`` names the errors."""
        with self.connect() as connection:
            return connection.call(*args)

    def call_text(self, *args: bytes | str | int) -> bytes:
        """Like ``call``, for commands whose reply is a string.

        Raises:
            EmbeddedError: It is not; or as ``call``.
        """
        reply = self.call(*args)
        if not isinstance(reply, bytes):
            raise EmbeddedError(f"{self.address} answered {args[0]!r} with {reply!r}")
        return reply

    def info(self, section: str) -> dict[str, str]:
        """Return one section of INFO as names and values."""
        return parse_pairs(self.call_text("INFO", section))

    def tail(self) -> str:
        """Return the end of the log, for messages."""
        return log_tail(self.log)

    def _answers(self) -> bool:
        if not self.has_process:
            raise EmbeddedError(f"{self.address} ended while starting\n{self.tail()}")
        try:
            return self.call("PING") == b"PONG"
        except EmbeddedError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if not self.has_process:
            raise EmbeddedError(f"{self.address} is not running")
        assert self._process is not None
        self._process.send_signal(number)


def log_tail(log: Path) -> str:
    """Return the last lines of a log file, empty if there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:])
