"""Which kind of wait a blocking command is.

Strategy: keys of one slot are waited for at that slot's primary (``blocking_slot``),
elements of several slots by news of their keys (``blocking_pops``, ``blocking_moves``),
streams of several slots at each slot's primary at once (``blocking_streams``).

What no server takes is sent to one in a form that stays in one slot, for its words; a
server that is asked about several slots would speak of these first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from proxy.cluster.slots import key_slot
from proxy.dataplane.client import Client
from proxy.dataplane.tables import Command
from proxy.resp import replies_across
from proxy.resp.encode import encode_command
from proxy.sessions import blocking_words as words
from proxy.sessions.blocking import Wait
from proxy.sessions.blocking_moves import MoveWait
from proxy.sessions.blocking_pops import PopsWait
from proxy.sessions.blocking_slot import SlotWait
from proxy.sessions.blocking_streams import StreamsWait
from proxy.sessions.context import speaks_valkey

if TYPE_CHECKING:
    from proxy.sessions.roads import Front

COMMANDS = words.POPS | words.MOVES | words.STREAMS
NO_SLOT = -1


def serve(desk: Front, client: Client, command: Command, args: list[bytes]) -> bytes | None:
    """Begin a blocking command."""
    name, taken_at = command.name, trio.current_time()
    _, places = desk.engine.command_table.key_places(*args)
    keys = [args[place] for place in places]
    slots = list(dict.fromkeys(map(key_slot, keys))) or [NO_SLOT]
    if name in words.STREAMS:
        streams = words.parse_streams(args)
        if streams is not None and streams.block is None and len(slots) > 1:
            # BLOCK was another option's argument: a group's name.
            return desk.serve_across(client, command, args)
        if streams is None or streams.block is None:
            # The same, or a server has something against it.
            desk.start(client, _forward(desk, client, command, args, slots[0]))
            return None
        if not keys:
            # XREADGROUP without GROUP: said of one stream, a server says the same.
            slots = [key_slot(args[streams.first_key])]
            args = _in_one_slot(name, args)
    if len(slots) > 1 and words.timeout_s(name, args) is None:
        args = _in_one_slot(name, args)
        slots = slots[:1]
    wait = _wait_for(desk, client, name, args, keys, slots, taken_at)
    if isinstance(wait, bytes):
        return wait
    desk.start(client, desk.blocking.attend(client, name, args, wait))
    return None


def _wait_for(
    desk: Front,
    client: Client,
    name: bytes,
    args: list[bytes],
    keys: list[bytes],
    slots: list[int],
    taken_at: float,
) -> Wait | bytes:
    """Return the wait, or the error for one that the settings do not allow."""
    room = desk.blocking
    lane = room.lane_of(client)
    if len(slots) == 1:
        return SlotWait(room, lane, slot=slots[0], name=name, args=args, taken_at=taken_at)
    if name in words.STREAMS:
        return StreamsWait(room, room.nodes, lane, name=name, args=args, taken_at=taken_at)
    if name in words.MOVES:
        found = find_move(desk, name, args)
        if isinstance(found, bytes):
            return found
        move = partial(desk.across.serve, lane, *found)
        return MoveWait(room, lane, name=name, args=args, move=move, taken_at=taken_at)
    looks_again = speaks_valkey(desk) or not desk.server_version.startswith((b"6.", b"7.0."))
    return PopsWait(
        room, lane, name=name, args=args, keys=keys, taken_at=taken_at, looks_again=looks_again
    )


def find_move(desk: Front, name: bytes, args: list[bytes]) -> tuple[Command, list[bytes]] | bytes:
    """Return the move between slots that does at once what BLMOVE waits for, or its refusal."""
    at_once = words.moving_at_once(name, args)
    row = desk.engine.command_table.get(at_once[0].lower())
    if row is None or desk.across.refuse(row, at_once) is not None:
        return replies_across.cross_slot_by_setting(name, needed=b"all")
    return row, at_once


async def _forward(
    desk: Front, client: Client, command: Command, args: list[bytes], slot: int
) -> None:
    """Let a server answer what does not block."""
    desk.engine.forward_punt(client, encode_command(*args), slot, command.spec.is_write)


def _in_one_slot(name: bytes, args: list[bytes]) -> list[bytes]:
    """Return a command with one slot of which a server says the same as of ``args``."""
    if name in words.POPS:
        return words.for_one_key(name, args, words.first_key(name, args))
    if name in words.MOVES:
        return [args[0], args[1], args[1], *args[3:]]
    streams = words.parse_streams(args)
    assert streams is not None
    return words.only_streams(args, streams, [0] * streams.count, blocking=True)
