"""Where the settings' values come from, and what is said when one is wrong.

Strategy: a value comes from a flag, else from the environment
(``SLOTWAY_<TABLE>__<KEY>``), else from the file, else it is the default. A key that
does not exist is refused wherever it stands, so that a misspelling never goes
unnoticed.

Cost: read once, at start.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from proxy.config import Settings
from proxy.config.files import files_of
from proxy.errors import ConfigError

ENV_PREFIX = "SLOTWAY_"

SECRET_KEYS = frozenset({"cluster.password", "clients.password", "clients.users", "admin.token"})
"""Keys whose values are never shown."""


LISTS = ("guard", "rate", "pin")
"""Lists of tables, each as a whole a key."""

# Pydantic's kinds of errors in the words of docs/settings.md; others speak for themselves.
_ALLOWED = {
    "missing": "a value, because it has no default",
    "model_type": "a table of keys",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a table",
    "too_short": "at least one",
}


class _Environment(EnvSettingsSource):
    """The environment, where the tables split their lists themselves; none of it is JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: object) -> object:
        """Return the text as it is."""
        return value


def load_settings(
    path: Path | None = None, flags: Mapping[str, Mapping[str, object]] | None = None
) -> Settings:
    """Read the settings from flags, environment and file, in this order of precedence.

    Args:
        path: The TOML file; None if there is none.
        flags: What the command line gave, by table and key; nothing for
            flags that were not given.

    Raises:
        ConfigError: Something is wrong; it names what, and what is allowed.
    """
    from_flags = {table: dict(values) for table, values in (flags or {}).items()}
    from_file = {} if path is None else _read_toml(path)

    class Loader(Settings, BaseSettings):
        model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__")

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: object, **__: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (
                InitSettingsSource(settings_cls, from_flags),
                _Environment(settings_cls),
                InitSettingsSource(settings_cls, from_file),
            )

    _refuse_unknown_variables()
    try:
        loaded = Loader.model_validate({})
    except ValidationError as problem:
        raise _explain(problem, from_flags, from_file) from None
    return Settings.model_validate({name: getattr(loaded, name) for name in Settings.model_fields})


@dataclass(frozen=True)
class Sources:
    """Where the settings of one proxy come from, to be read again later."""

    file: Path | None = None
    flags: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def read(self) -> Settings:
        """Read the settings as they are now; see ``load_settings``."""
        return load_settings(self.file, self.flags)

    def files(self, settings: Settings) -> Iterator[Path]:
        """Yield the files that ``settings``, which were read from here, have come from."""
        if self.file is not None:
            yield self.file
        yield from files_of(settings)

    def origin(self, key: str) -> str:
        """Return what decides on a key: command line, environment, file or default.

        Raises:
            ConfigError: The file cannot be read any more.
        """
        place = key.split(".")
        if _has(self.flags, place):
            return "command line"
        if _variable(key) in {name.upper() for name in os.environ}:
            return "environment"
        is_in_file = self.file is not None and _has(_read_toml(self.file), place)
        return "file" if is_in_file else "default"


def with_text(settings: Settings, key: str, text: str) -> Settings:
    """Return settings with another value of one key, which is written as in the environment.

    Args:
        key: One that exists, or a list of tables.

    Raises:
        ConfigError: The value is wrong.
    """
    table, _, name = key.partition(".")
    tables: dict[str, object] = dict(settings)
    tables[table] = {**dict(getattr(settings, table)), name: text} if name else text
    try:
        return Settings.model_validate(tables)
    except ValidationError as problem:
        found = _telling(problem)
        place = [str(word) for word in found["loc"]]
        if name or len(place) == 1:
            raise _wrong(key, repr(text), found) from None
        if found["type"] == "extra_forbidden":
            raise no_such_key(_key_at(place)) from None
        raise _wrong(_key_at(place), repr(found["input"]), found) from None


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as problem:
        given = problem.strerror or "an error"
    except ValueError as problem:  # not TOML, or not UTF-8
        given = str(problem)
    except RecursionError:
        given = "lists in lists without end"
    raise ConfigError(key=str(path), given=given, allowed="a TOML file")


def known_keys() -> list[str]:
    """Return every ``table.key``, in the order of the models; not those of ``LISTS``."""
    defaults = Settings()
    return [
        f"{table}.{key}"
        for table in Settings.model_fields
        if table not in LISTS
        for key in type(getattr(defaults, table)).model_fields
    ]


