"""Split commands keep their place in the order, and are never half told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from split_board import NODE_0, NODE_1, NODE_2, SPECS, answer_all, keys_as_values, sent
from switchboard import SLOTS, FakeClient, Switchboard

from proxy.dataplane.hooks import Action
from proxy.dataplane.tables import key_slot
from proxy.resp.encode import array, bulk, encode_command, integer


def test_a_split_request_waits_for_its_turn_and_others_for_it(
    board: Switchboard, client: FakeClient
) -> None:
    answer_all(board, keys_as_values)
    slow = board.nodes[0]
    slow.is_frozen = True
    client.send(
        encode_command(b"GET", NODE_0[0]),
        encode_command(b"MGET", NODE_1[0], NODE_2[0]),
        encode_command(b"GET", NODE_2[0]),
    )
    before = client.read()

    slow.is_frozen = False
    after = client.read()

    assert before == b""
    assert after == (
        array([bulk(NODE_0[0])])
        + array([bulk(NODE_1[0]), bulk(NODE_2[0])])
        + array([bulk(NODE_2[0])])
    )


def test_a_client_may_leave_while_a_split_request_waits_for_its_turn(
    board: Switchboard, client: FakeClient
) -> None:
    board.nodes[0].is_frozen = True
    answer_all(board, keys_as_values)
    client.send(
        encode_command(b"GET", NODE_0[0]),
        encode_command(b"MGET", NODE_1[0], NODE_2[0]),
        encode_command(b"MGET", NODE_0[0], NODE_2[0]),
        encode_command(b"GET", NODE_0[0]),
    )
    board.settle()

    client.seen.close()
    board.nodes[0].is_frozen = False
    board.settle()

    assert board.engine.in_flight == 0
    assert client.seen.is_closed


def test_a_refused_part_is_sent_again_alone(board: Switchboard, client: FakeClient) -> None:
    answer_all(board, keys_as_values)
    board.control.verdict = (Action.BY_MAP, -1, 0.0)
    refusals = iter([b"-TRYAGAIN later\r\n"])
    board.nodes[1].answer = lambda args: next(refusals, None) or keys_as_values(args)

    reply = client.ask(b"MGET", NODE_0[0], NODE_1[0])

    assert reply == array([bulk(NODE_0[0]), bulk(NODE_1[0])])
    assert sent(board)[0] == [[b"MGET", NODE_0[0]]]
    assert sent(board)[1] == [[b"MGET", NODE_1[0]]] * 2


def test_a_request_is_sent_again_behind_a_split_one_that_is_already_answered(
    board: Switchboard, client: FakeClient
) -> None:
    answer_all(board, keys_as_values)
    board.control.verdict = (Action.BY_MAP, -1, 0.0)
    refusals = iter([b"-TRYAGAIN later\r\n"])
    board.nodes[0].answer = lambda args: next(refusals, None) or keys_as_values(args)

    client.send(encode_command(b"GET", NODE_0[0]), encode_command(b"MGET", NODE_1[0], NODE_2[0]))

    assert client.read() == (array([bulk(NODE_0[0])]) + array([bulk(NODE_1[0]), bulk(NODE_2[0])]))


def test_a_write_is_not_sent_again_when_a_later_part_on_its_slot_has_run(
    board: Switchboard, client: FakeClient
) -> None:
    board.control.verdict = (Action.BY_MAP, -1, 0.0)
    refusals = iter([b"-TRYAGAIN later\r\n"])
    board.nodes[0].answer = lambda args: next(refusals, None) or b"+OK\r\n"
    board.nodes[2].is_frozen = True
    # The first reply cannot leave before the node that hangs has answered.
    client.send(
        encode_command(b"GET", NODE_2[0]),
        encode_command(b"DEL", NODE_0[0]),
        encode_command(b"MSET", NODE_0[0], b"new", NODE_1[0], b"x"),
    )
    board.settle()
    board.nodes[2].is_frozen = False

    assert client.read() == b"+OK\r\n-TRYAGAIN later\r\n+OK\r\n"
    assert sent(board)[0] == [[b"DEL", NODE_0[0]], [b"MSET", NODE_0[0], b"new"]]


def test_a_part_whose_connection_is_lost_is_sent_again_if_it_only_reads(
    board: Switchboard, client: FakeClient
) -> None:
    answer_all(board, keys_as_values)
    lost = board.nodes[1]
    lost.is_frozen = True
    client.send(encode_command(b"MGET", NODE_0[0], NODE_1[0]))
    board.settle()

    board.engine.drop(lost.pipeline)
    lost.connect()
    lost.is_frozen = False

    assert client.read() == array([bulk(NODE_0[0]), bulk(NODE_1[0])])


def test_a_part_that_writes_and_is_lost_makes_the_whole_an_error(
    board: Switchboard, client: FakeClient
) -> None:
    lost = board.nodes[1]
    lost.answer = lambda args: None
    client.send(encode_command(b"MSET", NODE_0[0], b"1", NODE_1[0], b"2"))
    board.settle()

    board.engine.drop(lost.pipeline)

    assert client.read() == b"-FAILED 1 of 2: -LOST write=1\r\n"


def test_a_part_whose_slot_has_no_owner_waits_and_nothing_else_does(
    board: Switchboard, client: FakeClient
) -> None:
    owners: list[int | None] = [slot % 3 for slot in range(SLOTS)]
    owners[key_slot(NODE_0[0])] = None
    board.install(owners)

    client.send(encode_command(b"MSET", NODE_0[0], b"1", NODE_1[0], b"2"))
    board.settle()

    assert board.control.named("uncovered") == [(key_slot(NODE_0[0]),)]
    assert sent(board) == [[], [[b"MSET", NODE_1[0], b"2"]], []]


# ---- generated -----------------------------------------------------------------------------

some_keys = st.sampled_from([b"k%d" % n for n in range(12)] + [b"{k1}x", b"", b"{", b"a\r\nb"])
some_values = st.binary(max_size=200)


class Store:
    """What the nodes hold: one store, as every key lives in one place only."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def answer(self, args: list[bytes]) -> bytes:
        """Do one part, and see that all its keys are of one slot."""
        name, rest = args[0], args[1:]
        keys = rest[::2] if name == b"MSET" else rest
        assert len({key_slot(key) for key in keys}) == 1
        if name == b"MSET":
            self.values.update(zip(keys, rest[1::2], strict=True))
            return b"+OK\r\n"
        if name == b"MGET":
            return array([bulk(self.values.get(key)) for key in keys])
        return integer(sum(self.values.pop(key, None) is not None for key in keys))


