"""The keys with the biggest values: each once, and only so many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.insight.big_keys import BigKeys


def test_a_key_is_kept_once_with_the_biggest_size_seen_of_it() -> None:
    keys = BigKeys()

    keys.add(b"a", 500, b"set", is_reply=False, at=1.0)
    keys.add(b"a", 900, b"get", is_reply=True, at=2.0)
    keys.add(b"a", 700, b"set", is_reply=False, at=3.0)

    (big,) = keys.top(10)
    assert (big.size_bytes, big.command, big.is_reply) == (900, b"get", True)
    assert (big.count, big.at) == (3, 3.0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 50))), st.integers(1, 5))
def test_those_kept_are_the_biggest_that_ever_came(
    values: list[tuple[int, int]], limit: int
) -> None:
    keys = BigKeys(limit)
    biggest: dict[bytes, int] = {}
    for number, size in values:
        name = b"%d" % number
        biggest[name] = max(biggest.get(name, 0), size)
        keys.add(name, size, b"set", is_reply=False, at=0.0)

    kept = [big.size_bytes for big in keys.top(limit)]

    assert kept == sorted(biggest.values(), reverse=True)[:limit]
