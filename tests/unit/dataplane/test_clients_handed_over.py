"""A client goes from one engine to another in the middle of what it says, and hears no gap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from split_board import NODE_0, NODE_1, SPECS
from switchboard import FakeClient, Switchboard

from proxy.dataplane.client import Client
from proxy.dataplane.frames import ReplyStream
from proxy.resp.encode import bulk, encode_command


@pytest.fixture
def other() -> Iterator[Switchboard]:
    """Return the engine that clients go to."""
    with Switchboard(SPECS) as board:
        yield board


def echo(args: list[bytes]) -> bytes:
    return bulk(args[1])


def move(client: FakeClient, board: Switchboard, other: Switchboard) -> Client:
    """Give a client that is at rest to another engine, which goes on with it."""
    seen = client.seen
    fd, unread = board.engine.give_away(seen)
    taken = other.engine.take_in(
        fd,
        number=seen.id,
        lane=other.lane,
        unread=unread,
        reply_mode=seen.reply_mode,
        last_command=seen.last_command,
        is_unix=True,
        told=None,
        created_s=seen.created_s,
        last_active_s=seen.last_active_s,
        commands=seen.commands,
        bytes_in=seen.bytes_in,
        bytes_out=seen.bytes_out,
    )
    other.engine.release(taken)
    client.board, client.seen = other, taken
    return taken


# All of them fit into a socket, which takes less of the same bytes when memory is in pieces.
@given(sizes=st.lists(st.integers(0, 10_000), min_size=1, max_size=8), at=st.floats(0, 1))
def test_every_reply_comes_wherever_the_bytes_are_cut(sizes: list[int], at: float) -> None:
    with Switchboard(SPECS) as board, Switchboard(SPECS) as other:
        for node in (*board.nodes, *other.nodes):
            node.answer = echo
        client = board.client()
        keys = [b"%d" % number + b"k" * size for number, size in enumerate(sizes)]
        wire = b"".join(encode_command(b"GET", key) for key in keys)
        cut = int(len(wire) * at)
        client.send(wire[:cut])
        before = client.read()

        board.engine.hold(client.seen)
        assert board.engine.is_at_rest(client.seen)
        move(client, board, other)
        client.send(wire[cut:])

        assert ReplyStream().feed(before + client.read()) == [bulk(key) for key in keys]
        assert not board.engine.clients
        assert board.engine.in_flight == other.engine.in_flight == 0


def test_who_waits_for_a_reply_is_not_at_rest(board: Switchboard, other: Switchboard) -> None:
    client = board.client()
    board.nodes[0].is_frozen = True
    get = encode_command(b"GET", NODE_0[0])
    client.send(get)
    board.settle()

    board.engine.hold(client.seen)
    client.send(get, encode_command(b"GET", NODE_1[0]))
    board.settle()
    was_at_rest = board.engine.is_at_rest(client.seen)
    asked = len(board.nodes[1].requests)
    board.nodes[0].is_frozen = False
    board.settle()
    move(client, board, other)

    assert not was_at_rest
    assert asked == 0
    assert client.read() == b"+OK\r\n" * 3
    assert len(other.nodes[0].requests) == 1


def test_who_does_not_read_is_not_at_rest(board: Switchboard) -> None:
    client = board.client()
    board.nodes[0].answer = lambda args: bulk(b"x" * 20_000)
    for _ in range(10):
        client.send(*[encode_command(b"GET", NODE_0[0])] * 5)
        board.settle()

    board.engine.hold(client.seen)

    assert not board.engine.is_at_rest(client.seen)


def test_who_is_held_back_by_a_pause_goes_along_with_what_it_sent(
    board: Switchboard, other: Switchboard
) -> None:
    client = board.client()
    for each in (board, other):
        each.engine.pause(only_writes=False)
    client.send(encode_command(b"GET", NODE_0[0]), encode_command(b"GET", NODE_1[0]))
    board.settle()
    board.engine.hold(client.seen)

    assert board.engine.is_at_rest(client.seen)
    move(client, board, other)
    board.engine.unpause()
    board.settle()
    other.settle()
    assert not other.nodes[0].requests
    other.engine.unpause()

    assert client.read() == b"+OK\r\n" * 2
    assert not board.nodes[0].requests
    assert board.engine.in_flight == other.engine.in_flight == 0


def test_who_is_released_goes_on_where_it_was(board: Switchboard) -> None:
    client = board.client()
    board.engine.hold(client.seen)
    client.send(encode_command(b"GET", NODE_0[0]))
    while_held = client.read()

    board.engine.release(client.seen)

    assert while_held == b""
    assert client.read() == b"+OK\r\n"


def test_it_is_the_same_client(board: Switchboard, other: Switchboard) -> None:
    client = board.client()
    client.ask(b"GET", NODE_0[0])
    before = client.seen
    board.engine.hold(before)

    taken = move(client, board, other)
    other.engine.next_client_id = taken.id + 1
    newcomer = other.client()

    assert (taken.id, taken.last_command, taken.commands) == (before.id, b"get", 1)
    assert (taken.created_s, taken.bytes_in) == (before.created_s, before.bytes_in)
    assert before.is_closed
    assert newcomer.seen.id == taken.id + 1


def test_the_end_of_what_a_client_says_goes_along(board: Switchboard, other: Switchboard) -> None:
    client = board.client()
    board.engine.hold(client.seen)
    client.send(encode_command(b"GET", NODE_0[0]))
    client.socket.shutdown(1)  # SHUT_WR
    board.settle()

    move(client, board, other)

    assert client.read() == b"+OK\r\n"
    assert not other.engine.clients


def test_what_the_control_plane_began_can_come_again(
    board: Switchboard, other: Switchboard
) -> None:
    client = board.client()
    board.control.punt_reply = None
    client.send(encode_command(b"BLPOP", NODE_0[0], b"0"), encode_command(b"GET", NODE_0[0]))
    board.settle()
    board.engine.hold(client.seen)

    board.engine.take_request_back(client.seen, encode_command(b"BLPOP", NODE_0[0], b"5"))
    assert board.engine.is_at_rest(client.seen)
    move(client, board, other)

    assert client.read() == b"+punted\r\n+OK\r\n"
    assert [args for _, args in other.control.named("punt")] == [[b"BLPOP", NODE_0[0], b"5"]]
    assert board.engine.in_flight == 0


def test_what_is_gone_cannot_come_again(board: Switchboard) -> None:
    client = board.client()
    board.control.punt_reply = None
    client.send(encode_command(b"BLPOP", NODE_0[0], b"0"))
    board.settle()
    client.seen.close()

    board.engine.take_request_back(client.seen, encode_command(b"BLPOP", NODE_0[0], b"5"))

    assert board.engine.in_flight == 0
    assert not board.engine.clients
