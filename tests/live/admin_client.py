"""Proxies with an admin port, and how to ask it."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from http_answer import Answer

from proxy.cluster.topology import Address
from proxy.embedded import ProxyProcess, lease_ports

TOKEN = "let-me-in"
DEADLINE_S = 20.0


@dataclass
class Admin:
    """A proxy that has an admin port."""

    proxy: ProxyProcess
    port: int
    tls: ssl.SSLContext | None = None
    """It speaks HTTPS; None: it does not."""

    def ask(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        """Send one request."""
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
            if self.tls is None
            else http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=DEADLINE_S, context=self.tls
            )
        )
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def order(self, path: str) -> Answer:
        """Send an order, with the token."""
        return self.ask(path, "POST", {"Authorization": f"Bearer {TOKEN}"})

    def is_ready(self) -> bool:
        """Return what /readyz says; False too if nobody answers."""
        try:
            return self.ask("/readyz").status == 200
        except OSError:
            return False


@contextmanager
def administered(
    seeds: Sequence[Address],
    settings: dict[str, str] | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[Admin]:
    """Run a proxy with an admin port, which looks at no file by itself; the test may end it."""
    with lease_ports(1) as lease:
        port = lease.ports[0]
        own = {"admin.enabled": "true", "admin.port": str(port), "admin.token": TOKEN}
        own |= {"reload.watch_s": "0"}
        process = ProxyProcess(seeds, settings={**own, **(settings or {})}, arguments=arguments)
        with process as proxy:
            yield Admin(proxy, port)
            assert proxy.tracebacks() == ""
