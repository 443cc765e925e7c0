"""Commands over several slots are split by slot, and merged by position."""

from __future__ import annotations

from itertools import chain

import pytest
from split_board import NODE_0, NODE_1, NODE_2, answer_all, keys_as_values, sent
from switchboard import FakeClient, Switchboard

from proxy.dataplane.hooks import Punt
from proxy.dataplane.tables import key_slot
from proxy.resp.encode import array, bulk, integer


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
