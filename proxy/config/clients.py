"""The table ``[clients]``: who may connect, and what they see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from proxy.config.values import Account, Secrets, Words, read_secret
from proxy.errors import ConfigError


class Clients(Account):
    """Who may connect, and what they see."""

    username: str = Field(default="default", min_length=1)
    """User name that clients give with AUTH; "default" may be left out by them."""
    users: Secrets = Field(default_factory=dict)
    """More users: name to password, or "sha256:" and its digest, or "file:" and a path."""
    acl: Literal["users", "pass"] = "users"
    """Who knows the users: these settings; or the servers, whose ACLs then hold for each client."""
    admins: Words = ()
    """Users who may use all of PROXY, not only HELP and EXPLAIN; empty: everyone may."""
    expose_cluster: bool = False
    """Let the cluster answer CLUSTER commands that only read; else: support disabled."""
    idle_timeout_s: NonNegativeFloat = 0.0
    """Disconnect a client that has sent nothing for so long; 0 never. As Redis."""
    # As PgBouncer and PostgreSQL; a client logs in with the first thing it sends.
    login_timeout_s: NonNegativeFloat = 60.0
    """Disconnect a client that must log in and has not for so long; 0 never."""

    @field_validator("users")
    @classmethod
    def _users_can_log_in(
        cls, users: dict[str, SecretStr], info: ValidationInfo
    ) -> dict[str, SecretStr]:
        for name, word in users.items():
            try:
                _digest_of(word.get_secret_value())
            except ValueError as problem:
                raise ValueError(f"for {name}: {problem}") from None
        if users and info.data.get("username") in users and _has_password(info.data):
            raise ValueError("not the name of username again, which has a password already")
        return users

    @field_validator("acl")
    @classmethod
    def _only_one_knows_users(cls, acl: str, info: ValidationInfo) -> str:
        if acl == "pass" and (info.data.get("users") or _has_password(info.data)):
            raise ValueError("users, because password or users are set here")
        return acl

    def user_digests(self) -> dict[bytes, bytes]:
        """Return the SHA-256 digest of each user's password; nobody if none is needed.

        Raises:
            ConfigError: A file with a password has gone since the settings were loaded.
        """
        password = self.read_password()
        digests = {self.username.encode(): sha256(password.encode()).digest()} if password else {}
        for name, word in self.users.items():
            try:
                digests[name.encode()] = _digest_of(word.get_secret_value())
            except ValueError as problem:
                raise ConfigError(
                    key="clients.users", given=f"a secret for {name}", allowed=str(problem)
                ) from None
        return digests


def _has_password(clients: Mapping[str, object]) -> bool:
    password = clients.get("password")
    has_word = isinstance(password, SecretStr) and bool(password.get_secret_value())
    return has_word or clients.get("password_file") is not None


def _digest_of(word: str) -> bytes:
    """Return the SHA-256 digest of a user's password, as ``clients.users`` gives it.

    Raises:
        ValueError: It is empty, is no digest, or its file cannot be read.
    """
    kind, _, rest = word.partition(":")
    if kind == "sha256":
        if not re.fullmatch("[0-9a-fA-F]{64}", rest):
            raise ValueError("sha256: and 64 hexadecimal digits")
        return bytes.fromhex(rest)
    password = read_secret(Path(rest)) if kind == "file" else word
    if not password:
        raise ValueError("a password that is not empty")
    return sha256(password.encode()).digest()
