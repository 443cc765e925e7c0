"""Inline commands are cut as a Redis server cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.resp.inline import split_inline

# What Redis 7.0.15 made of these lines.
LINES = {
    "words": (b"SET foo bar", [b"SET", b"foo", b"bar"]),
    "blank": (b" \t ", []),
    "nothing": (b"", []),
    "blanks around": (b"  get\t a  \r\n", [b"get", b"a"]),
    "a form feed is no blank inside a word": (b"\fget a\fb", [b"get", b"a\fb"]),
    "double quotes": (b'set a "b c"', [b"set", b"a", b"b c"]),
    "empty argument": (b'set a ""', [b"set", b"a", b""]),
    "escapes": (rb'"\n\r\t\b\a\\\"\q"', [b'\n\r\t\b\a\\"q']),
    "hexadecimal": (rb'"\x41\xfF"', [b"A\xff"]),
    "half a hexadecimal": (rb'"\x4g"', [b"x4g"]),
    "single quotes keep backslashes": (rb"'a\n' 'it\'s'", [rb"a\n", b"it's"]),
    "a double quote in single quotes": (b"'\"'", [b'"']),
    "quotes may open inside a word": (b"key'a b'", [b"keya b"]),
    "any other byte": (b"set \xff\x01 b", [b"set", b"\xff\x01", b"b"]),
    "a NUL ends the line": (b"get a\x00b c", [b"get", b"a"]),
    "double quote left open": (b'set a "b', None),
    "single quote left open": (b"set a 'b", None),
    "escaped end": (b'set a "b\\"', None),
    "escaped end, single": (b"set a 'b\\'", None),
    "backslash at the end": (b'set a "b\\', None),
    "a word after a closing quote": (b'set a "b"c', None),
    "a quote after a closing quote": (b"set a 'b''c'", None),
    "a NUL in quotes": (b'set a "b\x00"', None),
}


@pytest.mark.parametrize(("line", "args"), LINES.values(), ids=LINES.keys())
def test_a_line_is_cut_as_redis_cuts_it(line: bytes, args: list[bytes] | None) -> None:
    assert split_inline(line) == args


@given(st.lists(st.binary(), min_size=1))
def test_what_is_quoted_in_hexadecimal_comes_out_as_it_was(args: list[bytes]) -> None:
    line = b" ".join(
        b'"%b"' % b"".join(b"\\x%02x" % byte for byte in argument) for argument in args
    )

    assert split_inline(line) == args


@given(st.binary())
def test_any_line_is_cut_or_refused(line: bytes) -> None:
    args = split_inline(line)

    assert args is None or all(isinstance(argument, bytes) for argument in args)


def test_a_long_line_of_open_quotes_is_not_gone_over_again_and_again() -> None:
    # Quadratic work on these would take minutes, and the timeout of the run would tell.
    for line in (b'"' + b"a\\" * 500_000, b"'" + b"\\'" * 500_000, b'"\\x' * 300_000):
        assert split_inline(line) is None