@given(
    st.lists(
        st.one_of(
            st.lists(st.tuples(some_keys, some_values), min_size=1, max_size=20),
            st.tuples(st.sampled_from([b"MGET", b"DEL"]), st.lists(some_keys, min_size=1)),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_split_commands_do_what_one_server_would_do(
    steps: list[list[tuple[bytes, bytes]] | tuple[bytes, list[bytes]]],
) -> None:
    requests = [
        [b"MSET", *(word for pair in step for word in pair)]
        if isinstance(step, list)
        else [step[0], *step[1]]
        for step in steps
    ]
    one_server: dict[bytes, bytes] = {}
    expected = b"".join(run_alone(one_server, args) for args in requests)

    with Switchboard(SPECS) as board:
        answer_all(board, Store().answer)
        client = board.client()
        client.send(*[encode_command(*args) for args in requests])
        replies = client.read()

    assert replies == expected


def run_alone(values: dict[bytes, bytes], args: list[bytes]) -> bytes:
    """Do a whole command, as a server without slots does."""
    name, rest = args[0], args[1:]
    if name == b"MSET":
        values.update(zip(rest[::2], rest[1::2], strict=True))
        return b"+OK\r\n"
    if name == b"MGET":
        return array([bulk(values.get(key)) for key in rest])
    return integer(sum(values.pop(key, None) is not None for key in rest))
