"""TLS on both sides of the real engine: any cut, any size, any end, and nothing lost or doubled."""

from __future__ import annotations

import random
import socket
import ssl

import pytest
from sealed_board import SMALL_BUFFER, SPECS, ask, client_of, connect, read_from
from sealed_ends import Authority, SealedEnd
from switchboard import Switchboard

from proxy.dataplane.frames import ReplyStream
from proxy.resp.encode import bulk, encode_command
from proxy.tls.failures import Cause
from proxy.tls.sides import Guard

# ---- clients --------------------------------------------------------------------------------


def test_a_client_is_served_over_tls(sealed: Switchboard, authority: Authority) -> None:
    client = client_of(sealed, authority)

    assert ask(sealed, client, b"GET", b"k") == b"+OK\r\n"
    assert sealed.engine.handshakes.done == 1
    assert next(iter(sealed.engine.clients.values())).cipher.version == "TLSv1.3"


def test_a_handshake_and_requests_come_byte_by_byte(
    sealed: Switchboard, authority: Authority
) -> None:
    client = SealedEnd(connect(sealed), authority.client(), is_server=False)
    sealed.ends.append(client)
    is_done = False
    while not is_done:
        try:
            client.pull()
            client.tls.do_handshake()
            is_done = True
        except ssl.SSLWantReadError:
            pass
        while client.push(at_once=1):
            sealed.settle()
        sealed.settle()
    client.seal(encode_command(b"GET", b"k") * 3)
    while client.push(at_once=1):
        sealed.settle()

    assert read_from(sealed, client) == b"+OK\r\n" * 3


def test_requests_in_many_records_keep_their_order(
    sealed: Switchboard, authority: Authority
) -> None:
    client = client_of(sealed, authority)
    sealed.nodes[0].answer = lambda args: bulk(args[1])
    names = [b"%d" % number for number in range(200)]

    for name in names:
        client.seal(encode_command(b"GET", name))
    client.push()

    assert ReplyStream().feed(read_from(sealed, client)) == [bulk(name) for name in names]


def test_records_that_are_cut_anywhere_are_one_stream(
    sealed: Switchboard, authority: Authority
) -> None:
    client = client_of(sealed, authority)
    sealed.nodes[0].answer = lambda args: bulk(args[2])
    dice = random.Random(7)
    values = [dice.randbytes(dice.randrange(1, 40_000)) for _ in range(20)]
    for value in values:
        client.seal(encode_command(b"SET", b"k", value))
    replies = ReplyStream()
    found = []

    while client.outgoing.pending:
        client.push(at_once=dice.randrange(1, 9000))
        found += replies.feed(read_from(sealed, client))

    assert found == [bulk(value) for value in values]


def test_a_huge_value_goes_both_ways(sealed: Switchboard, authority: Authority) -> None:
    client = client_of(sealed, authority)
    value = random.Random(3).randbytes(3_000_000)
    stored: list[bytes] = []

    def answer(args: list[bytes]) -> bytes:
        stored[:] = args[2:] or stored
        return b"+OK\r\n"

    sealed.nodes[0].answer = answer
    client.seal(encode_command(b"SET", b"k", value))
    while client.push(at_once=50_000):
        sealed.settle()
    is_stored = read_from(sealed, client)
    sealed.nodes[0].answer = lambda args: b"+OK\r\n"

    assert is_stored == b"+OK\r\n"
    assert stored == [value]


def test_a_slow_reader_gets_everything_and_holds_nobody_up(
    sealed: Switchboard, authority: Authority
) -> None:
    slow, other = client_of(sealed, authority), client_of(sealed, authority)
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    frame = bulk(b"x" * 100_000)
    sealed.nodes[0].answer = lambda args: frame
    for _ in range(40):
        slow.send(encode_command(b"GET", b"k"))
        sealed.settle()
    waiting = max(client.output_bytes for client in sealed.engine.clients.values())

    at_once = ask(sealed, other, b"GET", b"k")
    everything = read_from(sealed, slow)

    assert waiting > 1_000_000, "it stays plain, where limits count it"
    assert at_once == frame
    assert everything == frame * 40


def test_a_client_that_says_goodbye_gets_its_replies(
    sealed: Switchboard, authority: Authority
) -> None:
    client = client_of(sealed, authority)
    client.seal(encode_command(b"GET", b"k") * 3)
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.push()

    assert read_from(sealed, client) == b"+OK\r\n" * 3
    assert not sealed.engine.clients


def test_a_cut_frame_is_not_taken_for_a_whole_one(
    sealed: Switchboard, authority: Authority
) -> None:
    client = client_of(sealed, authority)
    client.send(encode_command(b"SET", b"k", b"value")[:-3])
    sealed.settle()
    client.socket.close()
    sealed.settle()

    assert sealed.nodes[0].requests == []
    assert not sealed.engine.clients


def test_who_is_closed_is_told_goodbye(sealed: Switchboard, authority: Authority) -> None:
    client = client_of(sealed, authority)
    sealed.engine.drain()
    sealed.settle()

    assert client.read() == b""
    assert client.tls.read(1) == b""


# ---- handshakes that fail ---------------------------------------------------------------------


