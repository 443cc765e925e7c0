"""Blocking commands read and rewritten: timeouts, fewer keys, what gives an element back."""

from __future__ import annotations

import pytest

from proxy.errors import BackendProtocolError
from proxy.sessions import blocking_words as words


def said(line: str) -> list[bytes]:
    return line.encode().split()


TIMEOUTS = {
    "BLPOP k 1": 1.0,
    "BLPOP k 0": words.FOR_EVER,
    "BLPOP k 0.0001": 0.001,  # rounded up to milliseconds
    "BLPOP k 1e2": 100.0,
    "BLPOP k 0x10": 16.0,
    "BLPOP k -0.0001": words.FOR_EVER,  # -0 milliseconds, as both engines have it
    "BLPOP k -1": None,
    "BLPOP k abc": None,
    "BLPOP k nan": None,
    "BLPOP k inf": None,
    "BLPOP k 1e500": None,
    "BLPOP k 1_0": None,
    "BLMOVE a b LEFT LEFT 2.5": 2.5,
    "BLMPOP 3 2 a b LEFT": 3.0,
    "BZMPOP 3 1 a MIN COUNT 2": 3.0,
    "XREAD COUNT 1 BLOCK 1500 STREAMS a b $ $": 1.5,
    "XREAD BLOCK 0 STREAMS a $": words.FOR_EVER,
    "XREAD BLOCK 1.5 STREAMS a $": None,
    "XREAD BLOCK -1 STREAMS a $": None,
    "XREADGROUP GROUP BLOCK BLOCK BLOCK 20 NOACK STREAMS a >": 0.02,
    "XREADGROUP GROUP BLOCK 5 STREAMS a >": None,
}


@pytest.mark.parametrize(("line", "seconds"), TIMEOUTS.items())
def test_the_timeout_is_read_as_a_server_reads_it(line: str, seconds: float | None) -> None:
    args = said(line)

    assert words.timeout_s(args[0].lower(), args) == seconds


def test_a_blank_before_the_timeout_is_no_number() -> None:
    assert words.timeout_s(b"blpop", [b"BLPOP", b"k", b" 1"]) is None


REST = {
    ("BLPOP k 5", 2.5): "BLPOP k 2.500",
    ("BLPOP k 5", 0.0004): "BLPOP k 0.001",
    ("BLPOP k 0", words.FOR_EVER): "BLPOP k 0",
    ("BLMPOP 5 1 k LEFT", 1.25): "BLMPOP 1.250 1 k LEFT",
    ("XREAD BLOCK 5000 STREAMS k $", 0.0123): "XREAD BLOCK 13 STREAMS k $",
    ("XREAD BLOCK 5000 STREAMS k $", words.LEAST_S): "XREAD BLOCK 1 STREAMS k $",
}


@pytest.mark.parametrize(("line", "seconds", "rest"), [(*key, rest) for key, rest in REST.items()])
def test_the_rest_of_the_time_takes_the_timeouts_place(
    line: str, seconds: float, rest: str
) -> None:
    args = said(line)

    assert words.with_timeout(args[0].lower(), args, seconds) == said(rest)


AT_ONCE = {
    "BLPOP a b 1": "LPOP b",
    "BRPOP a b 1": "RPOP b",
    "BZPOPMIN a b 1": "ZPOPMIN b",
    "BZPOPMAX a b 1": "ZPOPMAX b",
    "BLMPOP 1 2 a b RIGHT COUNT 3": "LMPOP 1 b RIGHT COUNT 3",
    "BZMPOP 1 2 a b MAX": "ZMPOP 1 b MAX",
}


@pytest.mark.parametrize(("line", "at_once"), AT_ONCE.items())
def test_a_pop_has_a_form_for_one_key_that_does_not_block(line: str, at_once: str) -> None:
    args = said(line)

    assert words.without_blocking(args[0].lower(), args, b"b") == said(at_once)


