"""What new settings are to a running proxy: the values, what they name, and who takes them.

Strategy: secrets and certificates are read with the settings that name them, at one moment.
What cannot be read or used is found before any room has got anything; so new settings come
into force whole, or not at all.

Cost: some milliseconds, most of them for certificates if there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from proxy.config import Settings
from proxy.control.breaker import Breakers
from proxy.control.calls import Calls
from proxy.control.connection import Credentials
from proxy.control.hub import Hub
from proxy.control.plane import ControlPlane
from proxy.control.pools import Pools
from proxy.control.pulse import Pulse
from proxy.control.rates import RateBook
from proxy.control.reads import Reads
from proxy.control.scripts import ScriptBook
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.insight.observatory import Observatory
from proxy.life.certificates import Certificates, Contexts
from proxy.life.learning import CommandTables
from proxy.life.sampling import Sampling
from proxy.sessions.accounts import Accounts
from proxy.sessions.across import Across
from proxy.sessions.blocking import Blocking
from proxy.sessions.desk import Desk
from proxy.tls.sides import Guard, NodeTls


@dataclass(slots=True)
class AdminToken:
    """The token of the admin port; empty: nothing can be changed there."""

    words: str = ""


class Rooms(Protocol):
    """Whoever takes settings while the proxy runs: a ``Proxy``."""

    engine: Engine
    plane: ControlPlane
    watcher: Watcher
    pools: Pools
    accounts: Accounts
    calls: Calls
    hub: Hub
    scripts: ScriptBook
    across: Across
    desk: Desk
    tables: CommandTables
    rates: RateBook
    admin_token: AdminToken
    observatory: Observatory
    pulse: Pulse
    breakers: Breakers
    reads: Reads
    blocking: Blocking
    sampling: Sampling
    guard: Guard
    admin_guard: Guard
    node_tls: NodeTls
    certificates: Certificates


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
