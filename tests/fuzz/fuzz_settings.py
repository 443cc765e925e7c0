"""Target: the settings, from a file, the environment's texts and ``PROXY CONFIG SET``.

Judged: settings or a ``ConfigError``; what was taken can be shown, and said
again as it is shown gives the same.
"""

from __future__ import annotations

import contextlib
import json
import os
from functools import cache
from pathlib import Path

from hostile_wire import NUMBERS
from lots import Lots

from proxy.config import Settings
from proxy.config.shown import show_value
from proxy.errors import ConfigError
from proxy.sources import LISTS, known_keys, load_settings, with_text

TEXTS = [
    "", "true", "false", "no", "default", "primary", "nearest", "slow", "refuse", "all", "pass",
    "127.0.0.1", "127.0.0.1:6379", "[::1]:6379", "::1", "0.0.0.0/0", "10.0.0.0/8", "unix", "h:x",
    "a=b", "a=b,c=d", "=t", "p=t", "p=", "a=primary", "a=sha256:" + "0" * 64, "a=sha256:x",
    "a=file:", "a=file:/nowhere", "*", "get,set", "config|set", ",", "=", "a=1:2=3", "1.5", "1e999",
    "nan", "inf", "-0", "x" * 300, "\x00", "é", "\n", "🙂", "[]", "[{}]", "null", "debug", "json",
    "10.0.0.1:1=10.0.0.2:2", "file:/nowhere",
]  # fmt: skip
TABLES = [
    "guard", "rate", "pin", "listen", "tls", "cluster", "clients", "limits", "log", "reads", "x",
]  # fmt: skip
ROWS = [
    {"commands": ["get"], "action": "deny"}, {"commands": "a,b", "action": "confirm", "users": []},
    {"commands": [], "action": "x"}, {"users": ["*"], "commands_per_s": 1},
    {"bytes_per_s": 1e308, "burst_s": 0}, {"prefix": "p", "tag": "t"}, {"prefix": "", "tag": "{"},
    {"tag": ""}, {}, [], 1, None, {"commands": [1]}, {"users": "*", "commands_per_s": "-1"},
]  # fmt: skip
DEEP = 20_000


@cache
def keys() -> list[str]:
    """Return every key, and some that do not exist."""
    return [*known_keys(), *LISTS, "listen.prot", "lissen.port", "listen", ".", ""]


def read_settings(data: bytes) -> None:
    """Read a few keys as texts, and now and then a file."""
    lots = Lots(data)
    settings = Settings()
    for _ in range(1 + lots.below(4)):
        key = lots.choice(keys()[:-5])
        with contextlib.suppress(ConfigError):
            settings = with_text(settings, key, _text(lots))
            _say_again(settings, key)
    settings.pin_table()
    settings.reads.readers_of()
    settings.cluster.seed_addresses()
    with contextlib.suppress(ConfigError):
        settings.clients.user_digests()
    if lots.rarely():
        with contextlib.suppress(ConfigError):
            _load(_toml(lots))


def _say_again(settings: Settings, key: str) -> None:
    table, _, name = key.partition(".")
    value = getattr(getattr(settings, table), name) if name else getattr(settings, table)
    shown = show_value(value)
    if "***" in shown or "SecretStr" in shown:
        return
    with contextlib.suppress(
        ConfigError
    ):  # a comma or a blank inside a word was said in another way
        show_value(with_text(settings, key, shown))


def _text(lots: Lots) -> str:
    match lots.below(8):
        case 0:
            return json.dumps([lots.choice(ROWS) for _ in range(lots.below(4))])
        case 1:
            return lots.choice("[{") * (DEEP if lots.rarely() else lots.below(9))
        case 2:
            return lots.choice(NUMBERS).decode()
        case 3:
            return lots.take(lots.below(20)).decode("utf-8", "replace")
        case 4:
            return ",".join(lots.choice(TEXTS) for _ in range(lots.below(4)))
        case _:
            return lots.choice(TEXTS)


def _toml(lots: Lots) -> bytes:
    """Return a file: lines that are nearly right, tables twice, values of every kind."""
    lines = []
    for _ in range(lots.below(8)):
        key = lots.choice(keys())
        match lots.below(6):
            case 0:
                lines.append(f"[{lots.choice(TABLES)}]")
            case 1:
                lines.append(f"[[{lots.choice(TABLES)}]]")
            case 2:
                lines.append(f"{key} = {lots.choice('[{') * (DEEP if lots.rarely() else 3)}")
            case 3:
                lines.append(f"{key} = {lots.choice(NUMBERS).decode()}")
            case _:
                lines.append(f"{key} = {json.dumps(_text(lots))}")
    return "\n".join(lines).encode() + (lots.take(9) if lots.rarely() else b"")


def _load(text: bytes) -> None:
    file = os.memfd_create("settings")
    try:
        os.write(file, text)
        load_settings(Path(f"/proc/self/fd/{file}"))
    finally:
        os.close(file)
