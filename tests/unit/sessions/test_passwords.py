"""Who may come in."""

from __future__ import annotations

from hashlib import sha256

import pytest

from proxy.sessions.passwords import PasswordBook


@pytest.mark.parametrize(
    ("passwords", "user", "password", "comes_in"),
    [
        ({}, b"default", b"anything", True),
        ({}, b"app", b"anything", False),
        ({b"default": b"s"}, b"default", b"s", True),
        ({b"default": b"s"}, b"default", b"", False),
        ({b"default": b"s"}, b"default", b"s\0", False),
        ({b"app": b"s"}, b"app", b"s", True),
        ({b"app": b"s"}, b"default", b"s", False),
        ({b"app": b"s"}, b"APP", b"s", False),
        ({b"app": b"\xff\0"}, b"app", b"\xff\0", True),
    ],
)
def test_only_a_known_pair_comes_in(
    passwords: dict[bytes, bytes], user: bytes, password: bytes, comes_in: bool
) -> None:
    assert PasswordBook(passwords).check(user, password) is comes_in


def test_passwords_are_required_as_soon_as_there_is_one() -> None:
    assert not PasswordBook({}).is_required
    assert PasswordBook({b"app": b"s"}).is_required


def test_the_passwords_themselves_are_not_kept() -> None:
    book = PasswordBook({b"default": b"hunter2"})

    assert b"hunter2" not in repr(vars(book)).encode()


def test_a_digest_stands_for_a_password_that_is_not_known_here() -> None:
    book = PasswordBook({b"app": b"s"}, {b"web": sha256(b"t").digest()})

    assert book.check(b"web", b"t")
    assert not book.check(b"web", b"s")
    assert not book.check(b"web", sha256(b"t").digest())
    assert book.has_user(b"web")
