"""The files that settings name: secrets, certificates, and whatever else is read with them.

Strategy: a file is known by its type or by how a secret is written, not by its key, so a new
one cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import SecretStr

from proxy.config import Settings
from proxy.config.values import Table

IN_A_FILE = "file:"


def files_of(settings: Settings) -> Iterator[Path]:
    """Yield every file that the settings name, in their order; one may come twice."""
    for name in Settings.model_fields:
        yield from _files(getattr(settings, name))


def _files(value: object) -> Iterator[Path]:
    match value:
        case Path():
            yield value
        case SecretStr():
            word = value.get_secret_value()
            if word.startswith(IN_A_FILE):
                yield Path(word.removeprefix(IN_A_FILE))
        case Table():
            for _, item in value:
                yield from _files(item)
        case Mapping():
            for item in value.values():
                yield from _files(item)
        case tuple():
            for item in value:
                yield from _files(item)
