"""``slotway health``: ask the admin port of the proxy on this machine whether it is ready.

Strategy: it runs every few seconds as a container's health check, beside a proxy that has
the processor to itself otherwise. So nothing but the standard library is loaded, and the two
settings that it needs are read here: they have been looked through when the proxy was
started with them. A test sees that both readers agree. Of HTTPS the certificate is not
looked at: it is this machine that is asked.

Cost: some 0.1 s of a processor, most of it Python's own start (CPython 3.11, CI machine).
"""

from __future__ import annotations

import json
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path

from proxy.errors import ConfigError

TIMEOUT_S = 3.0
DEFAULTS = {"enabled": "true", "address": "127.0.0.1", "port": "9379", "tls_cert_file": ""}
# On which address to ask one that listens on all.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
ANSWER_LIMIT_BYTES = 64 * 1024


def admin_address(
    file: Path | None, flags: Mapping[str, Mapping[str, object]]
) -> tuple[str, int, bool] | None:
    """Return address and port of the admin port, and whether it speaks HTTPS; None: there is none.

    Raises:
        ConfigError: The file cannot be read, or the port is not known.
    """
    found: dict[str, object] = dict(DEFAULTS)
    if file is not None:
        try:
            found.update(tomllib.loads(file.read_text("utf-8")).get("admin", {}))
        except (OSError, ValueError, TypeError, RecursionError) as problem:
            given = getattr(problem, "strerror", None) or str(problem)
            raise ConfigError(key=str(file), given=given, allowed="a TOML file") from None
    variables = {name.upper(): value for name, value in os.environ.items()}
    for key in DEFAULTS:
        found[key] = variables.get(f"SLOTWAY_ADMIN__{key.upper()}", found[key])
    found.update(flags.get("admin", {}))
    if str(found["enabled"]).lower() in ("false", "0", "no", "off", "f", "n"):
        return None
    port = str(found["port"])
    if not port.isdecimal() or not int(port):
        raise ConfigError(
            key="admin.port", given=repr(port), allowed="the port of a running proxy, not 0"
        )
    return str(found["address"]), int(port), bool(found["tls_cert_file"])


def ask_readiness(address: str, port: int, has_tls: bool = False) -> tuple[bool, str]:
    """Return whether the proxy is ready, and why not in words."""
    host = _HERE.get(address, address)
    place = f"{_bracketed(host)}:{port}"
    request = f"GET /readyz HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n"
    answer = b""
    try:
        with _connect(host, port, has_tls) as connection:
            connection.sendall(request.encode())
            while len(answer) < ANSWER_LIMIT_BYTES and (data := connection.recv(4096)):
                answer += data
                if not answer.startswith(b"HTTP"[: len(answer)]):
                    break
    except OSError as problem:
        return False, f"no answer from {place} ({problem})"
    return read_answer(answer, place)


def read_answer(answer: bytes, place: str) -> tuple[bool, str]:
    """Return what an answer of ``/readyz`` says, whoever gave it; ``place`` is where."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status == [b"200"]:
        return True, "ready"
    try:
        missing = json.loads(body)["missing"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False, f"{place} is not the admin port of slotway"
    return False, "; ".join(map(str, missing))


def _connect(host: str, port: int, has_tls: bool) -> socket.socket:
    plain = socket.create_connection((host, port), TIMEOUT_S)
    if not has_tls:
        return plain
    # Late: it takes longer to load than all the rest.
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return context.wrap_socket(plain)
    except OSError:
        plain.close()
        raise


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
