"""Commands that no server has: the proxy's own, beside what the servers say about theirs.

Strategy: rows as any other, so that PROXY is denied, counted and queued like every command.
COMMAND, which the servers answer, does not show them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from proxy.commands.spec import CommandSpec, Merge, Road
from proxy.commands.table import is_denied

PROXY = b"proxy"

# Arguments with both names: exactly so many, or at least so many.
_ARITIES: dict[bytes, int] = {
    b"bigkeys": -2,
    b"clients": -2,
    b"config": -4,
    b"events": -2,
    b"explain": -3,
    b"help": 2,
    b"hotkeys": -2,
    b"info": -2,
    b"slowlog": -3,
    b"stats": 2,
    b"topology": 2,
}


def _row(name: bytes, arity: int, *, is_container: bool = False) -> CommandSpec:
    return CommandSpec(
        name=name,
        arity=arity,
        is_write=False,
        is_container=is_container,
        blocking_keyword=b"",
        unsplittable_if=(),
        key_specs=(),
        road=Road.LOCAL,
        request_policy=b"",
        merge=Merge.NONE,
        flags=frozenset({b"loading", b"stale"}),
    )


def own_rows(denied: Iterable[bytes] = ()) -> tuple[CommandSpec, ...]:
    """Return the rows of the proxy's own commands.

    Args:
        denied: Names to refuse, lower case, ``b"proxy|config"`` for a subcommand.
    """
    names = frozenset(denied)
    rows = [_row(PROXY, -2, is_container=True)]
    rows += [_row(PROXY + b"|" + name, arity) for name, arity in _ARITIES.items()]
    return tuple(
        replace(row, road=Road.DENIED) if is_denied(row.name, names) else row for row in rows
    )
