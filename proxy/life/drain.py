"""Stop without breaking off what has begun.

Strategy: the same way for a signal and for POST /drain. ``/readyz`` says no from the
first moment; for a while the proxy may serve on, until whoever spreads the load has
noticed. Then nobody new comes in, and each client is closed as soon as it has what it
asked for; one that is in MULTI, WATCH or a blocking command has a bounded time to come to
an end of that. What is left when the time is over is closed all the same.

Cost: a look at the clients that are left, every ``LOOK_S``.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import structlog
import trio

from proxy.config import Listen
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.sessions.blocking import Blocking

log = structlog.get_logger()

LOOK_S = 0.01


class Drain:
    """Ends the service of one proxy.

    Attributes:
        has_begun: Whether the proxy should get no new clients any more.
    """

    def __init__(self, engine: Engine, blocking: Blocking) -> None:
        self.has_begun = False
        self._engine = engine
        self._blocking = blocking

    async def run(
        self, listeners: Sequence[socket.socket], listen: Listen, *, is_late: bool = False
    ) -> None:
        """Return when all clients are gone, or ``drain_s`` after the listeners are closed.

        Args:
            listeners: Closed here.
            listen: How long each step may take.
            is_late: A successor serves already, and who had to linger has lingered.
        """
        self.has_begun = True
        await trio.sleep(0 if is_late else listen.drain_delay_s)
        for listener in listeners:
            if listener.fileno() >= 0:
                self._engine.stop_listening(listener.fileno())
                listener.close()
        with trio.move_on_after(listen.drain_s):
            with trio.move_on_after(0 if is_late else listen.drain_linger_s):
                await self._let_linger()
            self._engine.drain()
            self._blocking.close_all()
            while self._is_busy():  # noqa: ASYNC110  the engine tells nobody
                await trio.sleep(LOOK_S)
        if self._engine.clients:
            log.warning("clients cut off", clients=len(self._engine.clients))

    def _is_busy(self) -> bool:
        """Whether somebody has not yet been told everything, or not yet heard it."""
        return bool(self._engine.clients or self._engine.leaving or not self._blocking.is_quiet)

    async def _let_linger(self) -> None:
        """Close all who are in the middle of nothing; return when nobody else is left."""
        self._engine.tick(0)  # takes what they have sent by now
        lingering = list(self._engine.clients.values())
        while lingering := [client for client in lingering if not self._let_go(client)]:  # noqa: ASYNC110  as below
            await trio.sleep(LOOK_S)

    def _let_go(self, client: Client) -> bool:
        """Close a client as soon as it has what it asked for, unless it is to go on."""
        if client.is_closed:
            return True
        state = client.state
        if state.queue is not None or state.watch is not None or state.wait is not None:
            return False
        # Of one that has asked for nothing, nothing would come that has it closed.
        self._engine.push(client, b"")
        client.close_after_reply()
        return True
