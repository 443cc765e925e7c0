"""The PROXY protocol as HAProxy speaks it, configured as docs/howto/connections.md has it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from proxy.embedded import EmbeddedCluster, ProxyProcess, lease_ports, wait_for

pytestmark = pytest.mark.live

DEADLINE_S = 20.0
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "connections.md"
DEFAULTS = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    timeout check 1s
"""
# Not the address that others of this machine come from.
CLIENT = "127.0.0.5"
BEHIND = {
    "listen.proxy_protocol": "required",
    "listen.proxy_protocol_from": "127.0.0.1,unix",
    # CLIENT is this machine, so nobody is refused.
    "listen.protected_mode": "true",
}

Balance = Callable[[str], int]


@pytest.fixture(scope="session")
def engine() -> str:
    """One is enough: no server sees any of this."""
    return "valkey"


@pytest.fixture
def balance(tmp_path: Path) -> Iterator[Balance]:
    """Start HAProxy before one server, given in its words; returns its port."""
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("there is no haproxy; on Debian: apt install haproxy")
    config = tmp_path / "haproxy.cfg"
    with lease_ports(1) as lease:
        port = lease.ports[0]
        started = []

        def start(server: str) -> int:
            page = re.search(r"```haproxy\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
            page = page.replace("10.0.0.5:6379", f"127.0.0.1:{port}")
            lines = [line for line in page.splitlines() if not line.strip().startswith("server ")]
            config.write_text("\n".join([DEFAULTS, *lines, f"    server one {server}", ""]))
            with (tmp_path / "haproxy.log").open("w") as log:
                started.append(subprocess.Popen([program, "-f", str(config)], stderr=log))
            wait_for(
                lambda: answers(port), DEADLINE_S, lambda: (tmp_path / "haproxy.log").read_text()
            )
            return port

        yield start
        for process in started:
            process.terminate()
            process.wait(DEADLINE_S)


def answers(port: int) -> bool:
    with closing(client_of(port)) as client:
        try:
            return client.ping()
        except redis.ConnectionError:
            return False


def client_of(port: int) -> redis.Redis:
    return redis.Redis(port=port, retry=None)


def address_seen(port: int) -> tuple[str, str]:
    """Return the address of a connection from ``CLIENT``, and what CLIENT INFO says it is."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S, (CLIENT, 0)) as plain:
        # In one piece with the header, if HAProxy so likes.
        plain.sendall(b"PING\r\nCLIENT INFO\r\n")
        received = b""
        while not received.endswith(b"\n\r\n"):
            received += plain.recv(4096)
        seen = re.search(rb" addr=(\S+) laddr=(\S+) ", received)
        host, own_port = plain.getsockname()
        assert received.startswith(b"+PONG\r\n")
        assert seen[2] == b"127.0.0.1:%d" % port
        return f"{host}:{own_port}", seen[1].decode()


@pytest.mark.parametrize(
    "words",
    ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"],
    ids=["v1", "v2", "v2 with a checksum"],
)
def test_clients_keep_their_addresses(
    cluster: EmbeddedCluster, balance: Balance, unbalanced: ProxyProcess, words: str
) -> None:
    port = balance(f"127.0.0.1:{unbalanced.port} {words} check inter 50ms fall 1")

    own, seen = address_seen(port)
    with closing(client_of(port)) as client:
        value = "x" * 1_000_000
        assert client.set("key", value)
        assert client.get("key") == value.encode()
        # Its checks come without an address of a client, and are answered.
        before = client.info("stats")["total_connections_received"]
        wait_for(
            lambda: client.info("stats")["total_connections_received"] > before + 3,
            DEADLINE_S,
            "checks",
        )
        assert client.ping()

    assert seen == own


@pytest.fixture
def unbalanced(cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    """A proxy that takes clients from HAProxy only."""
    return make_proxy(cluster.addresses, settings=BEHIND)


def test_by_a_unix_socket_too(
    cluster: EmbeddedCluster,
    balance: Balance,
    make_proxy: Callable[..., ProxyProcess],
    tmp_path: Path,
) -> None:
    path = tmp_path / "slotway.sock"
    make_proxy(cluster.addresses, settings=BEHIND | {"listen.unix_socket": str(path)})

    own, seen = address_seen(balance(f"unix@{path} send-proxy-v2 check"))

    assert seen == own


def test_without_a_header_haproxy_finds_nobody(balance: Balance, unbalanced: ProxyProcess) -> None:
    with socket.create_connection(("127.0.0.1", unbalanced.port), DEADLINE_S) as plain:
        plain.sendall(b"PING\r\n")

        assert plain.recv(1000).startswith(b"-ERR the setting listen.proxy_protocol ")
        assert plain.recv(1000) == b""
