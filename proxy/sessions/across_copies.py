"""The server's own command over keys of several slots, on copies in one of them.

Strategy: the command runs in the slot of the key that it changes; one that changes none,
in the slot where most of its data are. The other keys' values are read there (DUMP, and
the time they have left) and put beside the real keys under temporary names; then the
client's own words run with the keys replaced by position. So the reply is the server's,
and so is every error. Copying, running and removing the copies is one transaction of
one server:

- a crash at any point leaves the sources as they were, for they are only read;
- the destination is written by the server's own command, whole or not at all;
- nobody ever sees a temporary key, except in the server's key space events.

A read's copies come and go in MULTI ... EXEC, so its reply keeps its types. A write must
not run if a copy could not be made, and only a script can look at that first.

Cost: three round trips; what is copied is held in memory twice. The values are those of
the moments at which each key was read, not of one moment.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial

import trio

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.dataplane.frames import split_array
from proxy.resp.decode import bulk_of, integer_of, is_error, is_null
from proxy.sessions.across_plan import replace_keys
from proxy.sessions.across_work import (
    TEMPORARY_MS,
    Work,
    first_error,
    gather,
    temporary_names,
)

# KEYS: the temporary ones first, then the real ones of this slot. ARGV: how many
# temporary ones; for each its time to live and its value; then the command.
RUN_ON_COPIES = b"""
local count = tonumber(ARGV[1])
local function forget()
  for place = 1, count do redis.call('UNLINK', KEYS[place]) end
end
for place = 1, count do
  local made = redis.pcall('RESTORE', KEYS[place], ARGV[2 * place], ARGV[2 * place + 1])
  if made.err then forget() return made end
