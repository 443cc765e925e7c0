"""MONITOR: a line for every command that passes the proxy, as a server writes it.

Strategy: the engine has a *tap* which is open only while somebody monitors; it shows
each request after it was sent on its way or answered. What a server does not show is
left out here: what it would not have run, administration, and secrets. Commands
between MULTI and EXEC are shown when EXEC comes, for then they run.

What scripts do inside a server does not pass the proxy, and is not shown.

Cost: nothing while nobody monitors (one comparison a request); else about 10 us a
request (CPython 3.11), and its line for each client that monitors.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from proxy.commands.secrets import hide_secrets
from proxy.commands.spec import Road
from proxy.control.lane_key import key_of
from proxy.control.slow_readers import SlowReaders
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.tables import Command
from proxy.resp import replies
from proxy.resp import replies_pubsub as say
from proxy.sessions.context import REPLY_OFF
from proxy.sessions.listening import Listening, may_run
from proxy.sessions.local import BEFORE_AUTH

if TYPE_CHECKING:
    from proxy.sessions.roads import Front

# Kept of one transaction until EXEC; with more of it, only EXEC is shown.
QUEUED_LIMIT_BYTES = 16 << 20  # chosen
ARGUMENT_BYTES = 40  # what an argument costs beside its bytes

_ENDS_TRANSACTION = frozenset({b"discard", b"exec", b"reset"})
_ESCAPED = re.compile(rb"[^ !#-\[\]-~]")
_ESCAPES = {
    b"\\": b"\\\\",
    b'"': b'\\"',
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
    b"\a": b"\\a",
    b"\b": b"\\b",
}


def monitor(front: Front, client: Client, command: Command, args: list[bytes]) -> bytes | None:
    """MONITOR; a client that monitors already gets no answer, as from a server."""
    if front.is_part_of_another(client):
        return say.no_monitor_in_transaction()
    listening = Listening.of(front, client)
    if listening.monitors:
        return b""
    listening.monitors = True
    front.monitors.join(client)
    listening.settle()
    return replies.OK


class _Queued:
    """What a client has queued since MULTI, as far as it will be shown.

    Attributes:
        requests: Nothing, once EXEC will run nothing of it or it is too much to keep.
    """

    def __init__(self) -> None:
        self.requests: list[list[bytes]] = []
        self._room_bytes = QUEUED_LIMIT_BYTES

    def add(self, args: list[bytes]) -> None:
        """Keep a request until EXEC comes."""
        self._room_bytes -= sum(map(len, args)) + len(args) * ARGUMENT_BYTES
        if self._room_bytes > 0:
            self.requests.append(args)
        else:
            self.spoil()

    def spoil(self) -> None:
        """Show nothing of it any more."""
        self._room_bytes = 0
        self.requests.clear()


class Monitors:
    """The clients that monitor.

    Args:
        was_refused: Whether the settings' guards have just refused a client's last request.
    """

    def __init__(
        self, engine: Engine, slow: SlowReaders, was_refused: Callable[[Client], bool]
    ) -> None:
        self._was_refused = was_refused
        self._engine = engine
        self._slow = slow
        self._clients: dict[Client, None] = {}
        self._queued: dict[Client, _Queued] = {}
        self._addresses: dict[Client, bytes] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def join(self, client: Client) -> None:
        """Show a client every command from now on."""
        self._clients[client] = None
        self._engine.tap = self.show

    def leave(self, client: Client) -> None:
        """Show it no more."""
        self._clients.pop(client, None)
        if not self._clients:
            self._engine.tap = None
            self._queued.clear()
            self._addresses.clear()

    def forget(self, client: Client) -> None:
        """Forget a client that is gone."""
        self._queued.pop(client, None)
        self._addresses.pop(client, None)

    # ---- a request passes ---------------------------------------------------------

    def show(self, client: Client, args: list[bytes]) -> None:
        """Take a request that has just been sent on its way or answered."""
        command = _row(self._engine, args)
        queued = self._queued.get(client)
        if command is None or not self._has_run(client, command, args):
            if queued is not None:
                queued.spoil()
            return
        name = command.name
        if queued is not None and name not in _ENDS_TRANSACTION and name != b"multi":
            queued.add(args)
            return
        shown = [*queued.requests, args] if queued is not None and name == b"exec" else [args]
        if name in _ENDS_TRANSACTION:
            self._queued.pop(client, None)
        elif name == b"multi" and queued is None:
            self._queued[client] = _Queued()
        for each in shown:
            row = _row(self._engine, each)
            if row is not None and b"admin" not in row.spec.flags:
                self._write(client, hide_secrets(row.spec, each))

    def _has_run(self, client: Client, command: Command, args: list[bytes]) -> bool:
        """Return whether a server would have begun to run it."""
        if not command.spec.takes(len(args)) or command.spec.road is Road.DENIED:
            return False
        if client.is_gated and args[0].lower() not in BEFORE_AUTH:
            return False
        return may_run(client, command) and not self._was_refused(client)

    def _write(self, client: Client, args: Sequence[bytes]) -> None:
        address = self._addresses.get(client)
        if address is None:
            address = self._addresses[client] = client.address.encode()
        line = describe(
            args,
            microseconds=time.time_ns() // 1000,
            source=address,
            database=key_of(client.lane).database,
        )
        for each in list(self._clients):
            if each.reply_mode != REPLY_OFF:
                self._engine.push(each, line)
                self._slow.watch(each)


def describe(args: Sequence[bytes], *, microseconds: int, source: bytes, database: int) -> bytes:
    """Return the line of one command.

    Source: ``replicationFeedMonitors`` and ``sdscatrepr`` of Redis 7.0; compared with
    the servers in tests/live/test_monitor.py.
    """
    seconds, rest = divmod(microseconds, 1_000_000)
    words = b" ".join([b'"%b"' % _ESCAPED.sub(_escape, arg) for arg in args])
    return b"+%d.%06d [%d %b] %b\r\n" % (seconds, rest, database, source, words)


def _escape(found: re.Match[bytes]) -> bytes:
    byte = found.group()
    return _ESCAPES.get(byte) or b"\\x%02x" % byte[0]


def _row(engine: Engine, args: list[bytes]) -> Command | None:
    table = engine.command_table
    command = table.get(args[0].lower())
    if command is None or not command.spec.is_container or len(args) == 1:
        return command
    return table.get(command.name + b"|" + args[1].lower())
