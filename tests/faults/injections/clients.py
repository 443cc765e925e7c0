"""Clients that end badly: in the middle of a frame, without reading, or with half a connection."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trial import Scene
from workload.values import keys_in

from proxy.cluster.topology import Address
from proxy.resp.encode import encode_command

RESET = struct.pack("ii", 1, 0)
ROUNDS = 20
REQUESTS = 100
BIG = 1 << 20


@contextmanager
def vanishing_in_a_frame(scene: Scene) -> Iterator[None]:
    """Have clients leave within every kind of frame, with a goodbye and without."""
    key = next(keys_in(scene.cluster.slots_of(scene.victim), "vanished"))
    whole = encode_command("SET", key, "x" * 100)
    big = b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n" % (len(key), key, BIG) + b"x" * (BIG // 2)
    halves = [whole[:1], whole[:5], whole[: len(whole) // 2], whole[:-1], big, b"SET " + key]
    unread = encode_command("PING", "x" * 1000) * 100
    for _ in range(ROUNDS):
        for half in halves:
            _leave(scene.proxy.address, half, _fin)
            _leave(scene.proxy.address, half, _reset)
        _leave(scene.proxy.address, unread, _reset)
    yield
    assert scene.victim.call("EXISTS", key) == 0, "half a SET took effect"


@contextmanager
def half_closed(scene: Scene) -> Iterator[None]:
    """Have clients say that they will send no more, and wait for all their replies."""
    key = next(keys_in(scene.cluster.slots_of(scene.victim), "half"))
    asked = encode_command("ECHO", "all of it") + encode_command("APPEND", key, "x")
    for _ in range(ROUNDS):
        with _connect(scene.proxy.address) as client:
            client.sendall(asked * REQUESTS)
            client.shutdown(socket.SHUT_WR)
            replies = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert replies.count(b"$9\r\nall of it\r\n:") == REQUESTS, "a reply is missing"
    yield
    written = scene.victim.call("STRLEN", key)
    assert written == ROUNDS * REQUESTS, f"{written} of {ROUNDS * REQUESTS} took effect"


def _connect(address: Address) -> socket.socket:
    return socket.create_connection((address.host, address.port), 30.0)


def _leave(address: Address, said: bytes, end: Callable[[socket.socket], None]) -> None:
    with _connect(address) as client:
        client.sendall(said)
        end(client)


def _fin(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
