"""A PROXY protocol header, then a TLS handshake; and who may come by showing a certificate."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from papers import Papers, to_clients

from proxy.embedded import EmbeddedCluster, ProxyProcess, lease_ports

pytestmark = pytest.mark.live

DEADLINE_S = 20.0
# Not from this machine, and there is no password.
HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 55555 6380\r\n"


@pytest.fixture(scope="session")
def engine() -> str:
    """One is enough: no server sees any of this."""
    return "valkey"


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path / "papers")


@pytest.fixture
def places(
    cluster: EmbeddedCluster, papers: Papers, make_proxy: Callable[..., ProxyProcess]
) -> Iterator[tuple[int, int]]:
    """Return the plain port and the one for TLS of a proxy; both want a header."""
    files = papers.issue("proxy")
    with lease_ports(1) as lease:
        settings = to_clients(
            files,
            mode="beside",
            port=str(lease.ports[0]),
            client_certificates="required",
            ca_file=str(papers.ca_file),
        )
        passed_on = {"listen.proxy_protocol": "required", "listen.proxy_protocol_from": "127.0.0.1"}
        proxy = make_proxy(cluster.addresses, settings=settings | passed_on)
        yield proxy.port, lease.ports[0]


def address_seen(secured: ssl.SSLSocket) -> bytes:
    secured.sendall(b"CLIENT INFO\r\n")
    return re.search(rb" addr=(\S+) ", secured.recv(4096))[1]


@pytest.mark.parametrize("step", [len(HEADER), 1], ids=["at once", "byte by byte"])
def test_the_handshake_begins_behind_the_header(
    places: tuple[int, int], papers: Papers, step: int
) -> None:
    context = papers.trusting(papers.issue("application"))
    with socket.create_connection(("127.0.0.1", places[1]), DEADLINE_S) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(HEADER), step):
            plain.sendall(HEADER[at : at + step])
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            assert address_seen(secured) == b"192.0.2.7:55555"


def test_a_header_and_a_handshake_may_come_in_one_piece(
    places: tuple[int, int], papers: Papers
) -> None:
    context = papers.trusting(papers.issue("application"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", places[1]), DEADLINE_S) as plain:

        def go_on(step: Callable[[], object], begin: bytes = b"") -> object:
            while True:
                try:
                    done = step()
                except ssl.SSLWantReadError:
                    plain.sendall(begin + outgoing.read())
                    begin = b""
                    incoming.write(plain.recv(65536))
                else:
                    plain.sendall(outgoing.read())
                    return done

        go_on(tls.do_handshake, HEADER)
        go_on(lambda: tls.write(b"PING\r\n"))

        assert go_on(lambda: tls.read(100)) == b"+PONG\r\n"


def test_protected_mode_lets_in_who_shows_a_certificate_and_nobody_else(
    places: tuple[int, int], papers: Papers
) -> None:
    with socket.create_connection(("127.0.0.1", places[0]), DEADLINE_S) as plain:
        plain.sendall(HEADER + b"PING\r\n")
        assert plain.recv(1000).startswith(b"-DENIED slotway is in protected mode")

    with socket.create_connection(("127.0.0.1", places[1]), DEADLINE_S) as plain:
        plain.sendall(HEADER)
        with (
            pytest.raises(ssl.SSLError),
            papers.trusting().wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            secured.recv(1)  # in TLS 1.3 a missing certificate is told only now
