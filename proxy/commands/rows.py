"""Read a reply to COMMAND: nested lists of bytes become rows with names.

Strategy: the reply has two shapes, RESP2 (flat lists) and RESP3 (maps and
sets), and two lengths, 7 fields before Redis 7.0 and 10 since. They all become
the same ``Row`` here, and nothing above this file knows that they differed. A
row says only what the server said; roads are decided in ``table.py``.

Cost: under 10 ms for the 400 commands of Valkey 9.1, once per connection to a
server of another version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from proxy.commands.spec import KeySpec
from proxy.errors import BackendProtocolError

FIELDS_BEFORE_7_0 = 7  # name, arity, flags, first key, last key, step, ACL categories
FIELDS_SINCE_7_0 = 10  # ... tips, key specifications, subcommands
# Of arities and places: what the C struct of a row holds; a request has a million at most.
NUMBER_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Row:
    """One command or subcommand, as the server describes it."""

    name: bytes
    arity: int
    flags: frozenset[bytes]
    categories: frozenset[bytes]
    """ACL categories, ``b"@connection"`` and the like."""
    request_policy: bytes
    response_policy: bytes
    key_specs: tuple[KeySpec, ...]
    """The specifications that can be evaluated, channels (``not_key``) included."""
    are_keys_known: bool
    """False: a specification is unknown or incomplete, or there should be one and is none."""
    has_subcommands: bool
    is_full: bool
    """False: a row of a server before 7.0, without tips, key specs and subcommands."""


def parse_command_reply(reply: object) -> tuple[Row, ...]:
    """Return a row for every command and subcommand of a COMMAND reply.

    Args:
        reply: What hiredis makes of the reply, over RESP2 or RESP3. None among
            the commands (COMMAND INFO of an unknown name) is left out.

    Raises:
        BackendProtocolError: The reply is not what COMMAND answers, an error
            reply for instance. Any other exception out of this function is a bug.
    """
    try:
        return tuple(row for command in _items(reply) for row in _rows_of(command))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise BackendProtocolError(f"COMMAND answered something else: {error!r}") from error


def _rows_of(command: object, *, is_subcommand: bool = False) -> Iterator[Row]:
    if command is None:
        return
    fields = _items(command)
    if len(fields) < FIELDS_BEFORE_7_0:
        raise ValueError(f"a command of {len(fields)} fields")
    flags = _words(fields[2])
    is_full = len(fields) >= FIELDS_SINCE_7_0
    if is_full:
        tips = dict(tip.split(b":", 1) for tip in _words(fields[7]) if b":" in tip)
        specs, are_known = _key_specs(fields[8])
        subcommands = _items(fields[9])
        if subcommands and is_subcommand:
            raise ValueError("a subcommand with subcommands")
    else:
        tips = {}
        specs, are_known = _old_key_range(
            _number(fields[3]), _number(fields[4]), _number(fields[5])
        )
        subcommands = []
    # With movable keys, a spec that only says fixed places cannot be all there
    # is: a module that finds its keys by code of its own.
    if b"movablekeys" in flags and all(spec.begin_index and not spec.is_keynum for spec in specs):
        are_known = False
    yield Row(
        name=_text(fields[0]).lower(),
        arity=_number(fields[1]),
        flags=flags,
        categories=_words(fields[6]),
        request_policy=tips.get(b"request_policy", b""),
        response_policy=tips.get(b"response_policy", b""),
        key_specs=specs,
        are_keys_known=are_known,
        has_subcommands=bool(subcommands),
        is_full=is_full,
    )
    for subcommand in subcommands:
        yield from _rows_of(subcommand, is_subcommand=True)


def _old_key_range(first: int, last: int, step: int) -> tuple[tuple[KeySpec, ...], bool]:
    """Make a spec of first key, last key (an index, or negative from the end) and step."""
    if first == 0:
        return (), True
    return (_range_spec(first, last if last < 0 else last - first, step),), True


def _key_specs(value: object) -> tuple[tuple[KeySpec, ...], bool]:
    specs = []
    are_known = True
    for item in _items(value):
        entry = _map(item)
        spec = _key_spec(_map(entry[b"begin_search"]), _map(entry[b"find_keys"]))
        flags = _words(entry[b"flags"])
        if spec is not None:
            specs.append(replace(spec, flags=flags))
        if spec is None or b"incomplete" in flags:
            are_known = False
    return tuple(specs), are_known


def _key_spec(begin: dict[bytes, object], find: dict[bytes, object]) -> KeySpec | None:
    """Return the spec, or None where the server says ``unknown``."""
    begin_index, keyword, start_from = 0, b"", 0
    match _text(begin[b"type"]):
        case b"index":
            begin_index = _number(_map(begin[b"spec"])[b"index"])
            if begin_index < 1:
                return None
        case b"keyword":
            values = _map(begin[b"spec"])
            keyword, start_from = _text(values[b"keyword"]), _number(values[b"startfrom"])
        case _:
            return None
    match _text(find[b"type"]):
        case b"range":
            values = _map(find[b"spec"])
            return _range_spec(
                begin_index,
                _number(values[b"lastkey"]),
                _number(values[b"keystep"]),
                limit=_number(values[b"limit"]),
                keyword=keyword,
                start_from=start_from,
            )
        case b"keynum":
            values = _map(find[b"spec"])
            return KeySpec(
                begin_index=begin_index,
                keyword=keyword,
                start_from=start_from,
                is_keynum=True,
                last_key=0,
                step=1,
                limit=0,
                keynum_index=_offset(values[b"keynumidx"]),
                first_key=_offset(values[b"firstkey"]),
                key_step=max(_number(values[b"keystep"]), 1),
            )
        case _:
            return None


def _range_spec(
    begin_index: int,
    last_key: int,
    step: int,
    *,
    limit: int = 0,
    keyword: bytes = b"",
    start_from: int = 0,
) -> KeySpec:
    return KeySpec(
        begin_index=begin_index,
        keyword=keyword,
        start_from=start_from,
        is_keynum=False,
        last_key=last_key,
        step=max(step, 1),
        limit=limit,
        keynum_index=0,
        first_key=0,
        key_step=1,
    )


def _items(value: object) -> list[object]:
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{_kind(value)} where a list belongs")


def _map(value: object) -> dict[bytes, object]:
    """Return a RESP3 map, or the flat list that RESP2 has for it, as a dict."""
    if isinstance(value, dict):
        return {_text(key): item for key, item in value.items()}
    items = _items(value)
    return {_text(key): item for key, item in zip(items[::2], items[1::2], strict=True)}


def _words(value: object) -> frozenset[bytes]:
    return frozenset(_text(word) for word in _items(value))


def _text(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    raise TypeError(f"{_kind(value)} where a string belongs")


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{_kind(value)} where an integer belongs")
    if abs(value) > NUMBER_LIMIT:
        raise ValueError(f"{value} is not an argument's place")
    return value


def _offset(value: object) -> int:
    """Return a number that leads forwards: the compiled table looks where it says."""
    number = _number(value)
    if number < 0:
        raise ValueError(f"{number} leads before the first argument")
    return number


def _kind(value: object) -> str:
    # Not the value itself: it may be nested deeper than repr() can go.
    return type(value).__name__
