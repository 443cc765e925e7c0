"""The tables ``[[rate]]`` and ``[[guard]]``: what users may send, and how fast."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, field_validator, model_validator

from proxy.config.values import Table, Words

EVERYONE = "*"


class Rate(Table):
    """How fast some users may send; the first table that names a user counts for it."""

    users: Words = (EVERYONE,)
    """Names of users; "*" for everyone, also who has not logged in because nobody must."""
    commands_per_s: NonNegativeFloat = 0.0
    """Commands a second; 0 any number."""
    bytes_per_s: NonNegativeFloat = 0.0
    """Bytes a second, of requests and replies together; 0 any number."""
    burst_s: NonNegativeFloat = 1.0
    """So many seconds' worth may be saved up and sent at once; one command always may."""
    per: Literal["user", "client"] = "user"
    """Whether all clients of a user share it, or each has it to itself."""
    mode: Literal["slow", "refuse"] = "slow"
    """What becomes of more: read later, or answered with an error."""

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not self.commands_per_s and not self.bytes_per_s:
            raise ValueError("a table with commands_per_s or bytes_per_s")
        return self


class Guard(Table):
    """Who may send which commands; the first table that names user and command counts."""

    commands: Words = Field(min_length=1)
    """Commands, "config|set" for one subcommand, "config" for all of them."""
    users: Words = (EVERYONE,)
    """Names of users; "*" for everyone."""
    action: Literal["allow", "deny", "confirm"]
    """Let it pass; refuse it; or refuse it until PROXY CONFIRM has brought the error's code."""

    @field_validator("commands")
    @classmethod
    def _lower_case(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.lower() for name in names)
