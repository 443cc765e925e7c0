"""Who may come in: user names and their passwords.

Strategy: as a server does, only SHA-256 digests are kept, and digests are
compared in constant time: how long a refusal takes tells neither how much of a
password was right, nor how long it is, nor whether the user exists.

Cost: one SHA-256 of the password per AUTH.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256

from proxy.sessions.state import DEFAULT_USER

# What an unknown user's password is compared with, so that it takes as long.
# Nobody knows a password with this digest.
_NO_DIGEST = bytes(32)


class PasswordBook:
    """The users that clients of the proxy may log in as.

    Args:
        passwords: User name to password. Empty: nobody needs a password, and
            AUTH as the default user accepts any, as a server with ``nopass``
            does. Else only these users come in; the default user too only if
            it is among them.
        digests: User name to the SHA-256 digest of the password, for users whose
            password is not known here.
    """

    is_passed = False

    def __init__(
        self, passwords: Mapping[bytes, bytes], digests: Mapping[bytes, bytes] | None = None
    ) -> None:
        self._digests = {user: sha256(word).digest() for user, word in passwords.items()}
        self._digests.update(digests or {})

    def replace(self, digests: Mapping[bytes, bytes]) -> None:
        """Know these users from now on, by their passwords' digests, and no others."""
        self._digests = dict(digests)

    @property
    def is_required(self) -> bool:
        """Whether a client has to log in before it may run commands."""
        return bool(self._digests)

    def has_user(self, user: bytes) -> bool:
        """Return whether this user exists; the default user always does."""
        return user == DEFAULT_USER or user in self._digests

    def check(self, user: bytes, password: bytes) -> bool:
        """Return whether ``user`` may come in with ``password``."""
        if user == DEFAULT_USER and not self.is_required:
            return True
        expected = self._digests.get(user, _NO_DIGEST)
        return hmac.compare_digest(sha256(password).digest(), expected)
