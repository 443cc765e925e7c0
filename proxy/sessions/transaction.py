"""MULTI: queue a client's commands, and run them as a whole at EXEC.

Strategy: nothing is sent before EXEC. A command that is queued gets what a server
would say to it then, from the table (``transaction_queue``); EXEC makes blocks of the
queue (``transaction_plan``) and has them run (``transaction_run``). So a redirect or a
failover before EXEC concerns nobody, one after it is the engine's business as for any
request, and a transaction holds no connection unless keys are watched.

What the servers differ in is read from their own table: Valkey flags commands that it
does not take inside MULTI, and such an error aborts the transaction; Redis 7.0 answers
MULTI and WATCH with an error that does not.

Cost: about 10 us a queued command (CPython 3.11): a punt, and its row's checks; EXEC
30 us more than a plain request.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from proxy.commands.spec import Road
from proxy.dataplane.client import Client
from proxy.dataplane.tables import Command
from proxy.errors import BackendUnavailable
from proxy.resp import replies
from proxy.resp import replies_transactions as say
from proxy.resp.decode import decode
from proxy.resp.encode import array
from proxy.sessions.context import LocalContext, speaks_valkey
from proxy.sessions.transaction_plan import Block, plan
from proxy.sessions.transaction_queue import ScriptNames, TransactionQueue
from proxy.sessions.transaction_run import COMMANDS_A_TURN, TransactionRun, receivers_of

if TYPE_CHECKING:
    from proxy.sessions.roads import Front

# Valkey flags it; Redis 7.0 takes it, and then breaks off in the middle of EXEC's array.
_NEVER_QUEUED = frozenset({b"client|reply"})


def begin_transaction(
    front: Front, client: Client, command: Command, args: list[bytes]
) -> bytes | None:
    """MULTI, outside a transaction."""
    front.begin(client, Transaction(front, client))
    return replies.OK


class Transaction:
    """A client between MULTI and EXEC (``session.Session``)."""

    def __init__(self, front: Front, client: Client) -> None:
        self._front = front
        self._client = client
        self._watch = client.state.watch
        self._watched_slot = None if self._watch is None else self._watch.slot
        self._queue = TransactionQueue(
            front.transactions,
            self._watched_slot,
            on_limit=front.engine.meter.note_limit,
        )
        client.state.queue = self._queue
        self._asker: Client | None = None

    def take(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Return the reply to what the client sent after MULTI."""
        name = b"" if command is None else command.name
        match name:
            case b"exec":
                return self._exec(args)
            case b"discard" if len(args) == 1:
                self._leave()
                return replies.OK
            case b"reset" if len(args) == 1:
                self._leave()
                return self._front.serve(client, command, args)
            case b"quit":
                return self._front.serve(client, command, args)
        if command is None:
            self._front.start(client, self._queue_unknown(args))
            return None
        error = misplaced(command, args)
        if error is not None:
            return error
        error = refusal_in_transaction(self._front, command, args, self._client)
        if error is not None:
            return self._queue.refuse(error)
        if command.spec.road is Road.ASK_SERVER:
            self._front.start(client, self._queue_by_getkeys(command, args))
            return None
        _, places = self._front.engine.command_table.key_places(*args)
        return self._queue.add(command.spec, args, places)

    def closed(self) -> None:
        """Forget a transaction whose client is gone; if EXEC was sent, it may run."""
        if self._asker is not None:
            self._front.engine.forget(self._asker)

    # ---- what only a server can tell ----------------------------------------------------------

    async def _queue_unknown(self, args: list[bytes]) -> bytes:
        """Queue a command of a module that was loaded after the table was made, if it is one."""
        command: Command | None = None
        with suppress(BackendUnavailable):
            if await self._front.learn(self._client, args):
                command, _ = self._front.engine.command_table.key_places(*args)
        if command is None:
            return self._queue.refuse(replies.unknown_command(args[0], args[1:]))
        error = refusal_in_transaction(self._front, command, args, self._client)
        if error is not None:
            return self._queue.refuse(error)
        return await self._queue_by_getkeys(command, args)

    async def _queue_by_getkeys(self, command: Command, args: list[bytes]) -> bytes:
        """Queue a command of which only a server knows the keys."""
        reply = await self._front.nodes.ask(
            self._client.lane, -1, b"COMMAND", b"GETKEYS", *args, is_write=False
        )
        keys = decode(reply) if reply.startswith(b"*") else []
        assert isinstance(keys, list)
        places = [args.index(key, 1) for key in keys if isinstance(key, bytes)]
        return self._queue.add(command.spec, args, places)

    # ---- the end -----------------------------------------------------------------------------

    def _leave(self) -> None:
        """End the transaction, and the watch with it."""
        self._front.end(self._client)
        self._client.state.queue = None
        if self._watch is not None:
            self._watch.release()
            self._client.state.watch = None

    def _exec(self, args: list[bytes]) -> bytes | None:
        if len(args) != 1:
            self._leave()
            return replies.wrong_arity(b"exec")
        if self._queue.is_dirty:
            self._leave()
            return say.exec_aborted()
        entries = self._queue.entries
        if not entries and self._watch is None:
            self._leave()
            return array([])
        if self._watch is None and len(entries) <= COMMANDS_A_TURN:
            phases = plan(list(map(ScriptNames(self._front.scripts).name, entries)))
            block = phases[0].only_block if len(phases) == 1 else None
            if block is not None and not receivers_of(self._front.hub.book, entries):
                self._send(block)
                return None
        self._front.end(self._client)
        self._client.state.watch = None
        self._client.insists = False
        run = TransactionRun(self._front, self._client, entries, self._watch)
        self._front.start(self._client, run.run())
        return None

    def _send(self, block: Block) -> None:
        """Run a transaction that is one block: no task, and the reply goes as it came."""

        def take(data: bytes) -> None:
            self._asker = None
            self._front.end(self._client)
            self._client.state.queue = None
            self._front.engine.finish_punt(self._client, block.outcome(data))
            self._front.reply_was_made(self._client)

        self._asker = self._front.engine.ask(
            self._client.lane,
            block.frame,
            take,
            slot=block.slot,
            is_write=block.is_write,
            replies=block.replies,
            number=self._client.id,
        )