end
local reply = redis.pcall(unpack(ARGV, 2 * count + 2))
forget()
return reply
"""


# A script and no transaction, as a server takes no ASKING inside MULTI. KEYS: the key.
READ_COPY = b"return {redis.call('DUMP', KEYS[1]), redis.call('PTTL', KEYS[1])}"

# How long a read waits for its slot before it takes another. Chosen: more than it takes.
OPEN_SLOT_S = 2.0


@dataclass(frozen=True, slots=True)
class Copy:
    """The value of a key, and for how long it is still there."""

    payload: bytes
    ttl_ms: int
    """0: for ever."""


async def run_on_copies(work: Work) -> bytes:
    """Return the reply to a command that changes keys of one slot at most."""
    return await _run(work, with_ttl=False)


async def run_on_copies_with_ttl(work: Work) -> bytes:
    """Return the reply to a command that takes over how long its source is still there."""
    return await _run(work, with_ttl=True)


async def _run(work: Work, *, with_ttl: bool) -> bytes:
    changed = {key.slot for key in work.keys if key.is_changed}
    names = dict.fromkeys(key.name for key in work.keys if key.slot not in changed)
    sizes = await _sizes(work, list(names))
    if isinstance(sizes, bytes):
        return sizes
    if changed:
        return await _run_in(changed.pop(), work, sizes, with_ttl=with_ttl)
    # Of a slot on its way to another node, one half takes nothing in and the other
    # is not asked: a write has to wait for it, a read goes elsewhere.
    with trio.move_on_after(OPEN_SLOT_S):
        return await _run_in(_heaviest_slot(sizes), work, sizes, with_ttl=with_ttl)
    return await _run_in(random.randrange(SLOT_COUNT), work, sizes, with_ttl=with_ttl)


async def _run_in(here: int, work: Work, sizes: dict[bytes, int], *, with_ttl: bool) -> bytes:
    elsewhere = {name: size for name, size in sizes.items() if key_slot(name) != here}
    total = sum(elsewhere.values())
    if total > work.limit_bytes:
        return work.too_big(total)
    async with work.budget.hold(total):
        return await _copy_and_run(here, work, elsewhere, with_ttl=with_ttl)


async def _copy_and_run(
    here: int, work: Work, elsewhere: dict[bytes, int], *, with_ttl: bool
) -> bytes:
    copies = await read_copies(work, [name for name, size in elsewhere.items() if size])
    if isinstance(copies, bytes):
        return copies
    total = sum(len(copy.payload) for copy in copies.values())
    if total > work.limit_bytes:
        return work.too_big(total)
    # A key that does not exist gets a temporary name too, under which nothing is.
    name_of = temporary_names(here)
    aliases = {name: name_of(number) for number, name in enumerate(elsewhere)}
    made = {
        aliases[name]: copy if with_ttl else Copy(copy.payload, _bounded(copy.ttl_ms))
        for name, copy in copies.items()
    }
    args = replace_keys(work.args, work.keys, lambda key: aliases.get(key.name, key.name))
    if work.spec.is_write:
        real = [key.name for key in work.keys if key.slot == here]
        return await run_script(work, here, made, real, args)
    return await _run_in_transaction(work, here, made, args)


async def read_copies(work: Work, names: list[bytes]) -> dict[bytes, Copy] | bytes:
    """Return the values of those of the keys that exist, or the error for the first that failed."""
    read = await gather([partial(_read, work, name) for name in names])
    copies: dict[bytes, Copy] = {}
    for name, found in zip(names, read, strict=True):
        if isinstance(found, bytes):
            return found
        if found is not None:
            copies[name] = found
    return copies


async def run_script(
    work: Work, slot: int, made: dict[bytes, Copy], real: list[bytes], args: list[bytes]
) -> bytes:
    """Return the reply to a write that runs on copies, if all of them can be made."""
    values = [word for copy in made.values() for word in (b"%d" % copy.ttl_ms, copy.payload)]
    keys = [*made, *dict.fromkeys(real)]
    return await work.ask(
        slot,
        *(b"EVAL", RUN_ON_COPIES, b"%d" % len(keys), *keys),
        *(b"%d" % len(made), *values, *args),
    )


async def _run_in_transaction(
    work: Work, slot: int, made: dict[bytes, Copy], args: list[bytes]
) -> bytes:
    commands: list[tuple[bytes, ...]] = [
        (b"RESTORE", name, b"%d" % copy.ttl_ms, copy.payload) for name, copy in made.items()
    ]
    commands.append(tuple(args))
    if made:
        commands.append((b"UNLINK", *made))
    # What it writes is gone with it, so it may be sent again.
    answers = await work.run(slot, commands, is_write=False)
    if isinstance(answers, bytes):
        return answers
    return first_error(answers[: len(made)]) or answers[len(made)]


async def _read(work: Work, name: bytes) -> Copy | bytes | None:
    found = await work.ask(key_slot(name), b"EVAL", READ_COPY, b"1", name, is_write=False)
    if is_error(found):
        return found
    payload, ttl = split_array(found) or [b"", b""]
    if is_null(payload):
        return None
    # -1: for ever. 0: less than a millisecond, and 0 would be for ever.
    ttl_ms = integer_of(ttl)
    return Copy(bulk_of(payload), 0 if ttl_ms < 0 else max(ttl_ms, 1))


async def _sizes(work: Work, names: list[bytes]) -> dict[bytes, int] | bytes:
    """Return what each key takes in its server's memory; 0 if it does not exist.

    To a server this is a read of the key, as the command would have been: over the
    connections of a client that tracks, it will hear of changes.
    """
    frames = await gather(
        [
            partial(
                work.nodes.ask,
                work.own_lane,
                key_slot(name),
                b"MEMORY",
                b"USAGE",
                name,
                is_write=False,
            )
            for name in names
        ]
    )
    error = first_error(frames)
    if error is not None:
        return error
    return {
        name: 0 if is_null(frame) else integer_of(frame)
        for name, frame in zip(names, frames, strict=True)
    }


def _heaviest_slot(sizes: dict[bytes, int]) -> int:
    weights: dict[int, int] = {}
    for name, size in sizes.items():
        weights[key_slot(name)] = weights.get(key_slot(name), 0) + size
    return max(weights, key=lambda slot: weights[slot])


def _bounded(ttl_ms: int) -> int:
    return min(ttl_ms or TEMPORARY_MS, TEMPORARY_MS)
