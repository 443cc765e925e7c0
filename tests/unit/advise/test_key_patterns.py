"""Keys are folded into patterns, by expressions and by what was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.advise import patterns
from proxy.advise.patterns import Folder, literal_head, text_of


@pytest.mark.parametrize(
    ("key", "pattern"),
    [
        (b"user:17", b"user:*"),
        (b"user:17:cart", b"user:*:cart"),
        (b"{user:17}:cart", b"{user:*}:cart"),
        (b"queue:high", b"queue:high"),
        (b"user_42", b"user_*"),
        (b"page/2024-01-31/hits", b"page/*/hits"),
        (b"job:6ba7b810-9dad-11d1-80b4-00c04fd430c8:log", b"job:*:log"),
        (b"etag:d41d8cd98f00b204e9800998ecf8427e", b"etag:*"),
        (b"session:Zm9vYmFyYmF6cXV4MQ==", b"session:*"),
        (b"facade:decade", b"facade:decade"),
        (b"", b""),
        (b"::", b"::"),
        (b"caf\xc3\xa9:1", b"caf\xc3\xa9:*"),
        (b"42", b"*"),
    ],
)
def test_numbers_and_identifiers_are_folded(key: bytes, pattern: bytes) -> None:
    shape = Folder().fold(key)

    assert text_of(shape.pattern) == pattern


def test_each_word_has_a_value() -> None:
    shape = Folder().fold(b"tenant:eu:user_17:cart")

    assert shape.values == (b"tenant", b"eu", b"17", b"cart")


def test_a_place_with_too_many_words_is_variable() -> None:
    folder = Folder()
    names = [f"cart:{chr(97 + n % 26)}{chr(97 + n // 26)}x".encode() for n in range(100)]

    early = [folder.fold(name) for name in names]

    assert text_of(early[0].pattern) == names[0]
    assert text_of(early[-1].pattern) == b"cart:*"
    assert early[-1].values == (b"cart", names[-1].removeprefix(b"cart:"))
    assert text_of(folder.fold_again(early[0].pattern)) == b"cart:*"


def test_a_literal_word_beside_a_variable_place_stays() -> None:
    folder = Folder()
    for n in range(100):
        folder.fold(b"user:%c%c:cart" % (97 + n % 26, 97 + n // 26))

    shape = folder.fold(b"user:zz:cart")

    assert text_of(shape.pattern) == b"user:*:cart"


def test_a_word_that_is_most_of_what_was_seen_at_a_place_is_not_folded() -> None:
    folder = Folder()
    slugs = [bytes(97 + n // 26**power % 26 for power in range(4)) for n in range(600)]

    for slug in slugs:
        folder.fold(slug)
        folder.fold(b"user:%b:cart" % slug)

    assert text_of(folder.fold(b"user:anna:cart").pattern) == b"user:*:cart"
    assert text_of(folder.fold(b"zzzz").pattern) == b"*"
    assert text_of(folder.fold_again((slugs[0],))) == b"*"


def test_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "NODE_LIMIT", 500)
    folder = Folder()

    for n in range(20_000):
        word = bytes(97 + n // 26**power % 26 for power in range(4))
        folder.fold(word[:2] + b":" + word[2:] + b":" + word)

    assert folder.count <= 500


@given(keys=st.lists(st.binary(max_size=30), max_size=30))
def test_folding_never_changes_how_many_words_there_are(keys: list[bytes]) -> None:
    folder = Folder()

    for key in keys:
        shape = folder.fold(key)

        assert len(shape.pattern) == 2 * len(shape.values) - 1
        assert len(folder.fold_again(shape.pattern)) == len(shape.pattern)


@given(key=st.binary(max_size=60))
def test_every_key_begins_with_the_head_of_its_pattern(key: bytes) -> None:
    shape = Folder().fold(key)

    assert key.startswith(literal_head(shape.pattern))
