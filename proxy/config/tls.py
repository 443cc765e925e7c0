"""The table ``[tls]``, and what the other tables say about TLS: files, and how strict to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, ValidationInfo, field_validator

from proxy.config.values import Table, read_secret, split_list
from proxy.errors import ConfigError
from proxy.tls.context import Files, Wanted


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


File = Annotated[Path | None, BeforeValidator(_empty_is_none)]
FilesInARow = Annotated[tuple[Path, ...], BeforeValidator(split_list)]
Version = Literal["1.2", "1.3"]


class Tls(Table):
    """TLS between clients and the proxy; docs/howto/tls.md is a recipe."""

    mode: Literal["off", "only", "beside"] = "off"
    """Off; only: listen.port speaks TLS; beside: listen.port stays plain, and port speaks TLS."""
    port: int = Field(default=6380, ge=0, le=65535)
    """Port for TLS beside the plain one; 0 lets the kernel choose a free one."""
    cert_file: File = Field(default=None, validate_default=True)
    """PEM file with the certificate shown to clients, and those between it and its CA."""
    key_file: File = None
    """PEM file with its private key; empty if that is in cert_file."""
    key_password_file: File = None
    """File with the password of private keys; empty if they have none."""
    more_certificates: FilesInARow = ()
    """More PEM files, each a certificate with its key, for clients that ask for its names (SNI)."""
    client_certificates: Wanted = "none"
    """Whether clients have to show a certificate: none, optional or required."""
    ca_file: File = Field(default=None, validate_default=True)
    """PEM file with the CAs that clients' certificates may be from."""
    min_version: Version = "1.2"
    """The oldest version of TLS that clients may speak."""
    ciphers: str = ""
    """Ciphers for TLS 1.2 as OpenSSL lists them; empty for its own choice, which TLS 1.3 has."""
    handshake_timeout_s: PositiveFloat = 10.0
    """Disconnect a client whose handshake takes longer."""

    @field_validator("cert_file")
    @classmethod
    def _is_there_if_needed(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is None and info.data.get("mode", "off") != "off":
            raise ValueError('a file, or tls.mode = "off"')
        return file

    @field_validator("ca_file")
    @classmethod
    def _can_judge(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is None and info.data.get("client_certificates", "none") != "none":
            raise ValueError('a file, or tls.client_certificates = "none"')
        return file

    def files(self) -> Files:
        """Return the files as TLS wants them."""
        return Files(
            keys="tls.",
            cert_file=self.cert_file,
            key_file=self.key_file,
            read_password=password_reader("tls.key_password_file", self.key_password_file),
            ca_file=self.ca_file,
            min_version=self.min_version,
            ciphers=self.ciphers,
        )


def password_reader(key: str, file: Path | None) -> Callable[[], str]:
    """Return what reads a private key's password; it is empty if there is no file.

    What is returned raises ``ConfigError`` if the file cannot be read.
    """

    def read() -> str:
        if file is None:
            return ""
        try:
            return read_secret(file)
        except ValueError as problem:
            raise ConfigError(key=key, given=repr(str(file)), allowed=str(problem)) from None

    return read
