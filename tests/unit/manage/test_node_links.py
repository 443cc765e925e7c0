"""A connection to one node: it is asked for once, and free again whatever becomes of a call."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from proxy.cluster.addresses import Address
from proxy.manage.errors import NodeUnreachable
from proxy.manage.link import Link
from proxy.manage.links import Command, Links, Login


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that is connected to and says nothing, as one that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def connections_to(listener: socket.socket) -> int:
    """Return how many there are in the backlog, and take them from it."""
    listener.setblocking(False)
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize("login", [Login(), Login(password="s3cret")])
def test_a_node_that_hangs_is_connected_to_once(listener: socket.socket, login: Login) -> None:
    """Twice would be twice the timeout."""
    link = Link(Address(*listener.getsockname()), login, timeout_s=0.1)

    with pytest.raises(NodeUnreachable, match=r"(?i)time"):
        link.call("PING")

    assert connections_to(listener) == 1


class Interrupted(list[str]):
    """A command at which somebody presses Ctrl-C."""

    def __iter__(self) -> Iterator[str]:
        raise KeyboardInterrupt


def test_ctrl_c_between_two_lanes_leaves_no_link_locked(listener: socket.socket) -> None:
    address = Address(*listener.getsockname())
    commands: list[Command] = [("PING",), Interrupted(["PING"])]
    served = [Thread(target=greet, args=(listener,)) for _ in commands]
    for each in served:
        each.start()
    links = Links()

    with pytest.raises(KeyboardInterrupt):
        links.call_side_by_side(address, commands, lanes=2)

    closing = Thread(target=links.close, daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    for each in served:
        each.join(10)


def greet(listener: socket.socket) -> None:
    """Agree to all that a client says of itself, and say nothing to what it asks."""
    client = listener.accept()[0]
    with client, client.makefile("rb") as said:
        for line in said:
            if line.startswith(b"CLIENT"):
                client.sendall(b"+OK\r\n")
