"""Which function begins what a client cannot have on the hot road: Road.SESSION.

Strategy: one map, a line for each command. A handler answers at once, or starts a
task that will, or makes a session of the client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from proxy.control.nodes import Nodes
from proxy.control.pools import Pools
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.tables import Command
from proxy.sessions.session import Session


class Front(Protocol):
    """What handlers see of the desk."""

    engine: Engine
    nodes: Nodes
    pools: Pools

    def start(self, client: Client, work: Awaitable[bytes | None]) -> None:
        """Run a task whose result is the reply to the client's open request.

        None: it was answered otherwise. The task is cancelled when the client goes.
        """

    def begin(self, client: Client, session: Session) -> None:
        """Give the client to a session: all its further requests come to ``take``."""

    def end(self, client: Client) -> None:
        """Let the client back to the hot road; without effect if it has no session."""

    def refuse(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Return the error for a request that no server would begin to run, or None.

        That is: unknown, too few or too many arguments, denied by the settings.
        """

    def serve(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Serve a request as if no session had the client; it has been checked."""


Handler = Callable[[Front, Client, Command, list[bytes]], "bytes | None"]
"""Returns the reply, or None if a task will bring it."""

SESSION_ROADS: dict[bytes, Handler] = {}
