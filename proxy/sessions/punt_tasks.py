"""The tasks of punts that have to wait: run beside each other, ended with their clients.

Strategy: a client has one open request at most, so one task. What a task fails with
is an answer too, and a bug met by one client ends only its own task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager

import structlog
import trio

from proxy.control.lane_key import key_of
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.errors import (
    BackendGivenUp,
    BackendProtocolError,
    BackendRefused,
    BackendUnavailable,
    LimitReached,
)
from proxy.resp import replies, replies_lanes, replies_nodes

log = structlog.get_logger()

MAX_WAITING = 1_000_000  # each client has one at most, so this is never reached


class PuntTasks:
    """Runs what brings a reply later.

    Args:
        engine: Where the replies go.
        timeout_s: ``cluster.request_timeout_s``, for the texts that name it.
        on_answered: Called with each client that got its reply.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        timeout_s: float,
        on_answered: Callable[[Client], None],
    ) -> None:
        self._engine = engine
        self.timeout_s = timeout_s
        self._on_answered = on_answered
        self._send, self._receive = trio.open_memory_channel[
            tuple[Client, Awaitable[bytes | None]]
        ](MAX_WAITING)
        self._diverted: dict[Client, list[Awaitable[bytes | None]]] = {}
        self._scopes: dict[Client, trio.CancelScope] = {}

    async def run(self) -> None:
        """Run what is started, for ever."""
        async with trio.open_nursery() as nursery:
            async for client, work in self._receive:
                nursery.start_soon(self._finish, client, work)

    def start(self, client: Client, work: Awaitable[bytes | None]) -> None:
        """Run a task whose result is the reply to the client's open request."""
        if client in self._diverted:
            self._diverted[client].append(work)
        else:
            self._send.send_nowait((client, work))

    @contextmanager
    def diverted(self, client: Client) -> Iterator[list[Awaitable[bytes | None]]]:
        """Collect what is started for a client meanwhile, instead of running it."""
        works = self._diverted[client] = []
        try:
            yield works
        finally:
            del self._diverted[client]

    def is_diverted(self, client: Client) -> bool:
        """Return whether what is started for a client is collected just now."""
        return client in self._diverted

    def forget(self, client: Client) -> None:
        """End the task of a client that is gone."""
        scope = self._scopes.get(client)
        if scope is not None:
            scope.cancel()

    async def outcome(self, client: Client, work: Awaitable[bytes | None]) -> bytes | None:
        """Return what a task brings; what it fails with is an answer too."""
        try:
            return await work
        except Exception as problem:  # noqa: BLE001  a bug met by one client must not end all
            return self._tell(client, _cause(problem))

    def _tell(self, client: Client, problem: Exception) -> bytes:
        match problem:
            case LimitReached():
                return replies.limit_reached(problem.setting.encode(), problem.limit)
            case BackendRefused() if key_of(client.lane).is_own:
                return replies_nodes.not_let_in(None, problem.node, problem.words, self.timeout_s)
            case BackendRefused():
                return replies_lanes.user_refused(problem.node, problem.words)
            case BackendGivenUp():
                return problem.error
            case BackendUnavailable():
                log.debug("no reply from the cluster", problem=str(problem))
                return (
                    replies.lost_write("the cluster")
                    if problem.sent
                    else replies.never_sent(None, self.timeout_s)
                )
            case BackendProtocolError():
                log.warning("a server's answer cannot be read", problem=str(problem))
            case _ if client.is_closed:
                log.debug("a task ended after its client", problem=repr(problem))
            case _:
                log.exception("bug in a task", command=client.last_command, exc_info=problem)
        return replies.internal_error()

    async def _finish(self, client: Client, work: Awaitable[bytes | None]) -> None:
        """Bring a task's answer to its client; end it when the client goes."""
        if client.is_closed:
            if isinstance(work, Coroutine):
                work.close()
            return
        try:
            with trio.CancelScope() as scope:
                self._scopes[client] = scope
                try:
                    reply = await self.outcome(client, work)
                    if reply is not None:
                        self._engine.finish_punt(client, reply)
                        self._on_answered(client)
                finally:
                    if self._scopes.get(client) is scope:
                        del self._scopes[client]
        except Exception as problem:  # noqa: BLE001
            # It failed while it was cancelled: what comes out of that is no plain exception
            # before the scope has taken its own part out of it.
            self._tell(client, _cause(problem))


def _cause(problem: Exception) -> Exception:
    """Return what is wrong when several tasks of one request have failed: the first of it."""
    while isinstance(problem, ExceptionGroup):
        problem = problem.exceptions[0]
    return problem
