"""Settings with everything that they name: secrets and certificates, read at one moment.

Strategy: what cannot be read or used is found here, before any room has got anything; so new
settings come into force whole, or not at all.

Cost: some milliseconds, most of them for certificates if there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from proxy.config import Settings
from proxy.control.connection import Credentials
from proxy.life.certificates import Contexts


@dataclass(frozen=True, slots=True)
class Given:
    """Settings, and the secrets that they name: read at one moment, so that all are there."""

    settings: Settings
    credentials: Credentials
    digests: Mapping[bytes, bytes]
    token: str
    tls: Contexts

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the secrets and the certificates.

        Raises:
            ConfigError: One of their files has gone, or cannot be used.
        """
        cluster = settings.cluster
        return cls(
            settings,
            Credentials.of(cluster.username, cluster.read_password()),
            settings.clients.user_digests(),
            settings.admin.read_token(),
            Contexts.of(settings),
        )

    def value(self, key: str) -> object:
        """Return what is compared to see whether a key has changed."""
        table, _, name = key.partition(".")
        found = getattr(self.settings, table)
        return (getattr(found, name) if name else found, self._secret(key))

    def _secret(self, key: str) -> object:
        """Return what the file that a key names has in it."""
        settings = self.settings
        match key:
            case "cluster.password_file" if settings.cluster.password_file:
                return self.credentials.words[-1]
            case "clients.password_file" if settings.clients.password_file:
                return self.digests[settings.clients.username.encode()]
            case "clients.users":
                return [self.digests[name.encode()] for name in settings.clients.users]
            case "admin.token_file" if settings.admin.token_file:
                return self.token
            case _:
                return self.tls.digests.get(key)
