"""The tables ``[commands]`` and ``[[pin]]``: what clients may do, and where keys live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import field_validator

from proxy.config.values import Table, Words

# In commands.deny, this word stands for the commands that are denied by default.
DEFAULT_DENIALS = "default"


class Commands(Table):
    """What clients may do."""

    deny: Words = (DEFAULT_DENIALS,)
    """Commands to refuse, "config|set" for one subcommand; "default" is the built-in set."""
    unknown: Literal["ask", "refuse"] = "ask"
    """A command that the table lacks: ask a server for its keys, or refuse it."""
    transactions: Literal["strict", "split"] = "strict"
    """Keys of MULTI..EXEC: in one slot as a whole, or in any slots and as a whole in each."""
    cross_slot: Literal["reject", "reads", "all"] = "reads"
    """Commands whose keys lie in several slots and cannot be split; none of it is atomic."""

    @field_validator("deny")
    @classmethod
    def _lower_case(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.lower() for name in names)

    def denied(self, by_default: Iterable[bytes]) -> frozenset[bytes]:
        """Return the names to deny, lower case, with the built-in set put in for "default"."""
        named = frozenset(name.encode() for name in self.deny if name != DEFAULT_DENIALS)
        return named | frozenset(by_default) if DEFAULT_DENIALS in self.deny else named


class Pin(Table):
    """Keys with a prefix, which live in one slot together."""

    prefix: str
    """What the keys begin with; empty for every key that no longer prefix fits."""
    tag: str
    """Hash tag under which they are stored; several prefixes may share one."""
