"""Which function begins what a client cannot have on the hot road: Road.SESSION.

Strategy: one map, a line for each command. A handler answers at once, or starts a
task that will, or makes a session of the client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from proxy.control.hub import Hub
from proxy.control.nodes import AllNodes
from proxy.control.pools import Pools
from proxy.control.scripts import Bringer, ScriptBook
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.tables import Command
from proxy.sessions import blocking_begin, pubsub, wait
from proxy.sessions.across import Across
from proxy.sessions.blocking import Blocking
from proxy.sessions.context import LocalContext
from proxy.sessions.doubtful_scripts import run_doubtful_script
from proxy.sessions.monitor import Monitors, monitor
from proxy.sessions.session import Session
from proxy.sessions.transaction import begin_transaction
from proxy.sessions.transaction_queue import TransactionRules
from proxy.sessions.watch import watch_keys


class Front(LocalContext, Protocol):
    """What handlers see of the desk."""

    engine: Engine
    nodes: AllNodes
    pools: Pools
    transactions: TransactionRules
    hub: Hub
    monitors: Monitors
    subscription_limit: int
    across: Across
    blocking: Blocking
    scripts: ScriptBook
    bringer: Bringer

    def serve_across(self, client: Client, command: Command, args: list[bytes]) -> bytes | None:
        """Serve a request whose keys lie in several slots, and that cannot be split."""

    def start(self, client: Client, work: Awaitable[bytes | None]) -> None:
        """Run a task whose result is the reply to the client's open request.

        None: it was answered otherwise. The task is cancelled when the client goes.
        """

    def begin(self, client: Client, session: Session) -> None:
        """Give the client to a session: all its further requests come to ``take``."""

    def reply_was_made(self, client: Client) -> None:
        """Look whether a client that tracks was given what was not read for it in its order."""

    def end(self, client: Client) -> None:
        """Let the client back to the hot road; without effect if it has no session."""

    def refuse(
        self, command: Command | None, args: list[bytes], client: Client | None = None
    ) -> bytes | None:
        """Return the error for a request that no server would begin to run, or None.

        That is: unknown, too few or too many arguments, denied by the settings.
        """

    def serve(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Serve a request as if no session had the client; it has been checked."""

    async def learn(self, client: Client, args: list[bytes]) -> bool:
        """Have the table made anew if a server knows a command that it lacks.

        Raises:
            BackendUnavailable: No server answers.
        """

    def is_part_of_another(self, client: Client) -> bool:
        """Return whether the request that is being served is part of another (``answer``)."""

    async def answer(self, client: Client, command: Command, args: list[bytes]) -> bytes:
        """Return the reply to a request that is part of another, and not the client's open one."""


Handler = Callable[[Front, Client, Command, list[bytes]], "bytes | None"]
"""Returns the reply, or None if a task will bring it."""

SESSION_ROADS: dict[bytes, Handler] = {
    **dict.fromkeys(blocking_begin.COMMANDS, blocking_begin.serve),
    **dict.fromkeys(wait.COMMANDS, wait.serve),
    b"evalsha": run_doubtful_script,
    b"evalsha_ro": run_doubtful_script,
    b"monitor": monitor,
    b"multi": begin_transaction,
    b"psubscribe": pubsub.subscribe,
    b"publish": pubsub.publish,
    b"pubsub|channels": pubsub.describe,
    b"pubsub|numpat": pubsub.describe,
    b"pubsub|numsub": pubsub.describe,
    b"pubsub|shardchannels": pubsub.describe,
    b"pubsub|shardnumsub": pubsub.describe,
    b"punsubscribe": pubsub.unsubscribe,
    b"spublish": pubsub.publish,
    b"ssubscribe": pubsub.subscribe,
    b"subscribe": pubsub.subscribe,
    b"sunsubscribe": pubsub.unsubscribe,
    b"unsubscribe": pubsub.unsubscribe,
    b"watch": watch_keys,
}
