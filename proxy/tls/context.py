"""Contexts for TLS, made of the files that settings name; whatever is wrong is said by its key.

Strategy: OpenSSL says little when a file is wrong, so each file is loaded by itself and the
usual mistakes are told apart: it cannot be read, holds no certificate, the key belongs to
another certificate or wants a password, a certificate has expired.

Cost: some milliseconds a context; made at start and when settings or files change.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from proxy.errors import ConfigError
from proxy.tls.certificate import Certificate, read_certificates

# OpenSSL asks for no password of its own, at a terminal that nobody sits at.
_NO_PASSWORD = ""

VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
Verify = Literal["full", "chain", "none"]
Wanted = Literal["none", "optional", "required"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What both sides have in common: who we are, whom we trust, how old TLS may be.

    Attributes:
        keys: What the settings of these begin with, such as ``cluster.tls_``.
        read_password: Returns the password of the key; empty for none.
    """

    keys: str
    cert_file: Path | None = None
    key_file: Path | None = None
    read_password: Callable[[], str] = field(default=str, compare=False)
    ca_file: Path | None = None
    min_version: str = "1.2"
    ciphers: str = ""


def context_of_nodes(files: Files, verify: Verify) -> ssl.SSLContext:
    """Return a context for connections to nodes.

    Raises:
        ConfigError: A file cannot be used; it names the key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = verify == "full"
    if verify == "none":
        context.verify_mode = ssl.CERT_NONE
    _set_rules(context, files)
    if files.ca_file is not None:
        _trust(context, files)
    elif verify != "none":
        context.load_default_certs()
    if files.cert_file is not None:
        _be(context, files, files.cert_file, files.key_file)
    return context


def context_of_clients(files: Files, wanted: Wanted, more: Iterable[Path] = ()) -> ssl.SSLContext:
    """Return a context for connections of clients.

    Args:
        wanted: Whether clients show certificates, which ``ca_file`` then judges.
        more: Files with a certificate and its key each, for clients that ask for its names.

    Raises:
        ConfigError: A file cannot be used; it names the key.
    """
    if files.cert_file is None:
        raise ConfigError(
            key=files.keys + "cert_file", given="nothing", allowed="a file, while TLS is spoken"
        )
    context = _of_clients(files, wanted, files.cert_file, files.key_file, "cert_file")
    by_name: dict[str, ssl.SSLContext] = {}
    for file in more:
        other = _of_clients(files, wanted, file, None, "more_certificates")
        certificate = _read(files.keys + "more_certificates", file)[0]
        for name in certificate.names or (certificate.common_name,):
            by_name.setdefault(name.lower(), other)
    if by_name:
        context.sni_callback = _choose(by_name)
    return context


def certificates_in(file: Path) -> list[Certificate]:
    """Return the certificates in a file that has been loaded; none if it has gone since."""
    try:
        return read_certificates(file.read_text("utf-8"))
    except (OSError, ValueError):
        return []


def _of_clients(
    files: Files, wanted: Wanted, cert_file: Path, key_file: Path | None, key: str
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = {
        "none": ssl.CERT_NONE,
        "optional": ssl.CERT_OPTIONAL,
        "required": ssl.CERT_REQUIRED,
    }[wanted]
    _set_rules(context, files)
    if wanted != "none":
        _trust(context, files)
    _be(context, files, cert_file, key_file, key)
    return context


def _set_rules(context: ssl.SSLContext, files: Files) -> None:
    context.minimum_version = VERSIONS[files.min_version]
    # A peer that renegotiates could change who it is in the middle, or keep us signing.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if files.ciphers:
        try:
            context.set_ciphers(files.ciphers)
        except ssl.SSLError:
            raise ConfigError(
                key=files.keys + "ciphers",
                given=repr(files.ciphers),
                allowed="a list that OpenSSL knows a cipher of, like ECDHE+AESGCM",
            ) from None


def _trust(context: ssl.SSLContext, files: Files) -> None:
    key = files.keys + "ca_file"
    if files.ca_file is None:
        raise ConfigError(key=key, given="nothing", allowed="a file with the CAs of the clients")
    _read(key, files.ca_file)
    try:
        context.load_verify_locations(files.ca_file)
    except (ssl.SSLError, OSError) as problem:
        raise _unusable(key, files.ca_file, str(problem)) from None


def _be(
    context: ssl.SSLContext,
    files: Files,
    cert_file: Path,
    key_file: Path | None,
    key: str = "cert_file",
) -> None:
    """Have a context show a certificate."""
    _read(files.keys + key, cert_file)
    asked: list[None] = []

    def give_password() -> str:
        asked.append(None)
        return files.read_password() or _NO_PASSWORD

    of_key = files.keys + ("key_file" if key_file is not None else key)
    place = key_file if key_file is not None else cert_file
    try:
        context.load_cert_chain(cert_file, key_file, give_password)
    except ssl.SSLError as problem:
        raise ConfigError(
            key=of_key, given=repr(str(place)), allowed=_about_key(problem, bool(asked), files)
        ) from None
    except OSError as problem:
        raise _unusable(of_key, place, problem.strerror or "an error") from None


def _about_key(problem: ssl.SSLError, is_encrypted: bool, files: Files) -> str:
    if problem.reason == "KEY_VALUES_MISMATCH":
        return f"the key of the certificate in {files.keys}cert_file (this is another one's)"
    if is_encrypted:
        return f"a key that the password in {files.keys}key_password_file opens"
    return "a PEM file with a private key"


def _read(key: str, file: Path) -> list[Certificate]:
    """Return the certificates in a file, at least one."""
    try:
        found = read_certificates(file.read_text("utf-8"))
    except OSError as problem:
        raise _unusable(key, file, problem.strerror or "an error") from None
    except ValueError as problem:
        raise _unusable(key, file, str(problem)) from None
    if not found:
        raise _unusable(key, file, "no certificate in it")
    return found


def _unusable(key: str, file: Path, why: str) -> ConfigError:
    return ConfigError(
        key=key, given=repr(str(file)), allowed=f"a PEM file with certificates ({why})"
    )


def _choose(
    by_name: Mapping[str, ssl.SSLContext],
) -> Callable[[ssl.SSLObject | ssl.SSLSocket, str | None, ssl.SSLContext], None]:
    """Return what shows a client the certificate that it asks for; else the first one."""

    def choose(
        tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> None:
        wanted = (name or "").lower()
        found = by_name.get(wanted) or by_name.get("*." + wanted.partition(".")[2])
        if found is not None:
            tls.context = found

    return choose
