"""What is said at a limit: one line with a code, which names the setting and forges nothing."""

from __future__ import annotations

import pytest

from proxy.resp import replies_limits as say

FRAMES = {
    "memory": (say.out_of_memory(1000), b"limits.memory_limit_bytes (1000)"),
    "width": (say.too_wide(b"mget", slots=9, limit=8), b"limits.fan_out_limit is 8"),
    "rate": (say.over_rate(b"a\r\n+OK", b"commands_per_s", 0.5), b"commands_per_s = 0.5"),
    "denied": (say.guard_denies(b"keys", b"a\r\n+OK"), b"setting guard"),
    "to confirm": (say.guard_wants_confirmation(b"keys", b"12ab", 60.0), b"PROXY CONFIRM 12ab "),
    "not here": (say.guard_wants_confirmation_before(b"keys"), b"setting guard"),
}


@pytest.mark.parametrize(("frame", "words"), FRAMES.values(), ids=FRAMES.keys())
def test_a_refusal_is_one_line_that_names_the_setting(frame: bytes, words: bytes) -> None:
    assert frame.startswith((b"-ERR ", b"-NOPERM ", b"-OOM "))
    assert frame.index(b"\r\n") == len(frame) - 2
    assert words in frame


@pytest.mark.parametrize(
    ("users", "words"), [(("*",), "deny: everyone"), (("a", "b"), "deny: a, b")]
)
def test_a_guard_in_words(users: tuple[str, ...], words: str) -> None:
    assert say.guard_in_words("deny", users) == words
