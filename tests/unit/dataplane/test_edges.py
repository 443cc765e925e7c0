"""Where the data plane went wrong once: ends of buffers, of limits, of connections."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

import pytest
from split_board import NODE_0, NODE_1
from switchboard import RECEIVE_BYTES, SLOTS, FakeClient, FakeNode, Switchboard

from proxy.dataplane.hooks import Action
from proxy.dataplane.tables import key_slot
from proxy.resp.encode import bulk, encode_command

MEBIBYTE = 1 << 20


def settle_until(board: Switchboard, is_so: Callable[[], bool]) -> None:
    """Tick on until the engine's clock has made something so."""
    for _ in range(1000):
        board.settle()
        if is_so():
            return
        board.engine.tick(10)
    pytest.fail("it never came to that")


def send_slowly(client: FakeClient, wire: bytes) -> None:
    """Send more than a socket holds; the nodes do not act meanwhile."""
    at = 0
    while at < len(wire):
        try:
            at += client.socket.send(wire[at : at + MEBIBYTE])
        except BlockingIOError:
            client.board.engine.tick(0)
    client.board.engine.tick(0)


def test_an_answer_of_nothing_sends_nothing(board: Switchboard, client: FakeClient) -> None:
    board.control.punt_reply = b""

    client.send(encode_command(b"CLIENT", b"REPLY", b"OFF"))

    assert client.read() == b""
    assert client.ask(b"GET", NODE_0[0]) == b"+OK\r\n"


def test_the_byte_after_a_line_that_is_too_long_is_not_looked_at() -> None:
    # As long as one recv may be: an address sanitizer sees what lies behind.
    with Switchboard([]) as board:
        board.engine.set_request_limits(inline_limit_bytes=1000)
        client = board.client()

        client.send(b"x" * 65535 + b"\n")

        assert client.read() == b"-PROTOCOL LINE_TOO_LONG\r\n"


@pytest.mark.parametrize(("length", "is_short"), [(100, True), (101, False)])
def test_a_reply_over_the_limit_is_an_error_however_it_is_cut(
    board: Switchboard, client: FakeClient, length: int, is_short: bool
) -> None:
    reply = b"$%d\r\n%b\r\n" % (length - 7, b"x" * (length - 7))
    assert len(reply) == length
    board.engine.reply_limit_bytes = 100
    node = board.nodes[0]
    node.answer = lambda args: None

    for pieces in ([reply], [reply[:5], reply[5:]], [reply[:-1], reply[-1:]]):
        client.send(encode_command(b"GET", NODE_0[0]))
        board.settle()
        for piece in pieces:
            node.send(piece)
            board.settle()

        assert client.read() == (reply if is_short else b"-TOOBIG\r\n")


def test_a_client_that_does_not_read_is_closed_at_the_limit(
    board: Switchboard, client: FakeClient
) -> None:
    board.engine.client_output_soft_bytes = board.engine.client_output_limit_bytes = MEBIBYTE
    board.nodes[0].answer = lambda args: bulk(b"x" * 100_000)
    most = 0

    for _ in range(100):
        if client.seen.is_closed:
            break
        client.send(encode_command(b"GET", NODE_0[0]))
        board.settle()
        most = max(most, client.seen.output_bytes)

    assert client.seen.is_closed
    assert 500_000 < most <= MEBIBYTE


def test_a_request_begun_is_not_called_unsent(board: Switchboard, client: FakeClient) -> None:
    node = board.nodes[0]
    node.is_frozen = True
    board.engine.request_timeout_s = 0.01
    value = b"x" * (3 * MEBIBYTE)
    send_slowly(client, encode_command(b"SET", NODE_0[0], value))
    assert 0 < node.pipeline.bytes_out < len(value)

    settle_until(board, lambda: client.seen.in_flight == 0)

    assert client.read() == b"-GAVEUP sent=1\r\n"
    node.is_frozen = False
    board.settle()
    assert node.requests == [[b"SET", NODE_0[0], value]]


def test_what_a_client_sent_before_it_hung_up_is_done(
    board: Switchboard, client: FakeClient
) -> None:
    node = board.nodes[0]
    node.is_frozen = True
    client.seen.reply_mode = 1
    client.send(
        encode_command(b"SET", NODE_0[0], b"1"),
        encode_command(b"UNKNOWN"),  # waits for the first, and the last for it
        encode_command(b"SET", NODE_0[0], b"2"),
    )
    board.settle()

    node.is_frozen = False
    node.serve()  # the answer and the end of the client's stream come in one tick
    client.socket.shutdown(socket.SHUT_WR)
    board.settle()

    assert [args[2] for args in node.requests] == [b"1", b"2"]
    assert client.seen.is_closed


@pytest.mark.parametrize("verdict", [Action.PASS, Action.BY_MAP])
def test_a_refusal_may_cost_its_own_connection(
    board: Switchboard, client: FakeClient, verdict: Action
) -> None:
    node: FakeNode = board.nodes[0]
    node.answer = lambda args: None
    board.control.verdict = (verdict, -1, 0.0)
    board.control.on_judge = lambda: board.engine.drop(node.pipeline)
    refusal = b"-TRYAGAIN " + b"x" * 5000 + b"\r\n"
    client.send(encode_command(b"GET", NODE_0[0]))
    board.settle()

    for piece in (refusal[:100], refusal[100:]):  # cut, so that it lies in the pipeline's buffer
        node.send(piece)
        board.settle()

    if verdict == Action.PASS:
        assert client.read() == refusal
    else:
        node.answer = lambda args: b"+later\r\n"
        node.connect()
        assert client.read() == b"+later\r\n"


def test_nothing_is_sent_again_while_another_part_is_on_its_way(
    board: Switchboard, client: FakeClient
) -> None:
    owners: list[int | None] = [slot % 3 for slot in range(SLOTS)]
    owners[key_slot(NODE_0[0])] = None
    board.install(owners)
    board.nodes[1].answer = lambda args: None
    client.send(encode_command(b"DEL", NODE_0[0], NODE_1[0]))
    board.settle()

    board.install([slot % 3 for slot in range(SLOTS)])
    began = time.monotonic()
    settle_until(board, lambda: time.monotonic() - began > 0.1)
    assert board.nodes[0].requests == []

    board.nodes[1].send(b":1\r\n")
    board.nodes[0].answer = lambda args: b":1\r\n"
    settle_until(board, lambda: client.seen.in_flight == 0)
    assert client.socket.recv(RECEIVE_BYTES) == b":2\r\n"


def test_a_socket_that_nobody_listens_on_may_be_stopped(
    board: Switchboard, client: FakeClient
) -> None:
    """Its number is beyond all that the engine knows, or the engine has it for another."""
    with socket.socket() as stranger:
        number = os.dup2(stranger.fileno(), 900)
        board.engine.stop_listening(number)
        os.close(number)

    board.engine.stop_listening(board.nodes[0].pipeline.fd)

    assert client.ask(b"GET", NODE_0[0]) == b"+OK\r\n"
