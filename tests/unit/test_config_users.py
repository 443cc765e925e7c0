"""The users of the proxy's own, and the setting that leaves users to the servers."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from proxy.config import Settings
from proxy.errors import ConfigError
from proxy.sources import load_settings

DIGEST = sha256(b"secret").digest()


def digests(**clients: object) -> dict[bytes, bytes]:
    return Settings.model_validate({"clients": clients}).clients.user_digests()


def test_nobody_needs_a_password_by_default() -> None:
    assert digests() == {}


def test_a_password_stands_for_itself_its_digest_or_its_file(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("secret\n")

    users = {"a": "secret", "b": f"sha256:{DIGEST.hex()}", "c": f"file:{tmp_path / 'word'}"}

    assert digests(users=users) == {b"a": DIGEST, b"b": DIGEST, b"c": DIGEST}


def test_the_simple_form_is_one_more_user() -> None:
    assert digests(password="secret", users={"web": "x"}).keys() == {b"default", b"web"}


@pytest.mark.parametrize(
    ("clients", "words"),
    [
        ({"users": {"a": ""}}, "for a: a password that is not empty"),
        ({"users": {"a": "sha256:123"}}, "for a: sha256: and 64 hexadecimal digits"),
        ({"users": {"a": "file:/no/such"}}, "for a: a file that can be read"),
        ({"users": {"default": "a"}, "password": "b"}, "not the name of username again"),
        ({"users": {"a": "b"}, "acl": "pass"}, "users, because password or users are set"),
        ({"password": "b", "acl": "pass"}, "users, because password or users are set"),
        ({"acl": "maybe"}, "'users' or 'pass'"),
    ],
)
def test_what_lets_nobody_in_is_refused_at_start(clients: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(flags={"clients": clients})

    assert words in str(caught.value)


def test_a_wrong_user_is_told_without_the_password() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(flags={"clients": {"users": {"a": "sha256:hunter2"}}})

    assert "hunter2" not in str(caught.value)


def test_users_can_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTWAY_CLIENTS__USERS", "a=secret,b=x")

    assert load_settings().clients.user_digests()[b"a"] == DIGEST