# ---- what a server checks before it queues -------------------------------------------------


class Rules(LocalContext, Protocol):
    """What these checks need of the desk."""

    def refuse(
        self, command: Command | None, args: list[bytes], client: Client | None = None
    ) -> bytes | None:
        """Return the error for a request that no server would begin to run, or None."""


def misplaced(command: Command, args: list[bytes]) -> bytes | None:
    """Return Redis's error for MULTI and WATCH here, which leaves the transaction alone."""
    if command.name not in (b"multi", b"watch"):
        return None
    if b"no_multi" in command.spec.flags or not command.spec.takes(len(args)):
        return None
    return say.nested_multi() if command.name == b"multi" else say.watch_inside_multi()


def refusal_in_transaction(
    rules: Rules, command: Command, args: list[bytes], client: Client | None = None
) -> bytes | None:
    """Return the error for a command that a server would not queue, or None.

    Args:
        client: Whose transaction it is; None: the settings' guards are not asked.
    """
    spec = command.spec
    if spec.takes(len(args)):
        if spec.is_container and len(args) > 1:
            return replies.unknown_subcommand(args[0], args[1])
        if b"no_multi" in spec.flags or spec.name in _NEVER_QUEUED:
            return say.not_in_transaction(spec.name, names_it=speaks_valkey(rules))
        if spec.name.startswith(b"cluster|") and not rules.expose_cluster:
            return None  # the server's answer to these is an element of EXEC's array
    return rules.refuse(command, args, client)
