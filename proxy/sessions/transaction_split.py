"""Split one command by slot off the hot road, and merge what its parts answer.

Strategy: what ``gather.pyx`` does on the hot road, on arguments instead of bytes:
groups (a key and what belongs to it) are dealt out by slot in the client's order,
by position and not by key, so that ``MSET a 1 a 2`` keeps both pairs. Used with
commands.transactions = "split", and after CLIENT CACHING.

Cost: a few Python objects for each key; nothing on the hot road comes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.cluster.slots import key_slot
from proxy.commands.spec import CommandSpec, Merge, Road
from proxy.control.merges import CannotMerge, merge_frames
from proxy.dataplane.frames import split_array
from proxy.errors import BackendProtocolError
from proxy.resp import replies
from proxy.resp.decode import is_error
from proxy.resp.encode import array


@dataclass(frozen=True, slots=True)
class Part:
    """What one slot gets of a command."""

    slot: int
    """-1: the command has no key, and any node may run it."""
    args: tuple[bytes, ...]
    positions: tuple[int, ...] = ()
    """Which of the command's keys these are, by their place in the client's order."""


class CannotSplit(Exception):
    """The command's keys lie in several slots and must stay together."""


class CutShort(CannotSplit):
    """Its last key lacks what belongs to it."""


def split_by_slot(spec: CommandSpec, args: Sequence[bytes], places: Sequence[int]) -> list[Part]:
    """Return the parts of a command, one for each slot that it has keys in.

    Args:
        spec: The command's row.
        args: The whole command.
        places: Which arguments are keys.

    Raises:
        CannotSplit: It has more than one slot, and no road by which it could be split.
        CutShort: It has such a road, but its last key lacks what belongs to it.
    """
    slots = [key_slot(args[place]) for place in places]
    if len(set(slots)) < 2:
        return [Part(slots[0] if slots else -1, tuple(args), tuple(range(len(slots))))]
    if spec.road is not Road.SPLIT:
        raise CannotSplit
    keys = spec.key_specs[0]
    width = keys.key_step if keys.is_keynum else keys.step
    end = places[-1] + width
    if end > len(args):
        raise CutShort
    if any(word.upper() in spec.unsplittable_if for word in args[end:]):
        raise CannotSplit
    positions: dict[int, list[int]] = {}
    for position, slot in enumerate(slots):
        positions.setdefault(slot, []).append(position)
    parts = []
    for slot, mine in positions.items():
        head = list(args[: places[0]])
        if keys.is_keynum:
            head[places[0] - keys.first_key + keys.keynum_index] = b"%d" % len(mine)
        groups = [arg for n in mine for arg in args[places[n] : places[n] + width]]
        parts.append(Part(slot, (*head, *groups, *args[end:]), tuple(mine)))
    return parts


def merge_parts(spec: CommandSpec, parts: Sequence[Part], answers: Sequence[bytes]) -> bytes:
    """Return the one answer that stands for those of all parts.

    If a part failed, it is an error that says how many did (law 5).
    """
    if len(parts) == 1:
        return answers[0]
    failed = [answer for answer in answers if is_error(answer)]
    if failed:
        return replies.parts_failed(
            spec.name,
            failed=len(failed),
            parts=len(parts),
            first_error=failed[0],
            is_write=spec.is_write,
        )
    try:
        if spec.merge is Merge.ARRAY:
            return _by_position(parts, answers)
        return merge_frames(spec.merge, answers)
    except (CannotMerge, BackendProtocolError):
        return replies.replies_differ(spec.name)


def _by_position(parts: Sequence[Part], answers: Sequence[bytes]) -> bytes:
    """Merge arrays whose elements belong to the keys of their parts, one each."""
    placed: dict[int, bytes] = {}
    for part, answer in zip(parts, answers, strict=True):
        elements = split_array(answer)
        if elements is None or len(elements) != len(part.positions):
            raise CannotMerge
        placed.update(zip(part.positions, elements, strict=True))
    return array([placed[position] for position in sorted(placed)])
