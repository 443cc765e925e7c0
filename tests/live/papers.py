"""Certificates for tests: a CA, and what it issues, as PEM files."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

from proxy.embedded import TlsFiles


class Papers:
    """A CA with a directory of its own; all of it for loopback."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.ca_file = directory / "ca.pem"
        self.ca.cert_pem.write_to_path(self.ca_file)

    def issue(
        self,
        name: str,
        *identities: str,
        not_after: datetime | None = None,
        common_name: str | None = None,
    ) -> TlsFiles:
        """Write a certificate and its key; without identities for 127.0.0.1 and localhost."""
        issued = self.ca.issue_cert(
            *(identities or ("127.0.0.1", "localhost")),
            common_name=common_name or name,
            not_after=not_after,
            key_type=trustme.KeyType.ECDSA,
        )
        files = TlsFiles(
            self.directory / f"{name}.crt", self.directory / f"{name}.key", self.ca_file
        )
        files.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(files.key)
        return files

    def trusting(self, shown: TlsFiles | None = None) -> ssl.SSLContext:
        """Return a context that trusts this CA, and shows a certificate."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if shown is not None:
            context.load_cert_chain(shown.cert, shown.key)
        return context


def locked(files: TlsFiles, password: str) -> TlsFiles:
    """Give a key a password; return the same files."""
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
    )
    return files


def to_clients(files: TlsFiles, **more: str) -> dict[str, str]:
    """Return settings for TLS to clients, and nothing else on the port."""
    keys = {"tls.mode": "only", "tls.cert_file": str(files.cert), "tls.key_file": str(files.key)}
    return keys | {f"tls.{key}": value for key, value in more.items()}


def to_nodes(files: TlsFiles, **more: str) -> dict[str, str]:
    """Return settings for TLS to nodes, with a certificate to show them."""
    keys = {
        "cluster.tls": "true",
        "cluster.tls_ca_file": str(files.ca),
        "cluster.tls_cert_file": str(files.cert),
        "cluster.tls_key_file": str(files.key),
    }
    return keys | {f"cluster.{key}": value for key, value in more.items()}


def for_redis_py(files: TlsFiles, *, shows: bool = False) -> dict[str, object]:
    """Return what redis-py wants to be told."""
    shown = {"ssl_certfile": str(files.cert), "ssl_keyfile": str(files.key)} if shows else {}
    return {"ssl": True, "ssl_ca_certs": str(files.ca), **shown}
