"""What is held is known to the byte, and is nothing again when everything is answered."""

from __future__ import annotations

import gc

import pytest
from split_board import NODE_0, NODE_1, NODE_2, keys_as_values
from switchboard import FakeClient, Switchboard

from proxy.dataplane.memory import Holding, memory_held
from proxy.resp.encode import bulk, encode_command

VALUE = b"x" * 100_000
# Of a cut frame; it is kept for the next one.
SCANNER_BYTES = 1000


@pytest.fixture
def before(board: Switchboard, client: FakeClient) -> int:
    """Return what is held while nobody asks for anything."""
    gc.collect()
    return board.engine.memory_bytes


def test_a_request_that_waits_for_its_node_is_held(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    board.nodes[0].is_frozen = True
    frame = encode_command(b"SET", NODE_0[0], VALUE)

    client.send(frame)
    board.settle()
    waiting = board.engine.memory_bytes - before
    board.nodes[0].is_frozen = False

    assert client.read() == b"+OK\r\n"
    assert len(frame) <= waiting < len(frame) + 1000
    assert board.engine.memory_bytes == before


def test_a_reply_that_waits_for_an_earlier_one_is_held(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    board.nodes[0].is_frozen = True
    board.nodes[1].answer = lambda args: bulk(VALUE)

    client.send(encode_command(b"GET", NODE_0[0]), encode_command(b"GET", NODE_1[0]))
    board.settle()
    waiting = board.engine.memory_bytes - before
    board.nodes[0].is_frozen = False

    assert client.read() == b"+OK\r\n" + bulk(VALUE)
    assert len(bulk(VALUE)) <= waiting < len(bulk(VALUE)) + 1000
    assert board.engine.memory_bytes == before


def test_a_reply_that_is_not_read_is_held(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    board.nodes[1].answer = lambda args: bulk(VALUE)
    board.engine.in_flight_limit = 1  # a socket pair of a node holds no more

    client.send(*[encode_command(b"GET", NODE_1[0])] * 50)
    board.settle()
    waiting = board.engine.memory_bytes - before

    assert waiting > client.seen.output_bytes > 0
    assert client.read() == bulk(VALUE) * 50
    assert board.engine.memory_bytes == before


def test_a_request_that_is_not_whole_is_held(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    frame = encode_command(b"SET", NODE_0[0], VALUE)

    client.send(frame[:-2])
    board.settle()
    waiting = board.engine.memory_bytes - before
    client.send(frame[-2:])

    assert client.read() == b"+OK\r\n"
    assert waiting >= len(frame) - 2
    assert before <= board.engine.memory_bytes <= before + SCANNER_BYTES


def test_a_split_command_is_held_until_its_last_part(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    for node in board.nodes:
        node.answer = keys_as_values
    board.nodes[2].is_frozen = True

    client.send(encode_command(b"MGET", NODE_0[0], NODE_1[0], NODE_2[0]))
    board.settle()
    waiting = board.engine.memory_bytes
    board.nodes[2].is_frozen = False

    assert client.read().startswith(b"*3\r\n")
    assert waiting > before
    assert board.engine.memory_bytes == before


@pytest.mark.parametrize("what", ["asked", "half", "unread"])
def test_a_client_that_vanishes_leaves_nothing(
    board: Switchboard, client: FakeClient, before: int, what: str
) -> None:
    other = board.client()
    board.nodes[1].answer = lambda args: bulk(VALUE)
    board.engine.in_flight_limit = 1
    frame = encode_command(b"SET", NODE_0[0], VALUE)
    if what == "asked":
        board.nodes[0].is_frozen = True
        other.send(frame)
    elif what == "half":
        other.send(frame[:-10])
    else:
        other.send(*[encode_command(b"GET", NODE_1[0])] * 50)
    board.settle()
    assert board.engine.memory_bytes > before

    other.seen.close()
    board.nodes[0].is_frozen = False
    board.settle()
    del other
    gc.collect()

    assert before <= board.engine.memory_bytes <= before + SCANNER_BYTES


def test_what_others_keep_counts_while_they_keep_it() -> None:
    before = memory_held()
    holding = Holding()

    holding.bytes = 1000
    holding.bytes = 300
    assert memory_held() == before + 300
    del holding

    assert memory_held() == before


# ---- the limit ----------------------------------------------------------------------------


def test_above_the_limit_requests_are_refused_and_below_it_they_work(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    other = board.client()
    board.nodes[0].is_frozen = True
    client.send(encode_command(b"SET", NODE_0[0], VALUE))
    board.settle()

    board.engine.memory_limit_bytes = board.engine.memory_bytes - 1
    refused = other.ask(b"GET", NODE_1[0])
    board.engine.memory_limit_bytes = board.engine.memory_bytes
    taken = other.ask(b"GET", NODE_1[0])

    assert (refused, taken) == (b"-NOMEMORY\r\n", b"+OK\r\n")
    assert board.engine.meter.limits["memory_limit_bytes"] == 1
    assert [args for node in board.nodes[1:] for args in node.requests] == [[b"GET", NODE_1[0]]]


def test_it_works_again_when_memory_has_come_back(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    other = board.client()
    board.nodes[0].is_frozen = True
    board.engine.memory_limit_bytes = before + 50_000
    client.send(encode_command(b"SET", NODE_0[0], VALUE))
    board.settle()
    assert other.ask(b"GET", NODE_1[0]) == b"-NOMEMORY\r\n"

    board.nodes[0].is_frozen = False
    assert client.read() == b"+OK\r\n"

    assert other.ask(b"GET", NODE_1[0]) == b"+OK\r\n"


def test_a_refusal_keeps_its_place_among_the_replies(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    board.nodes[0].is_frozen = True
    board.engine.memory_limit_bytes = before + 50_000

    client.send(encode_command(b"SET", NODE_0[0], VALUE))
    board.settle()
    client.send(encode_command(b"GET", NODE_1[0]))
    board.settle()
    assert client.read() == b""
    board.nodes[0].is_frozen = False

    assert client.read() == b"+OK\r\n-NOMEMORY\r\n"


def test_a_long_request_that_is_not_whole_is_cut_off(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    board.engine.memory_limit_bytes = before + 200_000
    frame = encode_command(b"SET", NODE_0[0], b"x" * 1_000_000)

    for at in range(0, 600_000, 100_000):
        client.send(frame[at : at + 100_000])
        board.settle()
        if client.seen.is_closed:
            break

    assert client.read() == b"-NOMEMORY\r\n"
    assert client.seen.is_closed
    assert board.engine.memory_bytes <= before + SCANNER_BYTES


def test_a_short_request_that_is_not_whole_comes_to_its_end(
    board: Switchboard, client: FakeClient, before: int
) -> None:
    frame = encode_command(b"GET", NODE_1[0])
    client.send(frame[:-3])
    board.settle()
    board.engine.memory_limit_bytes = 1

    client.send(frame[-3:])

    assert client.read() == b"-NOMEMORY\r\n"
    assert not client.seen.is_closed
