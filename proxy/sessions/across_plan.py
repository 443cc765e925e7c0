"""What a command needs whose keys lie in several slots: which keys it changes, and in what manner.

Strategy: the server's own key specifications say what becomes of each key. A command
that changes keys of one slot at most runs there, on copies of the others: no code for
it is needed. The rest stands in one table, a line with its reason each.

Nothing here is atomic over slots; what is promised instead stands with each manner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from proxy.cluster.slots import key_slot
from proxy.commands.spec import CommandSpec, KeySpec, Merge, Road
from proxy.dataplane.tables import CommandTable


class Manner(Enum):
    """How a command across slots is done."""

    COPIES = "by the server, in one slot, on copies of the keys of other slots"
    COPIES_WITH_TTL = "so too, and the copies expire when their originals would"
    FIRST_THAT_HAS = "slot by slot in the order of its keys, until one has something"
    EACH_STREAM = "by the server, stream by stream"
    MEMBER = "a member is added to its new set, then removed from its old one"
    ELEMENT = "an element is pushed to its new list, then popped from its old one"
    WHOLE_KEY = "a key is written to its new place, then removed from its old one"
    ALL_OR_NONE = "slot by slot, after a look at all keys, undone if one came in between"
    REFUSED = "not at all"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWay:
    """Commands that do not simply run on copies."""

    reason: str
    names: tuple[bytes, ...]
    manner: Manner


OWN_WAYS: tuple[OwnWay, ...] = (
    OwnWay(
        reason="What a script writes to a copy would be lost, and nobody knows what it writes.",
        names=(b"eval", b"eval_ro", b"evalsha", b"evalsha_ro", b"fcall", b"fcall_ro"),
        manner=Manner.REFUSED,
    ),
    OwnWay(
        reason="The time that a key has left is part of what is copied.",
        names=(b"copy",),
        manner=Manner.COPIES_WITH_TTL,
    ),
    OwnWay(
        reason="They pop from the first key that has something; from a copy nothing is popped.",
        names=(b"lmpop", b"zmpop"),
        manner=Manner.FIRST_THAT_HAS,
    ),
    OwnWay(
        reason="Streams are read one by one anyway, and they may be long.",
        names=(b"xread", b"xreadgroup"),
        manner=Manner.EACH_STREAM,
    ),
    OwnWay(
        reason="Both keys change, by one member; the sets may be large.",
        names=(b"smove",),
        manner=Manner.MEMBER,
    ),
    OwnWay(
        reason="Both keys change, by one element; the lists may be long.",
        names=(b"lmove", b"rpoplpush"),
        manner=Manner.ELEMENT,
    ),
    OwnWay(
        reason="Both keys change.",
        names=(b"rename", b"renamenx"),
        manner=Manner.WHOLE_KEY,
    ),
    OwnWay(
        reason="All keys change, or none.",
        names=(b"msetnx", b"msetex"),
        manner=Manner.ALL_OR_NONE,
    ),
)

_MANNER_OF = {name: way.manner for way in OWN_WAYS for name in way.names}


@dataclass(frozen=True, slots=True)
class Key:
    """One key among the arguments."""

    place: int
    name: bytes
    slot: int
    is_changed: bool
    """The command writes to it. A key of a write whose fate the server does not tell counts too."""


def find_keys(spec: CommandSpec, args: list[bytes]) -> tuple[Key, ...]:
    """Return the keys of a request, in the order of the command's key specifications."""
    found: list[Key] = []
    for key_spec in spec.key_specs:
        is_changed = spec.is_write and b"RO" not in key_spec.flags
        _, places = _finder(key_spec).key_places(_NAME, *args[1:])
        found += [Key(place, args[place], key_slot(args[place]), is_changed) for place in places]
    return tuple(found)


def manner_of(spec: CommandSpec, keys: tuple[Key, ...]) -> Manner:
    """Return how a command with these keys is done."""
    manner = _MANNER_OF.get(spec.name)
    if manner is not None:
        return manner
    changed = {key.slot for key in keys if key.is_changed}
    is_possible = len(changed) == 1 if spec.is_write else not changed
    return Manner.COPIES if is_possible else Manner.REFUSED


def replace_keys(
    args: list[bytes], keys: tuple[Key, ...], name: Callable[[Key], bytes]
) -> list[bytes]:
    """Return the request with another name for each key, by position."""
    replaced = list(args)
    for key in keys:
        replaced[key.place] = name(key)
    return replaced


_NAME = b"x"


@lru_cache(maxsize=256)
def _finder(key_spec: KeySpec) -> CommandTable:
    """Return a table that finds the keys of one specification, as the hot road would."""
    only = CommandSpec(
        name=_NAME,
        arity=-1,
        is_write=True,
        is_container=False,
        blocking_keyword=b"",
        unsplittable_if=(),
        key_specs=(key_spec,),
        road=Road.FORWARD,
        request_policy=b"",
        merge=Merge.NONE,
        flags=frozenset(),
    )
    return CommandTable((only,))
