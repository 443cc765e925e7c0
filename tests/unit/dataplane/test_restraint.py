"""Rates and widths: who is refused, who waits, in which order they go on."""

from __future__ import annotations

import pytest
from split_board import NODE_0, NODE_1, NODE_2, keys_as_values
from switchboard import FakeClient, Switchboard
from test_edges import settle_until

from proxy.dataplane.allowance import Allowance
from proxy.resp.encode import encode_command

GET = encode_command(b"GET", NODE_1[0])


def hold_to(board: Switchboard, allowance: Allowance | None, *clients: FakeClient) -> None:
    """Give clients an allowance."""
    for client in clients:
        board.engine.use_allowance(client.seen, allowance)


# ---- refused ------------------------------------------------------------------------------


def test_at_the_rate_it_works_and_above_it_is_refused(
    board: Switchboard, client: FakeClient
) -> None:
    hold_to(board, Allowance(0.001, 0, 3000, refuses=True), client)

    client.send(GET * 5)

    assert client.read() == b"+OK\r\n" * 3 + b"-TOOFAST commands\r\n" * 2
    assert len(board.nodes[1].requests) == 3
    assert board.engine.meter.limits["rate_commands_per_s"] == 2


def test_bytes_are_charged_both_ways(board: Switchboard, client: FakeClient) -> None:
    board.nodes[1].answer = lambda args: b"+" + b"x" * 1000 + b"\r\n"
    hold_to(board, Allowance(0, 0.001, 1_000_000, refuses=True), client)

    first = client.ask(b"GET", NODE_1[0])  # is paid by the next one
    client.send(GET * 2)

    assert len(first) == 1003
    assert client.read().endswith(b"xxx\r\n-TOOFAST bytes\r\n")
    assert board.engine.meter.limits["rate_bytes_per_s"] == 1


def test_a_cut_request_is_charged_once(board: Switchboard, client: FakeClient) -> None:
    hold_to(board, Allowance(0.001, 0, 2000, refuses=True), client)

    for byte in GET + GET + GET:
        client.send(bytes([byte]))
        board.settle()

    assert client.read() == b"+OK\r\n" * 2 + b"-TOOFAST commands\r\n"


def test_a_request_that_has_to_wait_for_something_else_is_charged_once(
    board: Switchboard, client: FakeClient
) -> None:
    board.engine.in_flight_limit = 1
    hold_to(board, Allowance(0.001, 0, 4000, refuses=True), client)
    rename = encode_command(b"RENAME", NODE_1[0])  # a wrong number: waits for earlier replies

    client.send(GET, rename, GET, GET, GET)

    assert client.read() == b"+OK\r\n+punted\r\n+OK\r\n+OK\r\n-TOOFAST commands\r\n"


def test_an_inline_command_is_charged_too(board: Switchboard, client: FakeClient) -> None:
    hold_to(board, Allowance(0.001, 0, 1000, refuses=True), client)

    client.send(b"GET k1\r\nGET k1\r\n")

    assert client.read() == b"+OK\r\n-TOOFAST commands\r\n"


def test_a_client_that_a_session_has_waits_instead(board: Switchboard, client: FakeClient) -> None:
    hold_to(board, Allowance(200, 0, 0.005, refuses=True), client)
    client.seen.is_off_road = True

    client.send(GET * 3)
    settle_until(board, lambda: client.seen.commands == 3)

    assert client.read() == b"+punted\r\n" * 3


# ---- slowed -------------------------------------------------------------------------------


def test_who_is_slowed_goes_on_when_its_allowance_has_grown(
    board: Switchboard, client: FakeClient
) -> None:
    hold_to(board, Allowance(10, 0, 0.2), client)

    client.send(GET * 5)
    board.settle()
    at_once = len(board.nodes[1].requests)
    stopped_by = client.seen.stopped_by
    assert board.engine.is_busy
    settle_until(board, lambda: len(board.nodes[1].requests) == 5)

    assert 2 <= at_once < 5
    assert stopped_by == ("its rate",)
    assert client.read() == b"+OK\r\n" * 5


def test_clients_of_one_user_have_their_turns(board: Switchboard) -> None:
    greedy, modest = board.client(), board.client()
    hold_to(board, Allowance(200, 0, 0.005), greedy, modest)
    greedy.send(GET * 100)
    modest.send(GET * 3)

    settle_until(board, lambda: modest.seen.commands == 3)

    assert modest.read() == b"+OK\r\n" * 3
    assert greedy.seen.commands < 10


