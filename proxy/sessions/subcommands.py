"""Find the subcommand of a container, or say what a server says when it cannot.

Strategy: a container's subcommands stand in one mapping from lower-case name
to ``Subcommand``; arity is checked here, so that whoever answers may index the
arguments. What only Valkey knows is unknown behind a Redis cluster.

The reverse is not true: what newer servers know is answered behind older ones
too (CLIENT SETINFO behind 7.0), because it concerns the connection to the
proxy, which does not depend on the age of the servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.resp import replies
from proxy.sessions.context import LocalContext, speaks_valkey

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Subcommand(Generic[Answer]):
    """One subcommand: how many arguments it takes, and who answers."""

    arity: int
    """Arguments, container and subcommand included: exactly so many, or at least ``-arity``."""
    answer: Answer
    """The handler, or whatever else the container finds one by."""
    valkey_only: bool = False
    """Redis has no such subcommand, in any version known to us."""


def find_subcommand(
    ctx: LocalContext,
    container: bytes,
    table: Mapping[bytes, Subcommand[Answer]],
    args: list[bytes],
) -> Subcommand[Answer] | bytes:
    """Return the subcommand that ``args[1]`` names, or the server's error frame."""
    if len(args) < 2:
        return replies.wrong_arity(container)
    name = args[1].lower()
    found = table.get(name)
    if found is None or (found.valkey_only and not speaks_valkey(ctx)):
        return replies.unknown_subcommand(container, args[1])
    fits = len(args) == found.arity if found.arity >= 0 else len(args) >= -found.arity
    return found if fits else replies.wrong_arity(container + b"|" + name)
