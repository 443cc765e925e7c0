"""Lines of MONITOR: what a server wrote comes back, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_log import quoted, written

from proxy.advise.monitor_log import Line, LineCutter, parse_line

ARGS = st.lists(st.binary(max_size=40), min_size=1, max_size=6)


def parsed(line: bytes, *, is_cut: bool = False) -> Line:
    found = parse_line(line, is_cut=is_cut)
    assert found is not None
    return found


@given(args=ARGS)
def test_any_bytes_come_back_as_they_were(args: list[bytes]) -> None:
    line = parsed(written(*args))

    assert line.args == tuple(args)


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_alone_comes_back(byte: int) -> None:
    line = parsed(written(b"SET", bytes([byte])))

    assert line.args == (b"SET", bytes([byte]))


def test_a_line_says_when_where_and_who() -> None:
    line = parsed(b'1339518083.107412 [3 127.0.0.1:60866] "keys" "*"')

    assert line == Line(1339518083107412, 3, "127.0.0.1:60866", False, (b"keys", b"*"))


@pytest.mark.parametrize(
    ("source", "address", "is_script"),
    [
        (b"127.0.0.1:60866", "127.0.0.1:60866", False),
        (b"[::1]:6379", "[::1]:6379", False),
        (b"unix:/tmp/redis.sock", "unix:/tmp/redis.sock", False),
        (b"unix:/tmp/a [b] c.sock", "unix:/tmp/a [b] c.sock", False),
        (b"unix:lua", "unix:lua", False),
        (b"lua", "", True),
    ],
)
def test_every_kind_of_source_is_known(source: bytes, address: str, is_script: bool) -> None:
    line = parsed(b'1.000002 [0 %b] "GET" "a"' % source)

    assert (line.address, line.is_script) == (address, is_script)


def test_the_wires_plus_is_no_part_of_the_time() -> None:
    line = parsed(b'+12.000001 [0 lua] "get" "a"')

    assert line.time_us == 12_000_001


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"OK",
        b"NOAUTH Authentication required.",
        b"Error: Server closed the connection",
        b"1.000001 [0 lua]",
        b'1.000001 [0 lua] "',
        b'1.000001 [0 lua] "get',
        b'1.000001 [0 lua] "get" ',
        b'1.000001 [0 lua] "get""a"',
        b'1.000001 [0 lua] "get"  "a"',
        b'1.000001 [0 lua] "get" a',
        b'1.000001 [0 lua] "a"b"',
        b'1.000001 [0 lua] "\\q"',
        b'1.000001 [0 lua] "\\x0"',
        b'1.000001 [0 lua] "\\"',
        b'1.001 [0 lua] "get"',
        b'x.000001 [0 lua] "get"',
        b'1.000001 [lua] "get"',
        b'1.000001 [0lua] "get"',
    ],
)
def test_what_is_no_such_line_is_none(line: bytes) -> None:
    assert parse_line(line) is None


@given(line=st.binary(max_size=80))
def test_no_bytes_make_the_parser_fail(line: bytes) -> None:
    parse_line(line)
    parse_line(b'1.000001 [0 lua] "' + line)
    parse_line(b'1.000001 [0 lua] "' + line, is_cut=True)


@given(args=ARGS, data=st.data())
def test_a_cut_line_gives_the_beginning_of_what_was_there(
    args: list[bytes], data: st.DataObject
) -> None:
    whole = written(*args)
    head = len(whole) - len(b" ".join(map(quoted, args)))
    end = data.draw(st.integers(head + 1, len(whole)))

    line = parsed(whole[:end], is_cut=True)

    *complete, last = line.args
    assert complete == args[: len(complete)]
    assert args[len(complete)].startswith(last)


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=8),
    data=st.data(),
)
def test_a_stream_is_cut_into_lines_wherever_it_was_cut(
    lines: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    cutter = LineCutter()

    found = [
        line
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for line in cutter.feed(stream[start:end])
    ]

    assert found == [(line.removesuffix(b"\r"), False) for line in lines]
    assert cutter.end() == []


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize(("length", "is_cut"), [(9, False), (10, False), (11, True), (1000, True)])
def test_a_line_is_kept_up_to_the_limit_and_said_to_be_cut(
    step: int, length: int, is_cut: bool
) -> None:
    stream = b"x" * length + b"\r\nshort\r\n"
    cutter = LineCutter(10)

    found = [
        line for at in range(0, len(stream), step) for line in cutter.feed(stream[at : at + step])
    ]

    assert found == [(b"x" * min(length, 10), is_cut), (b"short", False)]


def test_after_a_gap_the_rest_of_the_broken_line_is_left_out() -> None:
    cutter = LineCutter()
    cutter.feed(b"whole\nbroken of")

    cutter.drop()

    assert cutter.feed(b"f middle") == []
    assert cutter.feed(b" of it\nnext\n") == [(b"next", False)]


def test_a_last_line_without_its_end_is_given_at_the_end() -> None:
    cutter = LineCutter()

    assert cutter.feed(b"one\ntwo") == [(b"one", False)]
    assert cutter.end() == [(b"two", False)]
