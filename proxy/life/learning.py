"""Make the command table from what the servers say about their commands.

Strategy: the first primary that answers is asked, until one does: before that no client
is let in. Later the table is made anew from what a server has said again: because a
module was loaded, or because other commands are to be denied.

Cost: one COMMAND at start, some 100 KB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.commands.own import own_rows
from proxy.commands.spec import CommandSpec
from proxy.commands.table import compile_table, snapshot_table
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.dataplane.tables import CommandTable
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.resp.decode import Value
from proxy.sessions.pins import LEAVING

log = structlog.get_logger()

# Only Valkey since 9.0 knows it; all others have one database in cluster mode.
ASK_DATABASES = ("CONFIG", "GET", "cluster-databases")


class CommandTables:
    """Keeps the command table of one proxy.

    Args:
        engine: Gets the table.
        watcher: Knows whom to ask.
        denied: Names to deny.
        is_pinned: Whether there are pins.

    Attributes:
        denied: What the next table denies.
        is_known: Whether there is a table that a server has told.
        on_table: Called whenever there is a new one.
        on_server: Called with a server's INFO, and what it says of its databases.
    """

    def __init__(
        self, engine: Engine, watcher: Watcher, *, denied: frozenset[bytes], is_pinned: bool
    ) -> None:
        self.denied = denied
        self.is_known = False
        self.on_table: Callable[[], object] = lambda: None
        self.on_server: Callable[[object, object], object] = lambda info, databases: None
        self._engine = engine
        self._watcher = watcher
        self._is_pinned = is_pinned
        self._outdated = trio.Event()

    def install(self, command_reply: object) -> None:
        """Compile what COMMAND answered, and use it.

        Raises:
            BackendProtocolError: It is not in the documented form.
        """
        self._use(compile_table(command_reply, self.denied))

    def deny(self, names: frozenset[bytes]) -> None:
        """Deny these and no others, from the next table on, which is made soon."""
        if names != self.denied:
            self.denied = names
            self._outdated.set()

    async def learn(self) -> None:
        """Ask the servers until one has answered."""
        while not await self._ask_somebody():  # noqa: ASYNC110  the servers call nobody
            await trio.sleep(self._watcher.min_interval_s)

    async def run(self) -> None:
        """Learn again whenever something has changed, for ever."""
        while True:
            await self._outdated.wait()
            self._outdated = trio.Event()
            await self.learn()

    async def _ask_somebody(self) -> bool:
        """Return whether a node has answered; the first that tells its commands is believed."""
        topology = self._watcher.topology
        refusal = None
        for node in topology.primaries if topology else ():
            try:
                info, commands, databases = await self._ask(node.address)
            except (BackendUnavailable, BackendProtocolError) as problem:
                log.warning("no commands", node=str(node.address), problem=str(problem))
                continue
            self.on_server(info, databases)
            try:
                self.install(commands)
            except BackendProtocolError as problem:
                refusal = problem
            else:
                return True
        if refusal is not None:
            log.warning("COMMAND not answered; using Redis 7.0's table", problem=str(refusal))
            self._use(snapshot_table(self.denied))
        return refusal is not None

    async def _ask(self, address: Address) -> list[Value]:
        """Return a node's answers to INFO server, COMMAND, and how many databases it has."""
        return await self._watcher.ask(address, [("INFO", "server"), ("COMMAND",), ASK_DATABASES])

    def _use(self, specs: Iterable[CommandSpec]) -> None:
        table = CommandTable((*specs, *own_rows(self.denied)))
        if self._is_pinned:
            table.pin(LEAVING)
        self._engine.install_commands(table)
        self.is_known = True
        self.on_table()
