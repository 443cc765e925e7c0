"""What PROXY says: errors with a code, sentences that are whole."""

from __future__ import annotations

import inspect

import pytest

from proxy.resp import replies_proxy as say

FRAMES = {
    "only admins": say.only_admins(b"bob"),
    "a bad count": say.bad_count(),
    "a setting": say.setting_refused("a.b: given\nthis; allowed: that"),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
def test_an_error_is_one_line_with_a_code(frame: bytes) -> None:
    assert frame.startswith((b"-ERR ", b"-NOPERM "))
    assert frame.index(b"\r\n") == len(frame) - 2
    assert b"\n" not in frame[:-2]


SAMPLES = {
    "asks": True,
    "is_setting": True,
    "nodes": "all nodes",
    "count": 6,
    "command": "mget",
    "slot": 7,
    "slots": 3,
    "keys": 2,
    "node": "127.0.0.1:7000",
    "manner": "by the server",
    "error_line": b"ERR no.",
}
SENTENCES = {
    name: function
    for name, function in inspect.getmembers(say, inspect.isfunction)
    if name.startswith(("why_", "in_"))
}


@pytest.mark.parametrize("name", SENTENCES)
def test_what_explain_says_is_a_sentence(name: str) -> None:
    function = SENTENCES[name]
    given = {word: SAMPLES[word] for word in inspect.signature(function).parameters}

    text = function(**given)

    assert text[0].isupper() or name == "why_module_session"
    assert text.endswith(".")
    assert "  " not in text
    assert function.__doc__


def test_the_edges_of_sentences_are_right() -> None:
    assert "Its key is in slot 7, which no node serves just now" in say.why_one_slot(7, 1, None)
    assert say.in_block(0) != say.in_block(1) != say.in_block(2)
    assert "news of all" in say.why_waits(2)
    assert "own" in say.why_waits(1)