def test_who_comes_later_does_not_overtake(board: Switchboard) -> None:
    first, second = board.client(), board.client()
    allowance = Allowance(50, 0, 0.02)
    hold_to(board, allowance, first, second)
    first.send(GET * 3)
    board.settle()

    second.send(encode_command(b"GET", NODE_1[1]))
    settle_until(board, lambda: second.seen.commands == 1)

    asked = [key for _, key in board.nodes[1].requests]
    assert asked.index(NODE_1[1]) > 1  # two of the three were before it


def test_without_its_allowance_a_client_goes_on_at_once(
    board: Switchboard, client: FakeClient
) -> None:
    hold_to(board, Allowance(0.001, 0), client)
    client.send(GET * 3)
    board.settle()
    assert client.seen.commands == 1

    hold_to(board, None, client)

    assert client.read() == b"+OK\r\n" * 3


def test_who_vanishes_while_it_waits_leaves_nothing(board: Switchboard, client: FakeClient) -> None:
    allowance = Allowance(0.001, 0)
    hold_to(board, allowance, client)
    client.send(GET * 3)
    board.settle()
    assert len(allowance.waiting) == 1

    client.seen.close()
    settle_until(board, lambda: not allowance.waiting)

    assert not board.engine.is_busy


# ---- width --------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "is_taken"), [(0, True), (3, True), (2, False)])
def test_the_width_of_a_split_command(
    board: Switchboard, client: FakeClient, limit: int, is_taken: bool
) -> None:
    for node in board.nodes:
        node.answer = keys_as_values
    board.engine.fan_out_limit = limit

    client.send(encode_command(b"MGET", NODE_0[0], NODE_1[0], NODE_2[0], NODE_0[0]), GET)
    reply = client.read()

    assert reply.startswith(b"*4\r\n" if is_taken else b"-TOOWIDE 3\r\n*1\r\n")
    assert board.engine.meter.limits["fan_out_limit"] == (not is_taken)


# ---- in flight at a node --------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_requests_in_flight_on_one_connection(
    board: Switchboard, client: FakeClient, limit: int
) -> None:
    node = board.nodes[1]
    board.engine.node_in_flight_limit = limit
    node.answer = lambda args: None

    client.send(GET * 7)
    board.settle()
    at_once = len(node.requests)
    while len(node.requests) < 7:
        node.send(b"+OK\r\n")
        board.settle()
    node.send(b"+OK\r\n" * limit)

    assert at_once == limit
    assert client.read() == b"+OK\r\n" * 7
    assert (board.engine.meter.limits["node_in_flight_limit"] > 0) == (limit < 7)
    assert node.pipeline.unsent_count == node.pipeline.sent_count == 0


def test_what_the_proxy_asks_itself_is_not_held_back(
    board: Switchboard, client: FakeClient
) -> None:
    node, answers = board.nodes[1], []
    board.engine.node_in_flight_limit = 1
    node.answer = lambda args: None
    client.send(GET)
    board.settle()

    board.engine.submit(node.pipeline, encode_command(b"PING"), answers.append)
    board.settle()

    assert node.requests[-1] == [b"PING"]
    node.send(b"+OK\r\n+PONG\r\n")
    assert client.read() == b"+OK\r\n"
    assert answers == [b"+PONG\r\n"]


# ---- unread output --------------------------------------------------------------------------


@pytest.mark.parametrize("soft_s", [0.0, 0.02])
def test_a_client_over_the_soft_limit_for_its_seconds_is_closed(
    board: Switchboard, soft_s: float
) -> None:
    board.engine.in_flight_limit = 1  # a socket pair of a node holds no more
    board.engine.client_output_soft_bytes = 100_000
    board.engine.client_output_soft_s = soft_s
    client, other = board.client(), board.client()
    board.nodes[1].answer = lambda args: b"+" + b"x" * 100_000 + b"\r\n"
    client.send(GET * 30)
    board.settle()
    assert client.seen.output_bytes > 100_000 or client.seen.is_closed

    if soft_s:
        assert client.seen.is_closed or board.engine.is_busy
        settle_until(board, lambda: client.seen.is_closed)

    assert client.seen.is_closed == bool(soft_s)
    assert board.engine.meter.limits["client_output_soft_s"] == bool(soft_s)
    assert len(other.ask(b"GET", NODE_1[0])) == 100_003


def test_a_client_that_reads_again_in_time_is_not_closed(board: Switchboard) -> None:
    board.engine.in_flight_limit = 1
    board.engine.client_output_soft_bytes = 100_000
    board.engine.client_output_soft_s = 1000.0
    client = board.client()
    board.nodes[1].answer = lambda args: b"+" + b"x" * 100_000 + b"\r\n"
    client.send(GET * 30)
    board.settle()

    assert len(client.read()) == 30 * 100_003

    board.engine.client_output_soft_s = 1e-9
    assert len(client.ask(b"GET", NODE_1[0])) == 100_003
    board.settle()
    assert not client.seen.is_closed
