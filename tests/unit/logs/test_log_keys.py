"""What may be told of keys."""

from __future__ import annotations

from proxy.logs.keys import KEYS_SHOWN, KeyWords


def test_a_hash_tells_keys_apart_and_nothing_about_them() -> None:
    words = KeyWords("hash")

    first, second, again = words.of([b"user:1", b"user:2", b"user:1"])

    assert first == again != second
    assert len(first) == 16
    assert "user" not in first


def test_the_hash_of_a_key_is_another_one_after_the_next_start() -> None:
    assert KeyWords("hash").of([b"user:1"]) != KeyWords("hash").of([b"user:1"])


def test_hidden_keys_leave_nothing_behind() -> None:
    assert KeyWords("hide").of([b"user:1"]) == []


def test_shown_keys_are_text_whatever_bytes_they_are() -> None:
    assert KeyWords("show").of([b"user:1", b"\xff\n"]) == ["user:1", "\\xff\\x0a"]


def test_of_many_keys_a_few_are_told() -> None:
    assert len(KeyWords("hash").of([b"%d" % number for number in range(100)])) == KEYS_SHOWN