def _variable(key: str) -> str:
    return ENV_PREFIX + key.replace(".", "__").upper()


def _refuse_unknown_variables() -> None:
    """Refuse a variable that is meant for us and names no key.

    With two underscores it is meant for us, and with one if it names a key but for that:
    Kubernetes itself sets SLOTWAY_PORT and the like for a service of the name slotway, and
    SLOTWAY_ADMIN_PORT, tcp://10.0.0.1:9379, for one of the name slotway-admin.
    """
    known = [_variable(key) for key in known_keys()]
    with_one = {name.replace("__", "_"): name for name in known}
    for name, value in os.environ.items():
        variable = name.upper()
        if variable in with_one and "://" not in value:
            nearest = f"{with_one[variable]}, with two underscores"
        elif variable.startswith(ENV_PREFIX) and "__" in name and variable not in known:
            nearest = _nearest_variable(variable)
        else:
            continue
        raise ConfigError(key=name, given="a variable that names no key", allowed=nearest)


def _nearest_variable(name: str) -> str:
    keys = [key.replace(".", "__").upper() for key in known_keys()]
    # Without the beginning, which all have and which makes any two of them alike.
    close = get_close_matches(name.removeprefix(ENV_PREFIX), keys, n=1, cutoff=0.5)
    return f"{ENV_PREFIX}{close[0]} is the nearest" if close else f"{ENV_PREFIX}<TABLE>__<KEY>"


def _explain(
    problem: ValidationError, from_flags: Mapping[str, object], from_file: Mapping[str, object]
) -> ConfigError:
    """Return the most telling of pydantic's findings in words, and where the value came from."""
    found = _telling(problem)
    place = [str(word) for word in found["loc"]]
    key = _key_at(place)
    if found["type"] == "extra_forbidden":
        # The value is not shown: it may be a password under a misspelt key.
        return no_such_key(key)
    variable = _variable(place[0] if place[0] in LISTS else key)
    if _has(from_flags, place):
        origin = "on the command line"
    elif variable in {name.upper() for name in os.environ}:
        origin = f"in {variable}"
    else:
        origin = "in the file" if _has(from_file, place) else "by default"
    return _wrong(key, repr(found["input"]), found, f" {origin}")


def _telling(problem: ValidationError) -> ErrorDetails:
    """Return the first finding, but a misspelt key before the one that is missing for it."""
    return min(problem.errors(include_url=False), key=lambda found: found["type"] == "missing")


def _key_at(place: Sequence[str]) -> str:
    """Return the key of a place in the settings, like ``log.level`` and ``guard.0.action``."""
    return ".".join(place[: 3 if place[0] in LISTS else 2])


def _wrong(key: str, value: str, found: ErrorDetails, origin: str = "") -> ConfigError:
    words = found["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    given = "a secret" if key in SECRET_KEYS else value
    if found["type"] == "missing":
        given = "nothing"
    return ConfigError(key=key, given=given + origin, allowed=_ALLOWED.get(found["type"], words))


def _has(source: Mapping[str, object], place: Sequence[str]) -> bool:
    """Return whether a source has a value for this table and key."""
    table = source.get(place[0])
    return place[1] in table if isinstance(table, Mapping) and place[1:] else table is not None


def no_such_key(key: str) -> ConfigError:
    """Return what is said of a key that does not exist: the nearest, else what its table has."""
    return ConfigError(key=key, given="a key that does not exist", allowed=_instead(key.split(".")))


def _instead(place: Sequence[str]) -> str:
    table, name = place[0], place[-1]
    known = known_keys()
    if len(place) == 1:
        under_a_table = [key for key in known if key.endswith(f".{name}")]
        tables = list(Settings.model_fields)
        return ", ".join(under_a_table) or _nearest(name, tables, ", ".join(tables))
    if table in LISTS:
        (row, *_) = get_args(Settings.model_fields[table].annotation)
        known = [".".join([*place[:-1], field]) for field in row.model_fields]
    own = [key for key in known if key.startswith(f"{table}.")] or list(Settings.model_fields)
    return _nearest(".".join(place), known, ", ".join(own))


def _nearest(name: str, known: list[str], otherwise: str) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"{close[0]} is the nearest" if close else otherwise
