"""Ask the cluster who may come in: one connection, on which users are tried.

Strategy: whether a password is right is the servers' to say, and they say it in
their own words. All logins of all clients are tried one after the other on one
connection, which serves nothing else: each AUTH on it makes it another user, and
RESET makes it again what a connection is that has just come. So a thousand clients
that log in at once, or one that tries a thousand passwords, open no connection.

Cost: one round trip a login.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import hiredis
import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.control.connection import Credentials, NodeConnection
from proxy.control.retry import backoff_s
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.resp.decode import Value, error_text
from proxy.resp.encode import error
from proxy.tls.sides import NodeTls

log = structlog.get_logger()

# How old the answer may be to the question whether clients need a password.
PROBE_INTERVAL_S = 1.0  # chosen: an operator who sets one sees it at work at once

OK = b"+OK\r\n"


class Doorman:
    """Asks a node about users.

    Args:
        topology: Returns the map in use; None: there is none yet.
        suspect: Called when a node does not answer.
        connect_timeout_s: For a connection, and for an answer on it.
        timeout_s: For a login as a whole.

    Attributes:
        is_open: Whether a connection that does not log in may run commands.
    """

    def __init__(
        self,
        *,
        topology: Callable[[], Topology | None],
        suspect: Callable[[], None],
        tls: NodeTls,
        connect_timeout_s: float,
        timeout_s: float,
    ) -> None:
        self.is_open = False
        self.timeout_s = timeout_s
        self._topology = topology
        self._suspect = suspect
        self._tls = tls
        self.connect_timeout_s = connect_timeout_s
        self._connection: NodeConnection | None = None
        self._lock = trio.Lock()
        self._is_due = trio.Event()
        self._probed_at = 0.0
        self._is_deaf = False

    async def check(self, words: tuple[bytes, ...]) -> bytes:
        """Return what a server says to AUTH with these words: OK, or an error frame.

        Raises:
            BackendUnavailable: No node answers.
        """
        (answer,) = await self._ask([(b"AUTH", *words)])
        return error(error_text(answer)) if isinstance(answer, hiredis.ReplyError) else OK

    def look(self) -> bool:
        """Return whether clients need no password; it is asked again soon if that was long ago."""
        if trio.current_time() > self._probed_at + PROBE_INTERVAL_S:
            self._is_due.set()
        return self.is_open

    async def probe(self) -> None:
        """Ask now whether clients need a password.

        Raises:
            BackendUnavailable: No node answers.
        """
        try:
            _, answer = await self._ask([(b"RESET",), (b"PING",)])
        except BackendUnavailable as problem:
            if not self._is_deaf:
                log.warning("nobody says whether clients need a password", problem=str(problem))
            self._is_deaf = True
            raise
        self._is_deaf = False
        # Any other error is about PING, and says that the connection may at least try.
        is_stranger = isinstance(answer, hiredis.ReplyError) and (
            error_text(answer).startswith(b"NOAUTH")
        )
        if self._probed_at and self.is_open == is_stranger:
            log.info("who may come in has changed", password_needed=is_stranger)
        self.is_open = not is_stranger
        self._probed_at = trio.current_time()

    async def run(self) -> None:
        """Ask again whenever somebody has looked, for ever."""
        try:
            while True:
                await self._is_due.wait()
                self._is_due = trio.Event()
                with suppress(BackendUnavailable):
                    await self.probe()
        finally:
            if self._connection is not None:
                await self._connection.aclose()

    async def _ask(self, commands: list[tuple[bytes | str | int, ...]]) -> list[Value]:
        problem: Exception | None = None
        attempts = 0
        with trio.move_on_after(self.timeout_s):
            async with self._lock:
                while True:
                    try:
                        return await self._try(commands, attempts)
                    except (BackendUnavailable, BackendProtocolError, trio.TooSlowError) as reason:
                        problem = reason
                    self._suspect()
                    await trio.sleep(backoff_s(attempts))
                    attempts += 1
        raise BackendUnavailable(f"no node answers: {problem or 'too slow'}", sent=False)

    async def _try(
        self, commands: list[tuple[bytes | str | int, ...]], attempts: int
    ) -> list[Value]:
        try:
            with trio.fail_after(self.connect_timeout_s):
                return await (await self._connected(attempts)).ask_all(commands)
        except BaseException:
            # Whatever it was (a client that left): an answer may still be to come on this
            # connection, and the next login would take it for its own.
            self._forget()
            raise

    async def _connected(self, attempts: int) -> NodeConnection:
        if self._connection is None:
            self._connection = await NodeConnection.open(
                self._place(attempts),
                Credentials(),
                self._tls,
                connect_timeout_s=self.connect_timeout_s,
            )
        return self._connection

    def _place(self, attempts: int) -> Address:
        topology = self._topology()
        if topology is None or not topology.primaries:
            raise BackendUnavailable("the cluster's map is not known yet", sent=False)
        return topology.primaries[attempts % len(topology.primaries)].address

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
