"""From lines to what must run as a whole: a command, or a transaction, of a client.

Strategy: MONITOR shows commands one after the other, of all clients. Each connection has
a state: its name, what it watches, what it has run since MULTI (servers show queued
commands when EXEC runs them, between MULTI and EXEC). What a script did follows the
line of the script itself at once, so it belongs to the last command shown.

Connections are known by their address. There is no line for a connection that ends, so
at most ``CONNECTION_LIMIT`` of them are remembered, the latest.

Cost: about 3 us a line beside the parser's (CPython 3.11, CI machine).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.advise.monitor_log import Line
from proxy.advise.printing import printable
from proxy.commands.spec import CommandSpec
from proxy.dataplane.tables import CommandTable

CONNECTION_LIMIT = 20_000  # chosen: twice Redis's default maxclients
TRANSACTION_LIMIT = 10_000  # commands of one transaction that are looked at
WATCH_LIMIT = 1_000  # keys of one connection
TOUCHED_LIMIT = 1_000  # keys that one run of a script touches beside those it was given

# A value is not looked at, and the words of a command are short.
ARGUMENT_LIMIT_BYTES = 100

# Their second word is the script itself, and its SHA1 is what one looks for.
CARRIERS = frozenset({b"eval", b"eval_ro"})
SCRIPTS = frozenset({b"eval", b"eval_ro", b"evalsha", b"evalsha_ro", b"fcall", b"fcall_ro"})


@dataclass(frozen=True, slots=True)
class Client:
    """Whose traffic it is: all connections of a host that have the same name."""

    host: str
    name: str


@dataclass(slots=True)
class Call:
    """One command of a client, with its row of the command table."""

    spec: CommandSpec | None
    """None: the table has no such command."""
    args: tuple[bytes, ...]
    places: tuple[int, ...]
    """Which arguments are keys."""
    database: int
    touched: list[bytes] = field(default_factory=list)
    """Keys that a script touched and was not given."""

    @property
    def keys(self) -> list[bytes]:
        """The keys that it was given."""
        return [self.args[place] for place in self.places]

    @property
    def name(self) -> bytes:
        """The command's name in the table; as it was sent, in lower case, if it is not there."""
        return self.args[0].lower() if self.spec is None else self.spec.name


@dataclass(slots=True)
class Unit:
    """What must run as a whole."""

    client: Client
    calls: list[Call]
    is_transaction: bool = False
    watched: tuple[bytes, ...] = ()
    """Keys that the client watched when it came."""


@dataclass(slots=True)
class _Connection:
    client: Client
    queue: list[Call] | None = None
    watched: dict[bytes, None] = field(default_factory=dict)


@dataclass(slots=True)
class Gaps:
    """What could not be followed."""

    unknown_beginnings: int = 0
    """EXEC without MULTI: the log begins in the middle of a transaction."""
    forgotten: int = 0
    """Connections given up in the middle of a transaction, because there were too many."""
    unseen: int = 0
    """Commands of transactions longer than ``TRANSACTION_LIMIT``."""
    orphans: int = 0
    """Commands of a script whose own line was not there."""


