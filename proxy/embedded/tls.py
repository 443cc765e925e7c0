"""Servers that speak TLS, and nothing else: what they are told, and how to connect to them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of servers that show each other, and us, one certificate."""

    cert: Path
    key: Path
    ca: Path
    wants_certificates: bool = False
    """Whether the servers want certificates of those who connect, too."""

    def server_settings(self, port: int) -> Mapping[str, str]:
        """Return the configuration of a server on this port; a node speaks TLS to others, too."""
        return {
            "port": "0",
            "tls-port": str(port),
            "tls-cert-file": str(self.cert),
            "tls-key-file": str(self.key),
            "tls-ca-cert-file": str(self.ca),
            "tls-auth-clients": "yes" if self.wants_certificates else "no",
            "tls-replication": "yes",
            "tls-cluster": "yes",
        }

    def context(self) -> ssl.SSLContext:
        """Return a context to connect with."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.cert, self.key)
        return context
