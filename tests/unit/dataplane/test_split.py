"""Commands over several slots are split by slot, merged by position, and never half told."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from switchboard import SLOTS, Answer, FakeClient, Switchboard, key_count, key_range, spec_of

from proxy.commands.spec import CommandSpec, Merge, Road
from proxy.dataplane.hooks import Action, Punt
from proxy.dataplane.tables import key_slot
from proxy.resp.encode import array, bulk, encode_command, integer


def split_spec(name: bytes, merge: Merge, **more: object) -> CommandSpec:
    """Return the row of a command whose keys are all its arguments."""
    return spec_of(name, key_range(1, -1), arity=-2, road=Road.SPLIT, merge=merge, **more)


SPECS = [
    spec_of(b"get", key_range(), arity=2, is_write=False),
    spec_of(b"rename", key_range(1, 1), arity=3),
    split_spec(b"mget", Merge.ARRAY, is_write=False),
    split_spec(b"del", Merge.SUM),
    split_spec(b"all", Merge.AND),
    split_spec(b"any", Merge.OR),
    split_spec(b"least", Merge.MIN),
    split_spec(b"most", Merge.MAX),
    split_spec(b"check", Merge.ALL_OK),
    spec_of(b"mset", key_range(1, -1, 2), arity=-3, road=Road.SPLIT, merge=Merge.ALL_OK),
    spec_of(
        b"msetex",
        key_count(1, 0, 1, 2),
        arity=-4,
        road=Road.SPLIT,
        merge=Merge.ALL_OK,
        unsplittable_if=(b"NX", b"XX"),
    ),
    spec_of(b"x.mget", key_range(2, -2), arity=-4, road=Road.SPLIT, merge=Merge.ARRAY),
]

# Of nodes 0, 1 and 2, as slot % 3 has it; two of them each, in two slots.
NODE_0 = [b"k5", b"k7"]
NODE_1 = [b"k1", b"k3"]
NODE_2 = [b"k0", b"k2"]


@pytest.fixture
def board() -> Iterator[Switchboard]:
    """Return three nodes that answer +OK, behind an engine."""
    with Switchboard(SPECS) as board:
        yield board


@pytest.fixture
def client(board: Switchboard) -> FakeClient:
    """Return a client of theirs."""
    return board.client()


def answer_all(board: Switchboard, answer: Answer) -> None:
    """Let every node answer so."""
    for node in board.nodes:
        node.answer = answer


def sent(board: Switchboard) -> list[list[list[bytes]]]:
    """Return what each node was sent."""
    return [node.requests for node in board.nodes]


def keys_as_values(args: list[bytes]) -> bytes:
    """Answer MGET with the keys themselves."""
    return array([bulk(key) for key in args[1:]])


def test_the_keys_of_these_tests_lie_where_they_say() -> None:
    for node, keys in enumerate((NODE_0, NODE_1, NODE_2)):
        assert [key_slot(key) % 3 for key in keys] == [node, node]
        assert key_slot(keys[0]) != key_slot(keys[1])


# ---- how a request is split -----------------------------------------------------------


def test_a_part_goes_to_each_slot_even_if_one_node_has_both(
    board: Switchboard, client: FakeClient
) -> None:
    client.ask(b"MSET", NODE_0[0], b"1", NODE_1[0], b"2", NODE_0[1], b"3")

    assert sent(board) == [
        [[b"MSET", NODE_0[0], b"1"], [b"MSET", NODE_0[1], b"3"]],
        [[b"MSET", NODE_1[0], b"2"]],
        [],
    ]


def test_keys_of_one_slot_are_not_split(board: Switchboard, client: FakeClient) -> None:
    client.ask(b"MSET", b"{a}1", b"x", b"{a}2", b"y")

    assert list(chain(*sent(board))) == [[b"MSET", b"{a}1", b"x", b"{a}2", b"y"]]
    assert board.engine.splits == 0


def test_a_key_that_comes_twice_keeps_both_its_values_in_order(
    board: Switchboard, client: FakeClient
) -> None:
    client.ask(b"MSET", NODE_0[0], b"1", NODE_1[0], b"x", NODE_0[0], b"2")

    assert sent(board)[0] == [[b"MSET", NODE_0[0], b"1", NODE_0[0], b"2"]]


def test_arguments_around_the_keys_go_with_every_part(
    board: Switchboard, client: FakeClient
) -> None:
    answer_all(board, lambda args: array([bulk(key) for key in args[2:-1]]))

    reply = client.ask(b"X.MGET", b"opt", NODE_0[0], NODE_1[0], b"$.path")

    assert reply == array([bulk(NODE_0[0]), bulk(NODE_1[0])])
    assert sent(board)[0] == [[b"X.MGET", b"opt", NODE_0[0], b"$.path"]]
    assert sent(board)[1] == [[b"X.MGET", b"opt", NODE_1[0], b"$.path"]]


def test_a_number_of_keys_is_that_of_the_part(board: Switchboard, client: FakeClient) -> None:
    pairs = [b"{a}%d" % n for n in range(11)]  # a number with two digits becomes one with one
    groups = [word for key in pairs for word in (key, b"v")]

    client.ask(b"MSETEX", b"12", *groups[:20], NODE_0[0], b"", *groups[20:], b"EX", b"100")

    parts = sorted(chain(*sent(board)), key=len)
    assert parts == [
        [b"MSETEX", b"1", NODE_0[0], b"", b"EX", b"100"],
        [b"MSETEX", b"11", *groups, b"EX", b"100"],
    ]


def test_any_bytes_stay_as_they_are(board: Switchboard, client: FakeClient) -> None:
    value = bytes(range(256)) + b"\r\n*3\r\n$-1\r\n"

    client.ask(b"mSeT", NODE_0[0], value, NODE_1[0], b"", b"\xff\r\n", b"x")

    parts = list(chain(*sent(board)))
    assert [b"mSeT", NODE_0[0], value] in parts
    assert [b"mSeT", NODE_1[0], b""] in parts
    assert [b"mSeT", b"\xff\r\n", b"x"] in parts


@pytest.mark.parametrize(
    ("args", "reason"),
    {
        "it is not to be split": ([b"RENAME", NODE_0[0], NODE_1[0]], Punt.CROSS_SLOT),
        "a word behind the keys forbids it": (
            [b"MSETEX", b"2", NODE_0[0], b"1", NODE_1[0], b"2", b"EX", b"9", b"nx"],
            Punt.CROSS_SLOT,
        ),
        "the last group is cut short": (
            [b"MSET", NODE_0[0], b"1", NODE_1[0]],
            Punt.ARITY,
        ),
    }.values(),
)
def test_what_cannot_be_split_is_sent_nowhere(
    board: Switchboard, client: FakeClient, args: list[bytes], reason: Punt
) -> None:
    assert client.ask(*args) == b"+punted\r\n"
    assert board.control.named("punt") == [(reason, args)]
    assert sent(board) == [[], [], []]


def test_the_forbidding_word_among_the_keys_forbids_nothing(
    board: Switchboard, client: FakeClient
) -> None:
    assert client.ask(b"MSETEX", b"2", b"nx", b"xx", NODE_1[0], b"NX") == b"+OK\r\n"
    assert board.control.named("punt") == []


# ---- how the replies become one ---------------------------------------------------------


def test_values_come_in_the_order_of_the_keys(board: Switchboard, client: FakeClient) -> None:
    answer_all(board, keys_as_values)
    keys = [NODE_2[1], NODE_0[0], NODE_1[0], NODE_0[0], NODE_2[0], NODE_2[1]]

    assert client.ask(b"MGET", *keys) == array([bulk(key) for key in keys])


def test_values_of_any_type_are_taken_as_they_are(board: Switchboard, client: FakeClient) -> None:
    values = {
        NODE_0[0]: b"$-1\r\n",
        NODE_1[0]: b"*2\r\n:1\r\n*1\r\n+x\r\n",
        NODE_2[0]: b"|1\r\n+a\r\n:1\r\n%1\r\n+k\r\n_\r\n",
        NODE_0[1]: b"-ERR a value may be one\r\n",
    }
    answer_all(board, lambda args: array([values[key] for key in args[1:]]))

    assert client.ask(b"MGET", *values) == array(list(values.values()))


NUMBERS = {
    "sum": (b"DEL", [3, 0, 4], 7),
    "all": (b"ALL", [1, 1, 1], 1),
    "not all": (b"ALL", [1, 0, 1], 0),
    "any": (b"ANY", [0, 0, 1], 1),
    "none": (b"ANY", [0, 0, 0], 0),
    "least": (b"LEAST", [5, -3, 4], -3),
    "most": (b"MOST", [-5, -3, -4], -3),
}


@pytest.mark.parametrize(("name", "numbers", "whole"), NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_become_one_by_the_rows_policy(
    board: Switchboard, client: FakeClient, name: bytes, numbers: list[int], whole: int
) -> None:
    for node, number in zip(board.nodes, numbers, strict=True):
        node.answer = lambda args, number=number: integer(number)

    assert client.ask(name, NODE_0[0], NODE_1[0], NODE_2[0]) == integer(whole)


def test_the_first_reply_stands_for_all_that_succeeded(
    board: Switchboard, client: FakeClient
) -> None:
    for node, word in zip(board.nodes, (b"+A\r\n", b"+B\r\n", b"+C\r\n"), strict=True):
        node.answer = lambda args, word=word: word

    assert client.ask(b"CHECK", NODE_1[0], NODE_0[0], NODE_2[0]) == b"+B\r\n"


UNLIKE = {
    "a number among arrays": (b"MGET", b":1\r\n"),
    "too few values": (b"MGET", b"*0\r\n"),
    "too many values": (b"MGET", b"*2\r\n$-1\r\n$-1\r\n"),
    "a null array": (b"MGET", b"*-1\r\n"),
    "a string among numbers": (b"DEL", b"+OK\r\n"),
    "a null among numbers": (b"DEL", b"$-1\r\n"),
    "no number": (b"DEL", b":x\r\n"),
}


@pytest.mark.parametrize(("name", "odd"), UNLIKE.values(), ids=UNLIKE.keys())
def test_replies_that_do_not_fit_together_are_an_error(
    board: Switchboard, client: FakeClient, name: bytes, odd: bytes
) -> None:
    answer_all(board, keys_as_values if name == b"MGET" else lambda args: integer(1))
    board.nodes[1].answer = lambda args: odd

    reply = client.ask(name, NODE_0[0], NODE_1[0], NODE_2[0])

    assert reply == b"-DIFFER %b\r\n" % name.lower()


@pytest.mark.parametrize("name", [b"MGET", b"DEL", b"CHECK"])
@pytest.mark.parametrize("error", [b"-ERR no\r\n", b"!6\r\nERR no\r\n"])
def test_a_failed_part_makes_the_whole_an_error_that_says_how_many(
    board: Switchboard, client: FakeClient, name: bytes, error: bytes
) -> None:
    answer_all(board, keys_as_values if name == b"MGET" else lambda args: integer(1))
    board.nodes[1].answer = lambda args: error

    reply = client.ask(name, NODE_0[0], *NODE_1, NODE_2[0])

    assert reply == b"-FAILED 2 of 4: %b\r\n" % b" ".join(error.split())


# ---- order, and what may happen meanwhile --------------------------------------------------


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
