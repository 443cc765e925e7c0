"""A proxy in a process of its own, started as a user starts it."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.cluster.topology import Address
from proxy.embedded.errors import EmbeddedError, ServerRefused
from proxy.embedded.leash import Leash
from proxy.embedded.node import log_tail
from proxy.embedded.ports import LOOPBACK, lease_ports
from proxy.embedded.waiting import wait_for
from proxy.embedded.wire import NodeConnection

START_DEADLINE_S = 60.0  # on a machine that is much too busy
STOP_DEADLINE_S = 30.0
ENV_PREFIX = "SLOTWAY_"


class ProxyProcess:
    """``python -m proxy serve`` in front of some nodes; a context manager that starts and stops it.

    Attributes:
        log: What the process printed; gone after ``stop``.
    """

    def __init__(
        self,
        seeds: Sequence[Address],
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the proxy; nothing runs yet.

        Args:
            seeds: Nodes to learn the cluster from.
            port: Where to listen; None leases one.
            settings: Configuration by ``table.key``; each entry becomes the
                environment variable ``SLOTWAY_<TABLE>__<KEY>``. There is no admin port
                unless ``admin.enabled`` is among them.
            arguments: More arguments of ``serve``.
            tls: How to see whether it answers, if its port speaks TLS.
            environment: Variables that it has besides ours and the settings.
        """
        self._seeds = tuple(seeds)
        self._port = port
        # Without it each would want port 9379.
        self._settings = {"admin.enabled": "false", **(settings or {})}
        self._arguments = tuple(arguments)
        self._tls = tls
        self._variables = dict(environment or {})
        self._cleanup = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self.log = Path()

    @property
    def address(self) -> Address:
        """Where it listens; only after ``start``."""
        return Address(LOOPBACK, self.port)

    @property
    def port(self) -> int:
        """The port of ``address``."""
        assert self._port is not None, "start() comes first"
        return self._port

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            EmbeddedError: The process has ended or was never started.
        """
        if self._process is None or self._process.poll() is not None:
            raise EmbeddedError("the proxy is not running")
        return self._process.pid

    @property
    def command(self) -> list[str]:
        """The command line, as for a terminal."""
        seeds = [word for seed in self._seeds for word in ("--seed", str(seed))]
        listen = ["--listen", str(self.address)]
        return [sys.executable, "-m", "proxy", "serve", *listen, *seeds, *self._arguments]

    def start(self) -> Self:
        """Start the proxy and wait until it answers PING.

        Raises:
            EmbeddedError: It ended, or did not answer in time (``NotInTime``); the message
                shows the end of its log.
        """
        try:
            leash = self._cleanup.enter_context(Leash())
            if self._port is None:
                self._port = self._cleanup.enter_context(lease_ports(1)).ports[0]
            self.log = leash.directory / "proxy.log"
            self._process = leash.start(self.command, log=self.log, env=self._environment())
            wait_for(
                self._answers,
                START_DEADLINE_S,
                lambda: f"an answer from the proxy at {self.address}\n{log_tail(self.log)}",
            )
        except BaseException:
            self._kill()
            raise
        return self

    def stop(self) -> int:
        """Ask the proxy to end (SIGTERM) and return its exit code. May be called again.

        Raises:
            EmbeddedError: It had to be killed, because it did not end in time.
        """
        if self._process is None:
            self._cleanup.close()
            return 0
        self._process.terminate()
        try:
            return self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            tail = log_tail(self.log)
            raise EmbeddedError(
                f"the proxy did not end within {STOP_DEADLINE_S:g} s of SIGTERM\n{tail}"
            ) from None
        finally:
            self._kill()

    def wait(self) -> int:
        """Wait until the process ends by itself, and return its exit code."""
        assert self._process is not None, "start() comes first"
        return self._process.wait()

    def log_size(self) -> int:
        """Return how many bytes the process has printed: a mark for ``tracebacks``."""
        return self.log.stat().st_size if self.log.is_file() else 0

    def tracebacks(self, after: int = 0) -> str:
        """Return the log from the first traceback on; empty if there is none.

        Args:
            after: Skip what was printed before this mark of ``log_size``.
        """
        log = self.log.read_bytes()[after:] if self.log.is_file() else b""
        start = log.find(b"Traceback (most recent call last)")
        return "" if start < 0 else log[start:].decode("utf-8", "replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _environment(self) -> dict[str, str]:
        # The user's own SLOTWAY_ variables would make the outcome depend on the shell.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(ENV_PREFIX)}
        ours = {
            ENV_PREFIX + key.upper().replace(".", "__"): value
            for key, value in self._settings.items()
        }
        return {**inherited, **ours, **self._variables}

    def _answers(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise EmbeddedError(
                f"the proxy ended with exit code {code} while starting\n{log_tail(self.log)}"
            )
        try:
            with NodeConnection(self.address, tls=self._tls) as connection:
                return connection.call("PING") == b"PONG"
        except ServerRefused:
            return True  # it wants a password first
        except EmbeddedError:
            return False

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._cleanup.close()