class Conversation:
    """Follows all clients of a server.

    Args:
        table: The server's commands.

    Attributes:
        gaps: What could not be followed.
    """

    def __init__(self, table: CommandTable) -> None:
        self._table = table
        self._connections: OrderedDict[str, _Connection] = OrderedDict()
        self._script: Call | None = None
        self._held: Unit | None = None
        self.gaps = Gaps()

    def introduce(self, address: str, name: str) -> None:
        """Note the name of a connection that was there before the log began."""
        self._connection(address).client = Client(host_of(address), name)

    def take(self, line: Line) -> Iterator[Unit]:
        """Follow one line, and give what is whole now."""
        if line.is_script:
            self._note_script(line)
            return
        yield from self.end()
        call = self._call(line)
        connection = self._connection(line.address)
        if call.name in SCRIPTS:
            self._script = call
        unit = self._unit(connection, call)
        if unit is not None and call is self._script:
            self._held = unit  # what it touches is in the lines that follow
        elif unit is not None:
            yield unit

    def end(self) -> Iterator[Unit]:
        """Give what was held back for lines that have not come."""
        self._script = None
        held, self._held = self._held, None
        if held is not None:
            yield held

    def interrupt(self) -> None:
        """Forget what is open: lines are missing from here on."""
        self._script = None
        for connection in self._connections.values():
            connection.queue = None
            connection.watched.clear()

    # ---- a connection's state -----------------------------------------------------------

    def _unit(self, connection: _Connection, call: Call) -> Unit | None:
        match call.name:
            case b"multi":
                connection.queue = []
                return None
            case b"exec":
                return self._executed(connection)
            case b"discard":
                connection.queue = None
                connection.watched.clear()
                return None
            case b"reset":
                connection.queue = None
                connection.watched.clear()
                connection.client = Client(connection.client.host, "")
            case b"quit":
                connection.queue = None
                connection.watched.clear()
            case b"unwatch" if connection.queue is None:
                connection.watched.clear()
            case b"client|setname" if len(call.args) > 2:
                self._rename(connection, call.args[2])
            case b"hello":
                self._take_hello(connection, call.args)
        if connection.queue is not None:
            self._queue(connection.queue, call)
            return None
        unit = Unit(connection.client, [call], watched=tuple(connection.watched))
        if call.name == b"watch":
            room = WATCH_LIMIT - len(connection.watched)
            connection.watched.update(dict.fromkeys(call.keys[: max(room, 0)]))
        return unit

    def _executed(self, connection: _Connection) -> Unit | None:
        queue, connection.queue = connection.queue, None
        watched = tuple(connection.watched)
        connection.watched.clear()
        if queue is None:
            self.gaps.unknown_beginnings += 1
            return None
        return Unit(connection.client, queue, is_transaction=True, watched=watched)

    def _queue(self, queue: list[Call], call: Call) -> None:
        if len(queue) < TRANSACTION_LIMIT:
            queue.append(call)
        else:
            self.gaps.unseen += 1

    def _take_hello(self, connection: _Connection, args: tuple[bytes, ...]) -> None:
        for place in range(2, len(args) - 1):
            if args[place].upper() == b"SETNAME":
                self._rename(connection, args[place + 1])

    def _rename(self, connection: _Connection, name: bytes) -> None:
        shown = printable(name) if name else ""
        connection.client = Client(connection.client.host, shown)

    def _connection(self, address: str) -> _Connection:
        known = self._connections.get(address)
        if known is not None:
            self._connections.move_to_end(address)
            return known
        if len(self._connections) >= CONNECTION_LIMIT:
            _, oldest = self._connections.popitem(last=False)
            self.gaps.forgotten += oldest.queue is not None
        made = self._connections[address] = _Connection(Client(host_of(address), ""))
        return made

    # ---- commands -------------------------------------------------------------------------

    def _call(self, line: Line) -> Call:
        command, places = self._table.key_places(*line.args)
        if line.is_cut:
            # Of what is not all there, nobody knows what it was.
            places = [place for place in places if place < len(line.args) - 1]
        spec = None if command is None else command.spec
        args = line.args
        if max(map(len, args)) > ARGUMENT_LIMIT_BYTES:
            args = _shortened(args, frozenset(places), is_script=line.args[0].lower() in CARRIERS)
        return Call(spec, args, tuple(places), line.database)

    def _note_script(self, line: Line) -> None:
        script = self._script
        if script is None:
            self.gaps.orphans += 1
            return
        _, places = self._table.key_places(*line.args)
        given = script.keys
        for place in places:
            key = line.args[place]
            room = len(script.touched) < TOUCHED_LIMIT
            if key not in given and key not in script.touched and room:
                script.touched.append(key)


def _shortened(
    args: tuple[bytes, ...], keys: frozenset[int], *, is_script: bool
) -> tuple[bytes, ...]:
    """Return a command with its long values cut; keys stay whole."""
    short = [arg if place in keys else arg[:ARGUMENT_LIMIT_BYTES] for place, arg in enumerate(args)]
    if is_script and len(args) > 1:
        short[1] = sha1_of(args[1])
    return tuple(short)


def sha1_of(script: bytes) -> bytes:
    """Return a script's name for EVALSHA, marked as such."""
    return b"sha1:" + hashlib.sha1(script, usedforsecurity=False).hexdigest().encode()


def host_of(address: str) -> str:
    """Return the host of ``host:port``; of ``unix:path`` all of it."""
    if address.startswith("unix:"):
        return address
    host, _, _ = address.rpartition(":")
    return host.strip("[]") or address
