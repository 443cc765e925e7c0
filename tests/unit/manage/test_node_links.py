"""A connection to one node: it is asked for once, whatever becomes of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from proxy.cluster.addresses import Address
from proxy.manage.errors import NodeUnreachable
from proxy.manage.link import Link
from proxy.manage.links import Login


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

    with pytest.raises(NodeUnreachable, match="(?i)time"):
        link.call("PING")

    assert connections_to(listener) == 1
