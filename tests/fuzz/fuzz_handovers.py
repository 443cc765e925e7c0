"""Target: what the older process says while a newer one takes its place.

Judged: the newer one takes what is whole and refuses the rest in the two ways that it names;
no descriptor is left over, whatever came beside which message, and every client that was taken is
one: it is in the engine under its number, and is answered.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket

import trio
from fuzz_board import Board
from hostile_wire import NUMBERS, changed
from lots import Lots

from proxy.control.successions import Successions
from proxy.dataplane.frames import ReplyStream
from proxy.dataplane.lane import Lane
from proxy.errors import ConfigError
from proxy.life.handover_wire import PROTOCOL
from proxy.life.predecessor import VARIABLE, Predecessor
from proxy.resp.encode import encode_command
from proxy.sessions.moving import Arrivals
from proxy.sessions.pause import Pause

RECORD: dict[str, object] = {
    "id": 100, "resp": 2, "credentials": None, "database": 0, "user": "default",
    "authenticated": True, "gated": False, "name": "", "lib_name": "", "lib_ver": "",
    "capabilities": "", "no_evict": False, "no_touch": False, "waited_s": 0.0, "reply_mode": 0,
    "last_command": "get", "is_unix": False, "told": None, "created_s": 1.0, "last_active_s": 2.0,
    "commands": 3, "bytes_in": 4, "bytes_out": 5,
}  # fmt: skip
ODD: list[object] = [
    None, True, False, 0, 1, 2, 3, -1, 1 << 31, 1 << 62, 1 << 63, 1 << 64, 10**400, -(1 << 70), 1.5,
    1e308, float("inf"), float("nan"), "", "x", "\xff", "\u0100", "\ud800", [], ["a"], ["a", "b"],
    ["a", "b", "c"], [1, 2], {}, {"a": 1}, "default", "get", "\x00",
]  # fmt: skip
PACKET_BYTES = 64 * 1024
End = tuple[socket.socket, bytes]
"""A client's socket, and what it has still to send."""
REQUEST = encode_command(b"GET", b"{1}alice")


class House:
    """Stands for what a client finds at its new place: one user, one lane for each protocol."""

    is_passed = False

    def __init__(self, lane: Lane) -> None:
        self.reads = self
        self._lane = lane

    def has_user(self, user: bytes) -> bool:
        return user == b"default"

    def of(self, user: bytes) -> str:
        return "primary"

    def lane(self, key: object) -> Lane:
        return self._lane

    def settle(self, client: object) -> None:
        """A client may send anything."""


def take_over(data: bytes) -> None:
    """Say everything that the older process says, with changes, and see what becomes of it."""
    before = len(os.listdir("/proc/self/fd"))
    trio.run(_take_over, Lots(data))
    # Fewer, if something of an earlier test was collected meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= before, "a descriptor is left over"


async def _take_over(lots: Lots) -> None:
    board = Board(lots)
    older, newer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    older.setblocking(False)
    ends: list[End] = []
    try:
        _say(lots, older, ends)
        older.shutdown(socket.SHUT_WR)
        found = None
        with contextlib.suppress(ConfigError):
            found = await Predecessor.find({VARIABLE: str(newer.detach())})
        if found is not None:
            await _go_on(found, board)
        _judge(board, ends)
    finally:
        older.close()
        newer.close()
        board.close()
        for end, _ in ends:
            end.close()


async def _go_on(found: Predecessor, board: Board) -> None:
    house = House(board.lane)
    # The stand-in has of each what Arrivals asks of it.
    arrivals = Arrivals(board.engine, house, house, house)  # type: ignore[arg-type]
    inherited = found.inherited
    try:
        with contextlib.suppress(ConfigError):
            board.engine.next_client_id = await found.step_back(Successions(), Pause(board.engine))
            await found.take_clients(arrivals)
    finally:
        for each in (*inherited.listeners, *inherited.tls_listeners, *inherited.admin_listeners):
            each.close()


def _judge(board: Board, ends: list[End]) -> None:
    """Have everybody who was taken ask for something."""
    taken = dict(board.engine.clients)
    for number, client in taken.items():
        assert client.id == number
        assert client.lane is board.lane
    for end, rest in ends:
        with contextlib.suppress(OSError):
            end.send(rest)
    board.finish()
    for end, _ in ends:
        frames = b""
        with contextlib.suppress(OSError):
            frames = end.recv(PACKET_BYTES)
        # What an other message was taken for may be a request, too.
        assert len(b"".join(ReplyStream().feed(frames))) == len(frames), frames
        assert frames.count(b"alice") <= 1, frames


# ---- what the older one says ---------------------------------------------------------------


def _say(lots: Lots, older: socket.socket, ends: list[End]) -> None:
    hello = {"protocol": PROTOCOL, "version": "x", "listeners": 1, "beside": 0, "made_here": 0}
    _packet(lots, older, {"kind": "hello", **hello}, _listeners(lots))
    go: dict[str, object] = {"kind": "go", "next_client_id": 7}
    if lots.flag():
        go |= {"taken_over_s": 1.5, "gone": ["127.0.0.1", 7001]}
    _packet(lots, older, go, _extra(lots))
    for number in range(lots.below(4)):
        record = RECORD | {"id": 1000 + number}
        if lots.flag():
            record[lots.choice(list(record))] = lots.choice(ODD)
        if lots.rarely():
            record[lots.choice([*record, "more"])] = lots.choice(ODD)
            record.pop(lots.choice(list(record)))
        packed = json.dumps(record).encode()
        packed = changed(lots, packed) if lots.rarely() else packed
        unread = REQUEST[: lots.below(len(REQUEST) + 1)]
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        ends.append((ours, REQUEST[len(unread) :]))
        message = {"kind": "client", "record": len(packed), "unread": len(unread)}
        _packet(lots, older, message, [theirs, *_extra(lots)])
        for piece in (packed, unread):
            if piece and not lots.rarely():
                _send(older, piece, [])
    _packet(lots, older, {"kind": "end"}, _extra(lots))


def _listeners(lots: Lots) -> list[socket.socket]:
    made = []
    for _ in range(lots.below(3) if lots.rarely() else 1):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(b"")
        listener.listen(1)
        made.append(listener)
    return made


def _extra(lots: Lots) -> list[socket.socket]:
    return list(socket.socketpair()) if lots.rarely() else []


def _packet(
    lots: Lots, older: socket.socket, message: dict[str, object], beside: list[socket.socket]
) -> None:
    if lots.rarely():
        message[lots.choice(list(message))] = lots.choice(ODD)
    data = json.dumps(message).encode()
    if lots.rarely():
        data = lots.choice([
            changed(lots, data), b"[" * 20_000, b"\xff", b"null", lots.choice(NUMBERS), b"{}",
            data[:-1],
        ])  # fmt: skip
    _send(older, data, beside)


def _send(older: socket.socket, data: bytes, beside: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        socket.send_fds(older, [data], [each.fileno() for each in beside])
    for each in beside:
        each.close()
