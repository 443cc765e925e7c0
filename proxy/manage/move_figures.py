"""What a plan of moves will mean: keys, bytes, seconds, and who has what afterwards.

Strategy: keys are counted, bytes and speed are measured on a sample of the very keys that
will move, by DUMP, which is a part of what a migration does with a key.

Cost: one count a slot that moves, and up to ``SAMPLE`` DUMPs a source: some 10 ms.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from proxy.cluster.addresses import Address
from proxy.cluster.slots import parse_slot_text, slot_text
from proxy.manage.errors import ManageError
from proxy.manage.links import Links
from proxy.manage.loads import in_parts, slot_keys
from proxy.manage.manners import manner_of
from proxy.manage.migrate_keys import BIG_BYTES
from proxy.manage.migrate_run import MoveOptions
from proxy.manage.move_plan import Move
from proxy.manage.report import Report
from proxy.manage.view import View

SAMPLE = 200
SAMPLED_SLOTS = 50

MIGRATE_PER_DUMP = 4.0  # DUMP, send, RESTORE, DEL; measured with values of 50 bytes


@dataclass(frozen=True, slots=True)
class ShardChange:
    """One shard before and after."""

    primary: Address
    slots_before: int
    slots_after: int
    keys_before: int
    keys_after: int


@dataclass(frozen=True, slots=True)
class MoveLine:
    """What goes from one node to another."""

    source: Address
    target: Address
    slots: int
    ranges: str
    keys: int


@dataclass(frozen=True, slots=True)
class MovePlan:
    """Moves, and what they will mean."""

    moves: tuple[Move, ...]
    lines: tuple[MoveLine, ...]
    slots: int
    keys: int
    bytes: int
    """As the servers serialize them; from the sample."""
    estimated_s: float
    shards: tuple[ShardChange, ...]


def figure_out(
    links: Links, view: View, moves: Sequence[Move], options: MoveOptions | None = None
) -> MovePlan:
    """Count and measure what a plan will move. Changes nothing.

    Args:
        links: To the nodes.
        view: The cluster.
        moves: What is to move.
        options: How; the estimate depends on it.

    Raises:
        ManageError: A primary does not answer.
    """
    by_source: dict[str, list[int]] = {}
    for move in moves:
        by_source.setdefault(move.source, []).extend(move.slots)
    keys = slot_keys(links, view, by_source) if by_source else {}
    per_key = {node: _sample(links, view.by_id[node], slots) for node, slots in by_source.items()}
    total_bytes = 0.0
    seconds = 0.0
    for node, slots in by_source.items():
        count = sum(keys[slot] for slot in slots)
        size, dump_s = per_key[node]
        total_bytes += count * size
        seconds += count * dump_s * MIGRATE_PER_DUMP
    chosen = options or MoveOptions()
    manner = manner_of(
        ((report.engine, report.version_pair) for report in view.reports),
        may_be_atomic=chosen.may_be_atomic,
    )
    chunks = sum(ceil(len(move.slots) / manner.slots_at_once) for move in moves)
    seconds += chunks * manner.chunk_s
    if chosen.keys_per_s:
        seconds = max(seconds, sum(keys.values()) / chosen.keys_per_s)
    return MovePlan(
        moves=tuple(moves),
        lines=tuple(_line(view, move, keys) for move in moves),
        slots=sum(len(move.slots) for move in moves),
        keys=sum(keys.values()),
        bytes=round(total_bytes),
        estimated_s=round(seconds, 1),
        shards=_changes(view, moves, keys),
    )


def save_moves(path: Path, moves: Sequence[Move]) -> None:
    """Write moves to a file, so that the same command can go on with them.

    Raises:
        ManageError: It cannot be written.
    """
    plan = {"moves": [move.shown() for move in moves]}
    try:
        path.write_text(json.dumps(plan, indent=2) + "\n", "utf-8")
    except OSError as problem:
        raise ManageError(f"{path}: {problem.strerror}") from None


def load_moves(path: Path) -> tuple[Move, ...]:
    """Read what ``save_moves`` has written.

    Raises:
        ManageError: It cannot be read, or is no plan.
    """
    try:
        return read_moves(path.read_text("utf-8"))
    except OSError as problem:
        raise ManageError(f"{path}: {problem.strerror}") from None
    except ValueError as problem:
        raise ManageError(f"{path} is no plan of moves: {problem}") from None


def read_moves(text: str) -> tuple[Move, ...]:
    """Return the moves of a plan as ``save_moves`` has written it.

    Raises:
        ValueError: It is no plan.
    """
    try:
        rows = json.loads(text)["moves"]
        return tuple(
            Move(str(row["source"]), str(row["target"]), parse_slot_text(str(row["slots"])))
            for row in rows
        )
    except (KeyError, TypeError, RecursionError) as problem:
        raise ValueError(f"{type(problem).__name__} {problem}") from None


def _line(view: View, move: Move, keys: Mapping[int, int]) -> MoveLine:
    source, target = view.by_id[move.source], view.by_id[move.target]
    return MoveLine(
        source=source.address,
        target=target.address,
        slots=len(move.slots),
        ranges=slot_text(move.slots),
        keys=sum(keys[slot] for slot in move.slots),
    )


def _sample(links: Links, report: Report, slots: Sequence[int]) -> tuple[float, float]:
    """Return bytes and seconds of the DUMP of one key, on the average."""
    step = max(1, len(slots) // SAMPLED_SLOTS)
    asked = slots[::step][:SAMPLED_SLOTS]
    count = SAMPLE // SAMPLED_SLOTS
    answers = in_parts(links, report, [("CLUSTER", "GETKEYSINSLOT", slot, count) for slot in asked])
    keys = [key for found in answers for key in found]
    if not keys:
        return 0.0, 0.0
    sizes = in_parts(links, report, [("MEMORY", "USAGE", key) for key in keys])
    # DUMP of a big key would block the server, for nothing but an estimate.
    small = [key for key, size in zip(keys, sizes, strict=True) if (size or 0) < BIG_BYTES]
    big = [size for size in sizes if (size or 0) >= BIG_BYTES]
    started = time.monotonic()
    dumps = in_parts(links, report, [("DUMP", key) for key in small])
    dump_s = (time.monotonic() - started) / (len(small) or 1)
    total = sum(len(dump or b"") for dump in dumps) + sum(big)
    return total / len(keys), dump_s


def _changes(view: View, moves: Sequence[Move], keys: Mapping[int, int]) -> tuple[ShardChange, ...]:
    found = []
    for report in (*view.primaries, *view.empty_primaries):
        gone = [move for move in moves if move.source == report.id]
        come = [move for move in moves if move.target == report.id]
        slots = len(view.slots_of(report.id))
        found.append(
            ShardChange(
                primary=report.address,
                slots_before=slots,
                slots_after=slots + _count(come) - _count(gone),
                keys_before=report.keys,
                keys_after=report.keys + _keys(come, keys) - _keys(gone, keys),
            )
        )
    return tuple(found)


def _count(moves: Sequence[Move]) -> int:
    return sum(len(move.slots) for move in moves)


def _keys(moves: Sequence[Move], keys: Mapping[int, int]) -> int:
    return sum(keys[slot] for move in moves for slot in move.slots)
