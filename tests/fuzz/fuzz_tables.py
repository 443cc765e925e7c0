"""Target: where the keys of a request are, with arguments that lie about their number."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import hiredis
from hostile_wire import NUMBERS, WORDS
from lots import Lots

from proxy.cluster.slots import key_slot as plain_slot
from proxy.commands.spec import CommandSpec, KeySpec
from proxy.commands.table import compile_table
from proxy.dataplane.tables import CommandTable, key_slot

COMMAND_REPLY = Path(__file__).parents[1] / "unit/commands/replies/valkey-9.1.2.resp2.gz"


@cache
def table() -> CommandTable:
    """Return the table of Valkey 9.1."""
    reader = hiredis.Reader()
    reader.feed(gzip.decompress(COMMAND_REPLY.read_bytes()))
    return CommandTable(compile_table(reader.gets()))


@cache
def rows() -> list[CommandSpec]:
    """Return the rows that have keys, in a fixed order."""
    return sorted((row.spec for row in table() if row.spec.key_specs), key=lambda s: s.name)


def find_keys(data: bytes) -> None:
    """Hold what the compiled table finds against the description of a key specification."""
    lots = Lots(data)
    spec = rows()[lots.below(len(rows()))]
    args = [word.upper() for word in spec.name.split(b"|")]
    while lots and len(args) < 40:
        args.append(lots.choice([*WORDS, *NUMBERS, b"k", lots.take(lots.below(8))]))

    row, places = table().key_places(*args)

    assert row is not None
    assert places == _plain(row.spec, args), (args, places)
    for place in places:
        assert key_slot(args[place]) == plain_slot(args[place])


def _plain(spec: CommandSpec, args: list[bytes]) -> list[int]:
    found: list[int] = []
    for keys in spec.key_specs:
        first = keys.begin_index or _after(keys, args)
        if first is None:
            continue
        if keys.is_keynum:
            number = _number(args, first + keys.keynum_index)
            first += keys.first_key
            step = max(keys.key_step, 1)
            if number is None or first + (number - 1) * step >= len(args):
                return []
            found += range(first, first + number * step, step)
            continue
        if keys.last_key >= 0:
            last = first + keys.last_key
        elif keys.limit <= 1:
            last = len(args) + keys.last_key
        else:
            last = first + int((len(args) - first) / keys.limit) + keys.last_key
        found += range(first, min(last + 1, len(args)), max(keys.step, 1))
    return found


def _after(keys: KeySpec, args: list[bytes]) -> int | None:
    begin = keys.start_from if keys.start_from > 0 else len(args) + keys.start_from
    step = 1 if keys.start_from > 0 else -1
    place = begin
    while 1 <= place < len(args):
        if args[place].lower() == keys.keyword.lower():
            return place + 1
        place += step
    return None


def _number(args: list[bytes], place: int) -> int | None:
    if place >= len(args):
        return None
    word = args[place]
    if not word.isdigit() or (word[:1] == b"0" and word != b"0") or len(word) > 18:
        return None
    return int(word) if int(word) <= len(args) else None
