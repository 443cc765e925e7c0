"""How the proxy is run: ``[reload]``, ``[admin]``, ``[insight]``, ``[log]``, ``[tracing]``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from proxy.config.tls import File, password_reader
from proxy.config.values import Table, read_secret
from proxy.errors import ConfigError
from proxy.tls.context import Files


class Reload(Table):
    """Other settings while the proxy runs; SIGHUP and POST /reload always bring them, too."""

    watch_s: NonNegativeFloat = 5.0
    """Look this often whether a file of settings or secrets has changed, and use it; 0 never."""


class Admin(Table):
    """The port for people and monitoring: health, metrics, the dashboard."""

    enabled: bool = True
    """Whether there is one."""
    address: str = "127.0.0.1"
    """IP address or host name to listen on; on any but loopback, keys need the token too."""
    port: int = Field(default=9379, ge=0, le=65535)
    """Port to listen on; 0 lets the kernel choose a free one, which the log names."""
    token: SecretStr = SecretStr("")
    """Bearer token for what changes something; without one, nothing can be changed over HTTP."""
    token_file: Path | None = None
    """File that holds the token instead; empty for none."""
    tls_cert_file: File = None
    """PEM file with the certificate for HTTPS; empty for plain HTTP."""
    tls_key_file: File = None
    """PEM file with its private key; empty if that is in tls_cert_file."""
    tls_key_password_file: File = None
    """File with the password of that key; empty if it has none."""

    @field_validator("token_file", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("token_file")
    @classmethod
    def _is_readable(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None:
            token = info.data.get("token")
            if token is not None and token.get_secret_value():
                raise ValueError("nothing, because token is set too")
            read_secret(path)
        return path

    def tls_files(self) -> Files:
        """Return the files of HTTPS as TLS wants them."""
        return Files(
            keys="admin.tls_",
            cert_file=self.tls_cert_file,
            key_file=self.tls_key_file,
            read_password=password_reader(
                "admin.tls_key_password_file", self.tls_key_password_file
            ),
        )

    def read_token(self) -> str:
        """Return the token; empty if there is none. A file is read anew each time.

        Raises:
            ConfigError: The file has gone since the settings were loaded.
        """
        if self.token_file is None:
            return self.token.get_secret_value()
        try:
            return read_secret(self.token_file)
        except ValueError as problem:
            raise ConfigError(
                key="admin.token_file", given=repr(str(self.token_file)), allowed=str(problem)
            ) from None


class Insight(Table):
    """What the proxy notes of the traffic for PROXY, the dashboard and the log."""

    slow_log_ms: NonNegativeFloat = 10.0
    """A request that takes longer is kept in the slow log; 0 keeps none. As Redis."""
    slow_log_length: PositiveInt = 128
    """How many slow requests are kept. As Redis."""
    sample_every: NonNegativeInt = 1000
    """One request in so many is looked at closely: hot keys, access log, traces; 0 none."""
    hot_keys: PositiveInt = 100
    """How many of the most used keys are told apart."""
    big_reply_bytes: PositiveInt = 128 * 1024
    """Replies and values from this size on are noted with their key."""


class Log(Table):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages to write."""
    format: Literal["console", "json"] = "console"
    """Lines for people, or one JSON object each."""
    access_every: NonNegativeInt = 0
    """Write a line for one in so many of the requests looked at (insight.sample_every); 0 none."""
    access_keys: Literal["hash", "hide", "show"] = "hash"
    """What that line says of keys: a hash that changes with every start, nothing, or all."""


class Tracing(Table):
    """Traces of requests, sent to an OpenTelemetry collector; needs slotway[tracing]."""

    endpoint: str = ""
    """Where OTLP over HTTP is taken, like http://127.0.0.1:4318; empty for no traces."""
    every: PositiveInt = 10
    """Send one in so many of the requests looked at (insight.sample_every)."""
    service_name: str = Field(default="slotway", min_length=1)
    """What the traces call this service."""
