"""Take other settings while the proxy runs: all that can change, or nothing.

Strategy: the settings are read anew from where they came from at start, files with
secrets included, and looked through as then. If anything is wrong, nothing has changed
and the caller is told. Else each room gets what concerns it; what only a start can change
keeps its old value and is named (``live_settings.py`` has the table).

Cost: some milliseconds, for reading the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from proxy.config import Settings
from proxy.config.values import Table
from proxy.errors import ConfigError
from proxy.life.given import Given, Rooms
from proxy.life.live_settings import LIVE, RESTART, WITH_ACL
from proxy.sources import no_such_key, with_text

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of new settings."""

    changed: tuple[str, ...]
    """Keys with another value, which is in force now."""
    needs_restart: tuple[str, ...]
    """Keys with another value, which only a start will bring into force."""


class Reloader:
    """The settings in force, and the way to others.

    Args:
        rooms: Who takes them.
        settings: Those of the start, which nobody has got yet.
        read: Reads the settings anew.

    Attributes:
        settings: Those in force.
        changed: Keys whose value was changed by ``change`` since the last reload.

    Raises:
        ConfigError: A file with a secret has gone.
    """

    def __init__(self, rooms: Rooms, settings: Settings, read: Callable[[], Settings]) -> None:
        self.settings = settings
        self.changed: set[str] = set()
        self._rooms = rooms
        self._read = read
        self._given = Given.of(settings)
        for take in dict.fromkeys(LIVE.values()):
            take(rooms, self._given)

    def reload(self) -> Reloaded:
        """Read the settings again and use them.

        What ``change`` has changed meanwhile is again what the sources say.

        Raises:
            ConfigError: They are wrong; nothing has changed.
        """
        try:
            done = self._take(Given.of(self._read()))
        except ConfigError as problem:
            log.warning("settings not reloaded", problem=str(problem))
            raise
        self.changed.clear()
        log.info(
            "settings reloaded",
            changed=", ".join(done.changed) or "nothing",
            needs_restart=", ".join(done.needs_restart) or "nothing",
        )
        return done

    def change(self, key: str, text: str) -> None:
        """Use another value for one key, until the next reload or start.

        Args:
            text: As an environment variable would have it.

        Raises:
            ConfigError: There is no such key, it needs a restart, or the value is wrong;
                nothing has changed.
        """
        if key in RESTART:
            allowed = f"a restart, for {RESTART[key]}"
            raise ConfigError(key=key, given="a change while running", allowed=allowed)
        if key not in LIVE:
            raise no_such_key(key)
        self._take(Given.of(with_text(self.settings, key, text)))
        self.changed.add(key)
        log.info("setting changed", key=key)

    def _take(self, new: Given) -> Reloaded:
        different = [key for key in (*LIVE, *RESTART) if new.value(key) != self._given.value(key)]
        waiting = [key for key in different if key in RESTART]
        if "clients.acl" in waiting:
            waiting += [key for key in different if key in WITH_ACL]
        kept = {key: _value(self.settings, key) for key in waiting}
        given = Given.of(_with(new.settings, kept))
        for take in dict.fromkeys(LIVE[key] for key in different if key not in waiting):
            take(self._rooms, given)
        self._given, self.settings = given, given.settings
        return Reloaded(
            changed=tuple(key for key in different if key not in waiting),
            needs_restart=tuple(waiting),
        )


def _value(settings: Settings, key: str) -> object:
    table, _, name = key.partition(".")
    found: object = getattr(settings, table)
    return getattr(found, name) if name else found


def _with(settings: Settings, values: Mapping[str, object]) -> Settings:
    """Return settings with other values of these keys, which have been looked through."""
    changed: dict[str, object] = {}
    for key, value in values.items():
        table, _, name = key.partition(".")
        if not name:
            changed[table] = value
            continue
        now = changed.get(table, getattr(settings, table))
        assert isinstance(now, Table)
        changed[table] = now.model_copy(update={name: value})
    return settings.model_copy(update=changed)
