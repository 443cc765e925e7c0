"""The scripts that are remembered: which, for how long, and what a block needs of them."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from proxy.control.scripts import GREETING_BYTES, OVERHEAD_BYTES, ScriptBook

ROOM = 1000


def sha_of(body: bytes) -> bytes:
    return hashlib.sha1(body).hexdigest().encode()


def book_for(scripts: int) -> ScriptBook:
    """Return a book with room for so many scripts of ten bytes."""
    return ScriptBook(scripts * (OVERHEAD_BYTES + 10))


def script(number: int) -> bytes:
    return b"return %3d" % number


def test_a_script_is_found_by_its_sha_in_any_case() -> None:
    book = book_for(3)

    book.note(script(1))

    assert book.body_of(sha_of(script(1))) == script(1)
    assert book.body_of(sha_of(script(1)).upper()) == script(1)
    assert book.body_of(sha_of(script(2))) is None
    assert book.body_of(b"no sha") is None


def test_the_longest_unused_is_forgotten_first() -> None:
    book = book_for(3)
    for number in (1, 2, 3):
        book.note(script(number))

    book.body_of(sha_of(script(1)))  # named by EVALSHA
    book.note(script(2))  # brought again by EVAL
    book.note(script(4))

    known = [number for number in (1, 2, 3, 4) if book.body_of(sha_of(script(number)))]
    assert known == [1, 2, 4]


def test_a_script_longer_than_the_whole_book_is_not_remembered() -> None:
    book = ScriptBook(ROOM)
    book.note(script(1))

    book.note(b"x" * ROOM)

    assert len(book) == 1
    assert book.body_of(sha_of(script(1))) == script(1)


def test_what_is_flushed_or_does_not_compile_is_forgotten() -> None:
    book = book_for(3)
    book.note(script(1))
    book.note(script(2))

    book.forget(script(1))
    book.forget(b"never seen")
    assert book.body_of(sha_of(script(1))) is None
    assert len(book) == 1
    book.forget_all()

    assert (len(book), book.size_bytes) == (0, 0)
    assert book.body_of(sha_of(script(2))) is None


@given(st.lists(st.binary(max_size=ROOM), max_size=60))
def test_the_book_never_grows_over_its_limit(bodies: list[bytes]) -> None:
    book = ScriptBook(3 * ROOM)

    for body in bodies:
        book.note(body)

        assert book.size_bytes <= 3 * ROOM
        assert book.body_of(sha_of(body)) == body
    assert book.size_bytes == sum(
        len(body) + OVERHEAD_BYTES for body in set(bodies) if book.body_of(sha_of(body)) is not None
    )


def test_only_what_every_node_has_been_given_is_beyond_doubt() -> None:
    book = book_for(3)
    book.note(script(1))
    book.note_everywhere(script(2))
    assert book.doubtful == {sha_of(script(1))}

    assert book.greeting() == [(b"SCRIPT", b"LOAD", script(2))]

    book.note_everywhere(script(1))
    assert book.doubtful == set()
    assert len(book.greeting()) == 2


def test_a_new_connection_is_told_the_scripts_used_last() -> None:
    book = ScriptBook(10 * GREETING_BYTES)
    bodies = [b"%d" % number + b"x" * (GREETING_BYTES // 3) for number in range(4)]
    for body in bodies:
        book.note_everywhere(body)
    book.body_of(sha_of(bodies[0]))

    assert [load[2] for load in book.greeting()] == [bodies[0], bodies[3]]


def test_what_is_forgotten_is_in_doubt_no_more() -> None:
    book = book_for(1)
    book.note(script(1))

    book.note(script(2))
    assert book.doubtful == {sha_of(script(2))}
    book.forget(script(2))

    assert book.doubtful == set()