TAKEN = {
    ("blpop", b"$1\r\nx\r\n"): b"*2\r\n$1\r\nk\r\n$1\r\nx\r\n",
    ("blpop", b"$-1\r\n"): None,
    ("blpop", b"_\r\n"): None,
    ("blpop", b"-WRONGTYPE no\r\n"): b"-WRONGTYPE no\r\n",
    ("blpop", b"$0\r\n\r\n"): b"*2\r\n$1\r\nk\r\n$0\r\n\r\n",
    ("bzpopmin", b"*2\r\n$1\r\nm\r\n$1\r\n1\r\n"): b"*3\r\n$1\r\nk\r\n$1\r\nm\r\n$1\r\n1\r\n",
    ("bzpopmin", b"*2\r\n$1\r\nm\r\n,1\r\n"): b"*3\r\n$1\r\nk\r\n$1\r\nm\r\n,1\r\n",
    ("bzpopmin", b"*0\r\n"): None,
    ("blmpop", b"*2\r\n$1\r\nk\r\n*1\r\n$1\r\nx\r\n"): b"*2\r\n$1\r\nk\r\n*1\r\n$1\r\nx\r\n",
    ("blmpop", b"*-1\r\n"): None,
    ("bzmpop", b"_\r\n"): None,
}


@pytest.mark.parametrize(
    ("name", "frame", "reply"), [(*key, reply) for key, reply in TAKEN.items()]
)
def test_the_reply_gets_the_blocking_commands_shape(
    name: str, frame: bytes, reply: bytes | None
) -> None:
    assert words.taken_by(name.encode(), b"k", frame) == reply


PLAIN = ["BLPOP a b 0", "BRPOP a b 10.25", "BLMPOP 1 2 a b left", "BZMPOP 0 2 a b MAX COUNT 7"]
NOT_PLAIN = [
    "BLPOP a b -1",
    "BLPOP a b 1e2",
    "BLMPOP x 2 a b LEFT",
    "BLMPOP 1 2 a b MIN",
    "BLMPOP 1 2 a b",
    "BLMPOP 1 2 a b LEFT COUNT 0",
    "BLMPOP 1 2 a b LEFT COUNT",
    "BZMPOP 1 2 a b LEFT",
]


@pytest.mark.parametrize("line", PLAIN)
def test_what_no_server_refuses_is_plain(line: str) -> None:
    assert words.is_plain(said(line)[0].lower(), said(line))


@pytest.mark.parametrize("line", NOT_PLAIN)
def test_what_a_server_might_refuse_is_not_plain(line: str) -> None:
    assert not words.is_plain(said(line)[0].lower(), said(line))


GIVEN_BACK = {
    ("BLPOP k j 1", b"*2\r\n$1\r\nk\r\n$1\r\nx\r\n"): "LPUSH k x",
    ("BRPOP k j 1", b"*2\r\n$1\r\nj\r\n$1\r\nx\r\n"): "RPUSH j x",
    ("BLMPOP 1 1 k LEFT COUNT 3", b"*2\r\n$1\r\nk\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"): "LPUSH k b a",
    ("BLMPOP 1 1 k right COUNT 3", b"*2\r\n$1\r\nk\r\n*2\r\n$1\r\nz\r\n$1\r\ny\r\n"): "RPUSH k y z",
    ("BZPOPMIN k 1", b"*3\r\n$1\r\nk\r\n$1\r\nm\r\n$4\r\n1.25\r\n"): "ZADD k NX 1.25 m",
    ("BZPOPMAX k 1", b"*3\r\n$1\r\nk\r\n$1\r\nm\r\n,inf\r\n"): "ZADD k NX inf m",
    (
        "BZMPOP 1 1 k MIN COUNT 2",
        b"*2\r\n$1\r\nk\r\n*2\r\n*2\r\n$1\r\nm\r\n$1\r\n1\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n",
    ): "ZADD k NX 1 m 2 n",
}


