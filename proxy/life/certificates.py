"""The certificates in use: contexts of the settings' files, and a word before they expire.

Strategy: all contexts are made before any is used, so new files come into force together or
not at all. A certificate that has expired is used all the same: clients that do not look are
served, and those that do say so; the log says it every day, from a month before.

Cost: some milliseconds whenever settings are read.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Self

import structlog
import trio

from proxy.config import Settings
from proxy.tls.certificate import Expiry
from proxy.tls.context import certificates_in, context_of_clients
from proxy.tls.sides import NodeContext

log = structlog.get_logger()

WARN_DAYS = 30  # chosen: half of the time that a certificate of 90 days has left when it is renewed
LOOK_S = 3600.0
AGAIN_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Contexts:
    """Everything that the settings say about TLS, loaded."""

    clients: ssl.SSLContext | None
    nodes: NodeContext | None
    admin: ssl.SSLContext | None
    digests: Mapping[str, object] = field(repr=False)
    """By key of a setting, what its files have in them."""
    expiries: tuple[Expiry, ...]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Load the files.

        Raises:
            ConfigError: One of them cannot be used; it names the key.
        """
        tls, admin = settings.tls, settings.admin
        return cls(
            clients=context_of_clients(tls.files(), tls.client_certificates, tls.more_certificates)
            if tls.mode != "off"
            else None,
            nodes=settings.cluster.node_tls(),
            admin=context_of_clients(admin.tls_files(), "none")
            if admin.enabled and admin.tls_cert_file is not None
            else None,
            digests={key: _digests(files) for key, files in _files(settings)},
            expiries=tuple(_expiries(settings)),
        )


class Certificates:
    """What is known of the certificates in use.

    Attributes:
        expiries: Until when they are good.
    """

    def __init__(self) -> None:
        self.expiries: tuple[Expiry, ...] = ()
        self._told: dict[Expiry, float] = {}

    def use(self, expiries: tuple[Expiry, ...]) -> None:
        """Look after these from now on."""
        self.expiries = expiries
        self._told = {each: when for each, when in self._told.items() if each in expiries}
        self._warn()

    async def run(self) -> None:
        """Say what expires soon, for ever."""
        while True:
            await trio.sleep(LOOK_S)
            self._warn()

    def _warn(self) -> None:
        now, now_s = datetime.now(UTC), trio.current_time()
        for each in self.expiries:
            days = (each.not_after - now).total_seconds() / AGAIN_S
            if days > WARN_DAYS or now_s < self._told.get(each, -AGAIN_S) + AGAIN_S:
                continue
            self._told[each] = now_s
            facts = {"setting": each.key, "file": str(each.file), "certificate": each.title}
            until = f"{each.not_after:%Y-%m-%d %H:%M} UTC"
            if days < 0:
                log.error("certificate has expired", until=until, **facts)
            else:
                log.warning("certificate expires soon", until=until, days=int(days), **facts)


def _files(settings: Settings) -> Iterator[tuple[str, tuple[Path | None, ...]]]:
    """Yield every setting that names files of TLS, with these."""
    tls, cluster, admin = settings.tls, settings.cluster, settings.admin
    yield "tls.cert_file", (tls.cert_file,)
    yield "tls.key_file", (tls.key_file,)
    yield "tls.key_password_file", (tls.key_password_file,)
    yield "tls.more_certificates", tls.more_certificates
    yield "tls.ca_file", (tls.ca_file,)
    yield "cluster.tls_ca_file", (cluster.tls_ca_file,)
    yield "cluster.tls_cert_file", (cluster.tls_cert_file,)
    yield "cluster.tls_key_file", (cluster.tls_key_file,)
    yield "cluster.tls_key_password_file", (cluster.tls_key_password_file,)
    yield "admin.tls_cert_file", (admin.tls_cert_file,)
    yield "admin.tls_key_file", (admin.tls_key_file,)
    yield "admin.tls_key_password_file", (admin.tls_key_password_file,)


def _digests(files: tuple[Path | None, ...]) -> tuple[bytes | None, ...]:
    return tuple(_digest(file) for file in files)


def _digest(file: Path | None) -> bytes | None:
    try:
        return None if file is None else sha256(file.read_bytes()).digest()
    except OSError:
        return None  # where it is needed, loading it has told


def _expiries(settings: Settings) -> Iterator[Expiry]:
    named = {
        "tls.cert_file": settings.tls.mode != "off",
        "tls.more_certificates": settings.tls.mode != "off",
        "cluster.tls_cert_file": settings.cluster.tls,
        "admin.tls_cert_file": settings.admin.enabled,
    }
    for key, files in _files(settings):
        for file in files if named.get(key) else ():
            chain = certificates_in(file) if file is not None else []
            if file is not None and chain:
                first = min(each.not_after for each in chain)
                yield Expiry(key, file, chain[0].title, first)
