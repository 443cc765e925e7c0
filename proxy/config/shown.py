"""The settings as they are shown: each with its value, its default and where it comes from.

Strategy: a value is written as an environment variable would have it, so that what is shown
can be given back. A secret is known by its type, not by its name, so a new one cannot be
forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from proxy.config import Pin, Settings
from proxy.config.values import Table
from proxy.insight.views_answers import ConfigView, SettingRow

HIDDEN = "***"
CHANGED = "PROXY CONFIG SET"


def show_settings(
    settings: Settings,
    *,
    file: Path | None,
    origin: Callable[[str], str],
    live: Collection[str],
    changed: Collection[str],
) -> ConfigView:
    """Return every setting, in the order of proxy.toml.

    Args:
        settings: Those in force.
        file: Where they were read from; None: there is no file.
        origin: Returns what decides on a key: default, file, environment, command line.
        live: Keys that can be changed while the proxy runs.
        changed: Keys that were changed so.
    """
    defaults = Settings()
    rows: list[SettingRow] = []

    def add(key: str, field: FieldInfo, value: object, default: object) -> None:
        rows.append(
            SettingRow(
                key=key,
                value=show_value(value),
                default=show_value(default),
                source=CHANGED if key in changed else origin(key),
                secret="SecretStr" in repr(field.annotation),
                live=key in live,
                text=field.description or "",
            )
        )

    for table in Settings.model_fields:
        values, given = getattr(settings, table), getattr(defaults, table)
        if not isinstance(values, Table):
            add(table, Settings.model_fields[table], values, given)
            continue
        for name, field in type(values).model_fields.items():
            add(f"{table}.{name}", field, getattr(values, name), getattr(given, name))
    return ConfigView(file=None if file is None else str(file), settings=tuple(rows))


def show_value(value: object) -> str:
    """Return a value as an environment variable would have it, secrets as ``***``."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case SecretStr():
            return HIDDEN if value.get_secret_value() else ""
        case Pin():
            return "=".join(show_value(item) for _, item in value)
        case Mapping():
            return ",".join(f"{name}={show_value(item)}" for name, item in value.items())
        case tuple() if value and isinstance(value[0], Table) and not isinstance(value[0], Pin):
            return json.dumps([item.model_dump(exclude_defaults=True) for item in value])
        case tuple():
            return ",".join(show_value(item) for item in value)
        case _:
            return str(value)