@pytest.mark.parametrize(
    ("line", "frame", "command"), [(*key, command) for key, command in GIVEN_BACK.items()]
)
def test_what_was_taken_goes_back_to_the_end_it_came_from(
    line: str, frame: bytes, command: str
) -> None:
    args = said(line)

    assert words.giving_back(args[0].lower(), args, frame) == said(command)


NOTHING_TO_GIVE = {
    "nil": ("BLPOP k 1", b"*-1\r\n"),
    "nil of RESP3": ("BLPOP k 1", b"_\r\n"),
    "an error": ("BLPOP k 1", b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
    "moved to where it was wanted": ("BLMOVE a b LEFT LEFT 1", b"$1\r\nx\r\n"),
    "pending in its group": (
        "XREADGROUP GROUP g c BLOCK 1 STREAMS s >",
        b"*1\r\n*2\r\n$1\r\ns\r\n*0\r\n",
    ),
}


@pytest.mark.parametrize(("line", "frame"), NOTHING_TO_GIVE.values(), ids=NOTHING_TO_GIVE.keys())
def test_what_took_nothing_gives_nothing_back(line: str, frame: bytes) -> None:
    args = said(line)

    assert words.giving_back(args[0].lower(), args, frame) is None


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        ("BLPOP k 1", b"*2\r\n:1\r\n:2\r\n"),
        ("BLPOP k 1", b"*1\r\n$1\r\nk\r\n"),
        ("BLMPOP 1 1 k LEFT", b"*2\r\n$1\r\nk\r\n:1\r\n"),
        ("BZMPOP 1 1 k MIN", b"*2\r\n$1\r\nk\r\n*1\r\n*1\r\n+x\r\n"),
    ],
)
def test_what_is_no_reply_of_a_pop_is_a_protocol_error(line: str, frame: bytes) -> None:
    args = said(line)

    with pytest.raises(BackendProtocolError):
        words.giving_back(args[0].lower(), args, frame)


def test_streams_are_chosen_with_their_ids() -> None:
    args = said("XREADGROUP GROUP BLOCK c COUNT 2 BLOCK 5 NOACK STREAMS a b c > 0 1-1")
    streams = words.parse_streams(args)
    assert streams is not None

    waiting = words.only_streams(args, streams, [0, 2], blocking=True)
    reading = words.only_streams(args, streams, [1], blocking=False)

    assert waiting == said("XREADGROUP GROUP BLOCK c COUNT 2 BLOCK 5 NOACK STREAMS a c > 1-1")
    assert reading == said("XREADGROUP GROUP BLOCK c COUNT 2 NOACK STREAMS b 0")


@pytest.mark.parametrize(
    "line",
    [
        "XREAD BLOCK 1 STREAMS a b 0",
        "XREAD BLOCK 1 STREAMS",
        "XREAD BLOCK 1",
        "XREAD FOO 1 STREAMS",
    ],
)
def test_streams_that_a_server_refuses_are_left_to_it(line: str) -> None:
    assert words.parse_streams(said(line)) is None


def test_the_newest_id_is_fixed_where_it_was_asked_for() -> None:
    args = said("XREAD BLOCK 5 STREAMS a b c $ 0 $")
    streams = words.parse_streams(args)
    assert streams is not None

    newest = words.newest_streams(b"xread", args, streams)
    fixed = words.with_ids(args, streams, {0: b"5-1", 2: b"0-0"})

    assert newest == [0, 2]
    assert fixed == said("XREAD BLOCK 5 STREAMS a b c 5-1 0 0-0")


LAST_IDS = {
    b"*1\r\n*2\r\n$3\r\n5-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n": b"5-1",
    b"*0\r\n": b"0-0",
    b"-WRONGTYPE Operation against a key\r\n": None,
}


@pytest.mark.parametrize(("frame", "entry_id"), LAST_IDS.items())
def test_the_last_id_is_the_newest_entrys_or_that_before_all(
    frame: bytes, entry_id: bytes | None
) -> None:
    assert words.last_id(frame) == entry_id
