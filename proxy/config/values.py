"""What the tables of the settings are made of: lists, pairs, and secrets from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from proxy.errors import ConfigError

MIB = 1024 * 1024


def split_list(value: object) -> object:
    """Let ``a,b`` stand for a list: environment variables and flags have no lists."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def split_pairs(value: object) -> object:
    """Let ``a=b,c=d`` stand for a table."""
    if isinstance(value, str):
        pairs = (word.partition("=") for word in value.split(",") if word.strip())
        return {key.strip(): reachable.strip() for key, _, reachable in pairs}
    return value


def parse_tables(value: object) -> object:
    """Let JSON stand for a list of tables."""
    if isinstance(value, str):
        try:
            return json.loads(value) if value.strip() else ()
        except (ValueError, RecursionError):  # the latter: brackets in brackets without end
            raise ValueError("a list of tables, as JSON") from None
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(split_list)]
Pairs = Annotated[dict[str, str], BeforeValidator(split_pairs)]
Secrets = Annotated[dict[str, SecretStr], BeforeValidator(split_pairs)]


class Table(BaseModel):
    """What all tables share: no key too many, no change after start."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _a_truth_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse true where a number is meant, which pydantic would take for 1."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind in (int, float):
            raise ValueError("a whole number" if kind is int else "a number")
        return value


class Account(Table):
    """A table with a password, which stands in the file or in a file of its own."""

    password: SecretStr = SecretStr("")
    """Password that must be given; empty for none."""
    password_file: Path | None = None
    """File that holds the password instead; empty for none."""

    @field_validator("password_file", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("password_file")
    @classmethod
    def _is_readable(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None:
            password = info.data.get("password")
            if password is not None and password.get_secret_value():
                raise ValueError("nothing, because password is set too")
            read_secret(path)
        return path

    def read_password(self) -> str:
        """Return the password; empty if there is none.

        A file is read anew each time, so that a rotated secret is used from
        the next connection on; one line end after the password is not part of it.

        Raises:
            ConfigError: The file has gone since the settings were loaded.
        """
        if self.password_file is None:
            return self.password.get_secret_value()
        try:
            return read_secret(self.password_file)
        except ValueError as problem:
            key = f"{type(self).__name__.lower()}.password_file"
            raise ConfigError(
                key=key, given=repr(str(self.password_file)), allowed=str(problem)
            ) from None


def read_secret(path: Path) -> str:
    """Return the text of a file, without its last line end.

    Raises:
        ValueError: It cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8"
        raise ValueError(f"a file that can be read ({reason})") from None
    return text.removesuffix("\n").removesuffix("\r")
