"""Patterns of KEYS and SCAN. The servers are asked about random ones in tests/live/test_scan.py."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.slots import key_slot
from proxy.commands.glob import compile_glob, key_like, may_match_beginning

# pattern, keys that match, keys that do not
CASES = {
    "a word": (b"user", [b"user"], [b"User", b"users", b"use", b""]),
    "a star": (b"u*r", [b"ur", b"user", b"u\n\xffr"], [b"u", b"users"]),
    "stars in a row": (b"u**r*", [b"ur", b"user:1"], [b"u"]),
    "a question mark": (b"u?r", [b"uer", b"u\nr", b"u\xffr"], [b"ur", b"ueer"]),
    "a class": (b"[abc]", [b"a", b"c"], [b"d", b"", b"ab"]),
    "a negated class": (b"[^ab]x", [b"cx", b"^x"], [b"ax", b"x"]),
    "a range": (b"[b-d]", [b"b", b"c", b"d"], [b"a", b"e", b"-"]),
    "a range turned round": (b"[d-b]", [b"b", b"c", b"d"], [b"a", b"e"]),
    "a range of signed bytes": (b"[\x80-\x01]", [b"\x80", b"\xff", b"\x00"], [b"\x02", b"\x7f"]),
    "a class without its end": (b"x[ab", [b"xa", b"xb"], [b"x", b"xab", b"x["]),
    "an empty class": (b"[]a]", [], [b"]", b"a", b"]a]"]),
    "a negated class without anything": (b"[^", [b"a", b"^", b"\n"], [b"", b"ab"]),
    "a dash before the end of a class": (b"[a-]", [b"]", b"a", b"_"], [b"-", b"b"]),
    "an escape": (b"a\\*b", [b"a*b"], [b"ab", b"axb", b"a\\*b"]),
    "an escape in a class": (b"[\\]]", [b"]"], [b"\\"]),
    "an escape at the end": (b"a\\", [b"a\\"], [b"a"]),
    "signs of regular expressions": (b"a.b+(c)|$", [b"a.b+(c)|$"], [b"aXb+(c)|$"]),
    "everything": (b"*", [b"", b"a", b"\n"], []),
    "everything but nothing": (b"**", [b"a"], [b""]),
    "nothing": (b"", [b""], [b"a"]),
}


@pytest.mark.parametrize(("pattern", "matching", "others"), CASES.values(), ids=CASES.keys())
def test_keys_match_as_the_servers_say(
    pattern: bytes, matching: list[bytes], others: list[bytes]
) -> None:
    matches = compile_glob(pattern)

    assert [key for key in matching if not matches(key)] == []
    assert [key for key in others if matches(key)] == []


def test_a_pattern_made_to_be_slow_is_not() -> None:
    matches = compile_glob(b"*a" * 200 + b"*b")

    started = time.process_time()
    assert not matches(b"a" * 5000)

    # With backtracking this would take longer than the universe is old.
    assert time.process_time() - started < 5


ONE_SLOT = {
    "a hash tag": (b"{user:1}*", b"user:1"),
    "a hash tag after other text": (b"cart:{user:1}:?", b"user:1"),
    "a brace in the tag": (b"{{a}*", b"{a"),
    "a whole key": (b"user:1", b"user:1"),
    "a whole key with an empty tag": (b"a{}b{c}", b"a{}b{c}"),
    "a whole key with an open brace": (b"a{b", b"a{b"),
    "no key": (b"", b""),
}


@pytest.mark.parametrize(("pattern", "hashed"), ONE_SLOT.values(), ids=ONE_SLOT.keys())
def test_a_pattern_may_be_about_one_slot(pattern: bytes, hashed: bytes) -> None:
    like = key_like(pattern)

    assert like is not None
    assert key_slot(like) == key_slot(b"{%b}" % hashed if hashed and b"}" not in hashed else hashed)


@pytest.mark.parametrize(
    "pattern", [b"*", b"*{a}", b"?{a}", b"[{a}", b"{a*}", b"{a*", b"{a[b]}", b"{a\\b}", b"a{}*"]
)
def test_a_pattern_with_a_wildcard_before_the_tags_end_is_about_many(pattern: bytes) -> None:
    assert key_like(pattern) is None


TEXTS = st.text("ab_[]^-\\*?", max_size=8).map(str.encode)


@given(pattern=TEXTS, beginning=TEXTS, rest=TEXTS)
def test_a_beginning_of_what_matches_may_match(
    pattern: bytes, beginning: bytes, rest: bytes
) -> None:
    if compile_glob(pattern)(beginning + rest):
        assert may_match_beginning(pattern, beginning)


@pytest.mark.parametrize(
    ("pattern", "beginning", "expected"),
    [
        (b"news", b"ne", True),
        (b"news", b"no", False),
        (b"ne", b"news", False),
        (b"*", b"news", True),
        (b"*x", b"news", True),
        (b"[a-n]??", b"ne", True),
        (b"[^n]*", b"ne", False),
        (b"", b"n", False),
    ],
)
def test_a_beginning_that_cannot_match_is_known(
    pattern: bytes, beginning: bytes, expected: bool
) -> None:
    assert may_match_beginning(pattern, beginning) is expected
