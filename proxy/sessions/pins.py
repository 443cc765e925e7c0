"""Pins where requests are served in Python: stored names on the way in, shown ones on the way out.

Strategy: what left the hot road comes in by one door, ``punt``, and goes out by two,
``Engine.finish_punt`` and ``Engine.push``. Here stands somebody at all of them. In
between there are only stored names: desk, sessions, fan-outs and tasks do not know that
there are pins.

Keys stand where the command table says. What else names keys in a request, patterns
above all, is in the table ``REQUESTS``; for replies see ``pins_replies``.

Cost: nothing without pins; with them about 2 us a request that is served here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from proxy.cluster.slots import key_slot
from proxy.commands.pins import PinTable
from proxy.commands.spec import Road
from proxy.dataplane.client import Client
from proxy.dataplane.frames import split_frames
from proxy.dataplane.hooks import Punt
from proxy.dataplane.pins import Pins
from proxy.dataplane.tables import Command
from proxy.resp.encode import encode_command
from proxy.sessions.desk import NO_SLOT, Desk
from proxy.sessions.pins_replies import NAMING, show_pushes, show_reply, show_transaction
from proxy.sessions.pins_scripts import BY_SHA, RUNNING, UNKNOWN_SHA, ScriptWrapper

Rewrite = Callable[[PinTable, list[bytes]], list[bytes]]
"""(pins, request) to the request as servers and the proxy's rooms see it."""

# Nothing to store: no row, not let in, miscounted; or the hot road has stored it already.
_AS_SENT = (Punt.UNKNOWN, Punt.GATED, Punt.ARITY, Punt.CROSS_SLOT)

_QUEUED = b"+QUEUED\r\n"
_NUMBER = re.compile(rb"0|-?[1-9]\d{0,17}")  # as the command table reads one
_FLUSHES: list[list[bytes]] = [[], [b"SYNC"], [b"ASYNC"]]
_ENDING_A_QUEUE = frozenset({b"multi", b"discard", b"reset"})
_PUBSUB = b"pubsub"  # the flag of commands whose key specs are about channels
_STREAMS = b"STREAMS"


def _pattern_at(index: int) -> Rewrite:
    def rewrite(pins: PinTable, args: list[bytes]) -> list[bytes]:
        return [
            *args[:index],
            *map(pins.store_pattern, args[index : index + 1]),
            *args[index + 1 :],
        ]

    return rewrite


def _after(words: dict[bytes, Callable[[PinTable, bytes], Iterable[bytes]]], start: int) -> Rewrite:
    """Rewrite what stands after certain words; the words themselves stay."""

    def rewrite(pins: PinTable, args: list[bytes]) -> list[bytes]:
        new = args[:start]
        at = start
        while at < len(args):
            change = words.get(args[at].upper())
            if change is None or at + 1 == len(args):
                new.append(args[at])
                at += 1
                continue
            for changed in change(pins, args[at + 1]):
                new += [args[at], changed]
            at += 2
        return new

    return rewrite


def _store_key_slot(pins: PinTable, args: list[bytes]) -> list[bytes]:
    return [*args[:2], *map(pins.store, args[2:])]


def _store_channels(start: int) -> Rewrite:
    return lambda pins, args: [*args[:start], *map(pins.store_channel, args[start:])]


def _store_channel_patterns(start: int) -> Rewrite:
    return lambda pins, args: [*args[:start], *map(pins.store_channel_pattern, args[start:])]


_SORT = _after(
    {
        b"BY": lambda pins, pattern: [pins.store_sort_pattern(pattern)],
        b"GET": lambda pins, pattern: [pins.store_sort_pattern(pattern)],
        # What follows is no word of SORT, whatever it looks like.
        b"STORE": lambda pins, key: [key],
    },
    start=2,
)

REQUESTS: dict[bytes, Rewrite] = {
    # One line a command: what names keys in it and is no key itself
    b"keys": _pattern_at(1),
    b"scan": _after({b"MATCH": lambda pins, pattern: [pins.store_pattern(pattern)]}, start=2),
    b"sort": _SORT,
    b"sort_ro": _SORT,
    b"subscribe": _store_channels(1),
    b"unsubscribe": _store_channels(1),
    b"psubscribe": _store_channel_patterns(1),
    b"punsubscribe": _store_channel_patterns(1),
    b"pubsub|channels": _store_channel_patterns(2),
    b"pubsub|numsub": _store_channels(2),
    b"client|tracking": _after({b"PREFIX": PinTable.store_prefix}, start=2),
    b"cluster|keyslot": _store_key_slot,
}
"""Commands that name keys by other words than key arguments, and how to rewrite these."""