def failures_of(sealed: Switchboard) -> dict[Cause, int]:
    return {cause: count for cause, count in sealed.engine.handshakes.failed.items() if count}


def test_a_client_without_tls_is_told_and_closed(sealed: Switchboard) -> None:
    plain = connect(sealed)
    plain.send(encode_command(b"PING"))
    sealed.settle()

    assert plain.recv(100) == b"-PROTOCOL NO_TLS\r\n"
    assert plain.recv(100) == b""
    assert failures_of(sealed) == {Cause.FOREIGN: 1}
    (_, reason), *_ = sealed.control.named("closed")
    assert "it spoke without TLS" in reason
    plain.close()
    sealed.settle()


@pytest.mark.parametrize("size", [1, 5, 6, 300, 70_000])
def test_garbage_that_begins_like_tls_closes_the_client(sealed: Switchboard, size: int) -> None:
    plain = connect(sealed)
    plain.send(b"\x16" + random.Random(size).randbytes(size))
    sealed.settle()
    plain.close()
    sealed.settle()

    assert not sealed.engine.clients
    assert sum(sealed.engine.handshakes.failed.values()) == 1


def test_who_only_looks_whether_the_port_is_open_is_no_line_in_the_log(
    sealed: Switchboard,
) -> None:
    connect(sealed).close()
    sealed.settle()

    assert failures_of(sealed) == {Cause.CLOSED: 1}
    assert sealed.control.named("closed")[-1][1] == ""


def test_a_handshake_that_is_never_finished_ends(sealed: Switchboard, authority: Authority) -> None:
    client = SealedEnd(connect(sealed), authority.client(), is_server=False)
    sealed.ends.append(client)
    client.advance()
    sealed.settle()
    sealed.engine.handshake_timeout_s = 0.0
    while sealed.engine.clients:
        sealed.engine.tick(50)

    assert failures_of(sealed) == {Cause.TIMEOUT: 1}
    assert "handshake_timeout_s" in sealed.control.named("closed")[-1][1]


def test_a_client_of_another_authority_is_told_why(authority: Authority) -> None:
    stranger = Authority()
    context = stranger.client()
    authority.ca.configure_trust(context)
    stranger.ca.issue_cert("somebody").configure_cert(context)
    with Switchboard(SPECS, nodes=1) as board:
        guard = Guard()
        guard.use(authority.server(wants_certificate=True))
        board.engine.secure(board.listener.fileno(), guard)
        client = SealedEnd(connect(board), context, is_server=False)
        for _ in range(3):
            client.advance()
            board.settle()

        with pytest.raises(ssl.SSLError, match="ALERT_UNKNOWN_CA"):
            client.read()
        assert failures_of(board) == {Cause.CERTIFICATE: 1}
        assert "tls.ca_file" in board.control.named("closed")[-1][1]
        client.socket.close()


def test_a_client_cannot_renegotiate(sealed: Switchboard, authority: Authority) -> None:
    """TLS 1.2 only has it; Python cannot ask for it, so the option is looked at."""
    context = authority.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = SealedEnd(connect(sealed), context, is_server=False)
    sealed.ends.append(client)
    while not client.advance():
        sealed.settle()

    assert ask(sealed, client, b"GET", b"k") == b"+OK\r\n"
    assert authority.server().options & ssl.OP_NO_RENEGOTIATION


def test_who_came_to_a_port_for_tls_speaks_tls_though_it_is_closed_before_the_header_ends(
    authority: Authority,
) -> None:
    with Switchboard(SPECS, nodes=1) as board:
        port, guard = board.listener.fileno(), Guard()
        guard.use(authority.server())
        board.engine.stop_listening(port)
        board.engine.secure(port, guard)
        board.engine.listen(port, expects_header=True)
        with connect(board) as client:
            client.sendall(b"PROXY UNK")
            board.settle()
            board.engine.stop_listening(port)
            client.sendall(b"NOWN\r\n" + encode_command(b"GET", b"k"))
            board.settle()

            assert client.recv(1024) == b"-PROTOCOL NO_TLS\r\n"
        assert not board.nodes[0].requests


def test_many_handshakes_at_once_are_spread_over_ticks(
    sealed: Switchboard, authority: Authority
) -> None:
    clients = [SealedEnd(connect(sealed), authority.client(), is_server=False) for _ in range(20)]
    sealed.ends.extend(clients)
    for client in clients:
        client.advance()
    sealed.engine.tick(0)
    answered = sum(client.pull() and client.incoming.pending > 0 for client in clients)
    while not all(client.advance() for client in clients):
        sealed.settle()

    sealed.settle()

    assert 0 < answered < 10
    assert sealed.engine.handshakes.done == 20


# ---- a client that speaks TLS where nobody does -------------------------------------------------


def test_a_tls_client_on_a_plain_port_is_told_and_closed(authority: Authority) -> None:
    with Switchboard(SPECS, nodes=1) as board:
        client = SealedEnd(connect(board), authority.client(), is_server=False)
        client.advance()
        board.settle()

        assert client.socket.recv(100) == b"-PROTOCOL TLS\r\n"
        assert client.socket.recv(100) == b""
        client.socket.close()
        board.settle()
