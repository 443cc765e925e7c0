"""No descriptors left: who is in is served on, nodes are still reached, and it passes."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis
from engine_here import ON_ONE_ENGINE

from proxy.embedded import EmbeddedCluster, ProxyProcess, lease_ports, wait_for

# No server sees any of this.
pytestmark = [pytest.mark.live, ON_ONE_ENGINE]

DEADLINE_S = 20.0
OPEN_FILES = 300
# 32 for itself, 64 for the admin port, 64 for nodes; and 32 again, for its own are below.
CLIENTS = OPEN_FILES - 160 - 32
FULL = b"-ERR max number of clients reached\r\n"
PING, PONG = b"PING\r\n", b"+PONG\r\n"

UNDER_A_LIMIT = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (100, int(sys.argv[1])))
os.execv(sys.executable, [sys.executable, "-m", "proxy", "serve", *sys.argv[2:]])
"""


@pytest.fixture
def limited(cluster: EmbeddedCluster, tmp_path: Path) -> Iterator[tuple[int, int, Path]]:
    """Return port, admin port and log of a proxy that may open ``OPEN_FILES``."""
    log = tmp_path / "proxy.log"
    seeds = [word for address in cluster.addresses for word in ("--seed", str(address))]
    with lease_ports(2) as lease, log.open("w") as output:
        port, admin_port = lease.ports
        listen = f"127.0.0.1:{port}"
        process = subprocess.Popen(
            [sys.executable, "-c", UNDER_A_LIMIT, str(OPEN_FILES), "--listen", listen, *seeds],
            env=os.environ | {"SLOTWAY_ADMIN__PORT": str(admin_port)},
            stderr=output,
        )
        try:
            wait_for(lambda: " listening " in log.read_text(), DEADLINE_S, "a proxy")
            yield port, admin_port, log
        finally:
            process.terminate()
            assert process.wait(DEADLINE_S) == 0
    assert "Traceback" not in log.read_text()


def ask(connection: socket.socket) -> bytes:
    """Return the answer to a PING; what else comes first if the client was turned away."""
    try:
        connection.sendall(PING)
        return connection.recv(100)
    except ConnectionError:
        return b""


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), DEADLINE_S)


def test_clients_do_not_get_what_is_kept_for_others(
    cluster: EmbeddedCluster, limited: tuple[int, int, Path]
) -> None:
    port, admin_port, log = limited
    assert log.read_text().count("fewer clients than listen.max_clients") == 1
    with ExitStack() as stack, closing(redis.Redis(port=port, retry=None)) as first:
        assert first.info("clients")["maxclients"] == CLIENTS
        others = [stack.enter_context(connect(port)) for _ in range(CLIENTS - 1)]
        assert all(ask(client) == PONG for client in others)

        with connect(port) as over:
            assert over.recv(100) == FULL
        with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/readyz") as answer:
            assert answer.status == 200
        for node in cluster.nodes:  # its connections are gone, and new ones are made
            node.call("CLIENT", "KILL", "TYPE", "normal")
        keys = {f"key:{number}": str(number).encode() for number in range(50)}
        assert first.mset(keys)
        assert first.mget(list(keys)) == list(keys.values())

        others.pop().close()
        wait_for(lambda: is_let_in(port), DEADLINE_S, "a place")


def is_let_in(port: int) -> bool:
    with connect(port) as client:
        return ask(client) == PONG


def test_connections_wait_in_the_kernel_and_are_taken_when_they_can_be(
    cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> None:
    proxy = make_proxy(cluster.addresses)
    with closing(redis.Redis(port=proxy.port)) as inside:
        assert inside.mset({f"key:{number}": number for number in range(50)})
        limits = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)
        # Fewer than it has open: the next one cannot be, whoever asks for it.
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (8, limits[1]))

        with connect(proxy.port) as waiting:
            waiting.sendall(PING)
            wait_for(lambda: "no descriptors left" in proxy.log.read_text(), DEADLINE_S, "a line")
            for number in range(50):
                assert inside.get(f"key:{number}") == b"%d" % number
            assert "connections accepted again" not in proxy.log.read_text()
            resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, limits)

            assert waiting.recv(100) == PONG

        wait_for(
            lambda: "connections accepted again" in proxy.log.read_text(), DEADLINE_S, "a line"
        )
        assert proxy.log.read_text().count("no descriptors left") == 1
