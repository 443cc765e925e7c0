"""Write docs/commands.md: how each command of both engines is served, and what differs.

    python tools/make_commands_page.py

The page is made of the command table itself, as the proxy compiles it from what
Redis 7.0 and Valkey 9.1 say about their commands, and of ``command_notes.py``.
A test sees that it is up to date.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

from command_notes import NOTES

from proxy.commands.overrides import DENIED_BY_DEFAULT
from proxy.commands.own import own_rows
from proxy.commands.spec import CommandSpec, Merge, Road
from proxy.commands.table import compile_table, is_denied, snapshot_table
from proxy.resp.decode import decode
from proxy.sessions.across_plan import Key, Manner, manner_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "commands.md"
VALKEY_REPLY = ROOT / "tests/unit/commands/replies/valkey-9.1.2.resp2.gz"

HEAD = """# Commands

Made by `tools/make_commands_page.py` from the command table; do not edit.

| word | how the command is served |
|---|---|
| forward | as it is, to the primary of its keys' slot; without a key, to any primary |
| split | as forward while its keys share a slot, else a part for each slot, merged |
| across slots | as forward while its keys share a slot, else by `commands.cross_slot` |
| fan-out | to all primaries, or all nodes; their replies become one |
| proxy | the proxy answers |
| session | on a connection of the client's own, or by a task of the proxy |
| denied | refused by default; `commands.deny` says what is |
| refused | always |

A command that is missing here (of a module, or of a later version) is served by what the
connected servers say about it.

| command | served | since | what a client may notice |
|---|---|---|---|
"""

MERGES = {
    Merge.ARRAY: "one array",
    Merge.SUM: "sum",
    Merge.ALL_OK: "all must succeed",
    Merge.AND: "and",
    Merge.MIN: "least",
    Merge.MAX: "greatest",
    Merge.OR: "or",
    Merge.ONE_OK: "one must succeed",
}


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render())


def render() -> str:
    """Return the text of the page."""
    valkey_reply = decode(gzip.decompress(VALKEY_REPLY.read_bytes()))
    engines = {
        "Redis 7.0": _by_name((*snapshot_table(), *own_rows())),
        "Valkey 9.1": _by_name((*compile_table(valkey_reply, DENIED_BY_DEFAULT), *own_rows())),
    }
    notes = {name: words for words, names in NOTES for name in names}
    names = sorted(set().union(*engines.values()))
    return HEAD + "".join(
        _line(name, engines, notes) for name in names if not _is_bare_container(name, engines)
    )


def _by_name(specs: Iterable[CommandSpec]) -> dict[str, CommandSpec]:
    return {spec.name.decode(): spec for spec in specs}


def _is_bare_container(name: str, engines: Mapping[str, dict[str, CommandSpec]]) -> bool:
    return any(name in specs and specs[name].is_container for specs in engines.values())


def _line(
    name: str, engines: Mapping[str, dict[str, CommandSpec]], notes: Mapping[str, str]
) -> str:
    ways = {engine: _served(specs[name]) for engine, specs in engines.items() if name in specs}
    served = (
        next(iter(ways.values()))
        if len(set(ways.values())) == 1
        else "; ".join(f"{engine}: {way}" for engine, way in ways.items())
    )
    since = "" if len(ways) == len(engines) else f"{next(iter(ways))} only"
    note = notes.get(name) or notes.get(name.partition("|")[0], "")
    return f"| {name.replace('|', ' ').upper()} | {served} | {since} | {note} |\n"


def _served(spec: CommandSpec) -> str:
    match spec.road:
        case Road.DENIED:
            return "denied" if is_denied(spec.name, DENIED_BY_DEFAULT) else "refused"
        case Road.SPLIT:
            return "split"
        case Road.FAN_OUT:
            where = "all nodes" if spec.request_policy == b"all_nodes" else "all primaries"
            merge = MERGES.get(spec.merge)
            return f"fan-out to {where}" + (f", {merge}" if merge else "")
        case Road.LOCAL:
            return "proxy"
        case Road.SESSION:
            return "session"
        case _:
            return _forwarded(spec) + (", session with BLOCK" if spec.blocking_keyword else "")


def _forwarded(spec: CommandSpec) -> str:
    """Say what becomes of a command whose keys may lie in several slots."""
    if not _takes_many_keys(spec):
        return "forward"
    keys = [
        spec.is_write and b"RO" not in keys.flags
        for keys in spec.key_specs
        for _ in range(1 + (keys.is_keynum or keys.last_key != 0))
    ]
    apart = tuple(Key(place, b"", place, changed) for place, changed in enumerate(keys))
    if manner_of(spec, apart) is Manner.REFUSED:
        return "forward"
    return "across slots" + (" (cross_slot = all)" if spec.is_write else "")


def _takes_many_keys(spec: CommandSpec) -> bool:
    return len(spec.key_specs) > 1 or any(
        keys.is_keynum or keys.last_key != 0 for keys in spec.key_specs
    )


if __name__ == "__main__":
    main()