LEAVING = frozenset(NAMING) | frozenset(REQUESTS)
"""Names of the commands that cannot stay on the hot road while pins exist."""


class PinnedDesk:
    """Stands before the desk while there are pins, and behind it: requests in, replies out.

    Args:
        table: At least one pin.
        desk: Serves by stored names.
    """

    def __init__(self, table: PinTable, desk: Desk) -> None:
        self.table = table
        self._desk = desk
        self._engine = desk.engine
        self._scripts = desk.scripts
        desk.store_found = self._store_found
        self._wrapper = ScriptWrapper(
            table, lambda: self._engine.command_table, lambda: desk.server_name == b"valkey"
        )
        # Where a script without keys finds those that it names itself, if anywhere.
        tags = {pin.tag for pin in table.pins}
        home = table.find(b"") or (table.pins[0] if len(tags) == 1 else None)
        self._home_slot = NO_SLOT if home is None else key_slot(home.tag)
        # Of each client's open request: its row's name, and the client's own words.
        self._open: dict[Client, tuple[bytes, list[bytes]]] = {}
        # What was asked for it, to be forgotten with it.
        self._asked: dict[Client, Client] = {}
        # Since MULTI: the same of what was answered with QUEUED.
        self._queued: dict[Client, list[tuple[bytes, list[bytes]]]] = {}

    # ---- the way in -------------------------------------------------------------

    def punt(
        self, client: Client, reason: Punt, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        """Have a request served by stored names, and show the reply if it is there at once."""
        if command is None or reason in _AS_SENT:
            self._open.pop(client, None)
            reply = self._desk.punt(client, reason, command, args)
        else:
            if command.name in _ENDING_A_QUEUE:
                self._queued.pop(client, None)
            # The words matter only where the reply has names; they may be long.
            self._open[client] = (command.name, args if command.name in NAMING else [])
            stored = self.store_request(command, args)
            self._note_scripts(command.name, args)
            is_script = command.name in RUNNING and self._concerns_pins(args, stored)
            if is_script:
                stored = self._wrap_script(command.name, stored)
            if reason is Punt.ROAD and (is_script or _is_plain(command, args)):
                reply = self._forward(client, command, stored)
            else:
                reply = self._desk.punt(client, reason, command, stored)
        return None if reply is None else self.show_reply(client, reply)

    def client_closed(self, client: Client) -> None:
        """Forget a client that is gone."""
        self._open.pop(client, None)
        self._queued.pop(client, None)
        asked = self._asked.pop(client, None)
        if asked is not None:
            self._engine.forget(asked)
        self._desk.client_closed(client)

    def store_request(self, command: Command, args: list[bytes]) -> list[bytes]:
        """Return a client's request by stored names. Never to be applied twice."""
        rewrite = REQUESTS.get(command.name)
        if rewrite is not None:
            args = rewrite(self.table, args)
        if not command.spec.key_specs or _PUBSUB in command.spec.flags:
            return args
        places = self._engine.command_table.key_places(*args)[1]
        return self._store_at(args, places) if places else _without_keys(command, args)

    def _concerns_pins(self, args: list[bytes], stored: list[bytes]) -> bool:
        """Return whether a script has pinned keys, or none at all and so perhaps pinned ones."""
        return stored != args or not self._engine.command_table.key_places(*args)[1]

    def _note_scripts(self, name: bytes, args: list[bytes]) -> None:
        """Keep the book of scripts up to date from inside a transaction too.

        An EVALSHA after it is queued as EVAL, so its script must be known already.
        """
        if name == b"script|load" and len(args) == 3:
            self._scripts.note(args[2])
        elif name == b"script|flush" and [word.upper() for word in args[2:]] in _FLUSHES:
            self._scripts.forget_all()

    def _wrap_script(self, name: bytes, args: list[bytes]) -> list[bytes]:
        """Return a script's request with the script that shows the names to it."""
        if len(args) < 3:
            return args
        if name not in BY_SHA:
            if args[2].isdigit() and int(args[2]) <= len(args) - 3:
                self._scripts.note(args[1])  # else a server does not even load it
            return [args[0], self._wrapper.wrap(args[1]).body, *args[2:]]
        body = self._scripts.body_of(args[1])
        if body is None:
            # Of another length it is no SHA1, which a server sees before all else.
            is_sha = len(args[1]) == len(UNKNOWN_SHA)
            return [args[0], UNKNOWN_SHA if is_sha else args[1], *args[2:]]
        return [BY_SHA[name], self._wrapper.wrap(body).body, *args[2:]]

    def _store_found(self, args: list[bytes], keys: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Return a request of which a server has said what its keys are, in order."""
        places = []
        start = 1
        for key in keys:
            if key in args[start:]:
                start = args.index(key, start) + 1
                places.append(start - 1)
        return self._store_at(args, places), list(map(self.table.store, keys))

    def _store_at(self, args: list[bytes], places: Iterable[int]) -> list[bytes]:
        stored = list(args)
        for place in set(places):
            stored[place] = self.table.store(args[place])
        return stored

    # ---- what only the names in its reply keep from the hot road ------------------------

    def _forward(self, client: Client, command: Command, args: list[bytes]) -> bytes | None:
        places = self._engine.command_table.key_places(*args)[1]
        slots = {key_slot(args[place]) for place in places}
        if not slots:
            # A number that is none may be one to the server, which then knows a key.
            has_none = command.name in RUNNING and args[2] == b"0"
            slots = {self._home_slot if has_none else NO_SLOT}
        if len(slots) > 1:
            return self._desk.punt(client, Punt.CROSS_SLOT, command, args)
        self._ask(client, encode_command(*args), slots.pop(), command.spec.is_write, 1)
        return None

    def _ask(self, client: Client, frame: bytes, slot: int, is_write: bool, replies: int) -> None:
        def take(data: bytes) -> None:
            self._asked.pop(client, None)
            self._engine.finish_punt(client, split_frames(data)[-1])

        self._asked[client] = self._engine.ask(
            client.lane, frame, take, slot=slot, is_write=is_write, replies=replies
        )

    # ---- the way out (``dataplane.hooks.Shower``) ---------------------------------------

    def show_reply(self, client: Client, reply: bytes) -> bytes:
        """Return the reply to the client's open request by shown names."""
        name, args = self._open.pop(client, (b"", []))
        if reply == _QUEUED:
            self._queued.setdefault(client, []).append((name, args))
        elif name == b"exec":
            queue = self._queued.pop(client, [])
            if any(queued in RUNNING for queued, _ in queue):
                reply = self._wrapper.show_sha(reply)
            return show_transaction(self.table, queue, reply)
        return self._show(name, args, reply)

    def _show(self, name: bytes, args: list[bytes], reply: bytes) -> bytes:
        if name in RUNNING and reply.startswith(b"-"):
            reply = self._wrapper.show_sha(reply)
        return show_reply(self.table, name, args, reply)

    def show_push(self, frames: bytes) -> bytes:
        """Return what a client is told without having asked by shown names."""
        return show_pushes(self.table, frames)

    def forward(
        self, client: Client, frame: bytes, slot: int, is_write: bool, replies: int
    ) -> bool:
        """Take over a request that would be answered past us, if its reply may name keys."""
        name, _ = self._open.get(client, (b"", []))
        if name not in NAMING and name != b"exec":
            return False
        self._ask(client, frame, slot, is_write, replies)
        return True


def _is_plain(command: Command, args: list[bytes]) -> bool:
    """Return whether only pins keep a request from the hot road."""
    if command.name not in LEAVING or command.spec.road not in (Road.FORWARD, Road.SPLIT):
        return False
    word = command.spec.blocking_keyword
    if not word:
        return True
    words = [arg.upper() for arg in args[1:]]
    end = words.index(_STREAMS) if _STREAMS in words else len(words)
    return word not in words[:end]


def _without_keys(command: Command, args: list[bytes]) -> list[bytes]:
    """Return a request without keys as servers understand it too.

    A number of keys such as ``1.5`` is one to a server that looks for the keys, by names
    that nobody has stored, and none when it runs the command. ``x`` is none to both.
    """
    for spec in command.spec.key_specs:
        at = spec.begin_index + spec.keynum_index
        if spec.is_keynum and at < len(args) and not _NUMBER.fullmatch(args[at]):
            return [*args[:at], b"x", *args[at + 1 :]]
    return args


def stand_before(desk: Desk, table: PinTable) -> Desk | PinnedDesk:
    """Return who takes punts: the desk itself, or where there are pins somebody before it."""
    if not table:
        return desk
    pinned = PinnedDesk(table, desk)
    desk.engine.install_pins(Pins(table), pinned)
    return pinned
