"""Moves from a key of one slot to a key of another: SMOVE, LMOVE, RPOPLPUSH, RENAME, RENAMENX.

Strategy: first written, then removed. Whatever dies in between, nothing is lost: what is
moved is in both places then, never in none. It is removed only if it is still what was
written; the server looks and removes in one script. If somebody else has taken it
meanwhile, what was written is taken back, as far as it is still there.

Errors are the server's: each step is a command that makes the same complaint as the move.

Cost: SMOVE and LMOVE three round trips; RENAME as a command on copies and one more.
"""

from __future__ import annotations

import hashlib
import random

import trio

from proxy.resp import replies_across as replies
from proxy.resp.decode import bulk_of, integer_of, is_error, is_null
from proxy.resp.encode import integer
from proxy.sessions.across_copies import read_copies, run_script
from proxy.sessions.across_plan import Key
from proxy.sessions.across_work import Work, temporary_names

# How often a move begins again because somebody else was faster. Each time somebody
# got something done, so this is not a number of failures. Chosen.
ATTEMPTS = 16
UNSTEP_S = 0.001

# Pops an element if it is still the one at that end. KEYS: the list. ARGV: LEFT or RIGHT, element.
POP_IF_STILL_THERE = b"""
local is_left = ARGV[1] == 'LEFT'
if redis.call('LINDEX', KEYS[1], is_left and 0 or -1) ~= ARGV[2] then return 0 end
redis.call(is_left and 'LPOP' or 'RPOP', KEYS[1])
return 1
"""

# Removes a key if its value is still the one with this hash, or gone. KEYS: it. ARGV: SHA1.
REMOVE_IF_UNCHANGED = b"""
local value = redis.call('DUMP', KEYS[1])
if value and redis.sha1hex(value) ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1])
return 1
"""

_FROM_END = {b"LEFT": b"1", b"RIGHT": b"-1"}  # LREM's count: one, from this end


# ---- a member of a set -------------------------------------------------------------------


async def move_member(work: Work) -> bytes:
    """SMOVE source destination member."""
    source, target = work.keys
    member = work.args[3]
    found = await work.run(
        source.slot,
        [(b"EXISTS", source.name), (b"SISMEMBER", source.name, member)],
        is_write=False,
    )
    if isinstance(found, bytes):
        return found
    exists, is_member = found
    if is_error(is_member) or exists == integer(0):
        return is_member
    if is_member == integer(0):
        # A server looks at the destination's type before it looks for the member.
        seen = await work.ask(target.slot, b"SISMEMBER", target.name, member, is_write=False)
        return seen if is_error(seen) else is_member
    added = await work.ask(target.slot, b"SADD", target.name, member)
    if is_error(added):
        return added
    removed = await work.ask(source.slot, b"SREM", source.name, member)
    if is_error(removed):
        return replies.across_left_at_source(work.spec.name, removed)
    if removed == integer(0) and added == integer(1):
        # Somebody else has removed it, so it was not here to be moved.
        undone = await work.ask(target.slot, b"SREM", target.name, member)
        if is_error(undone):
            return replies.across_left_at_target(work.spec.name, undone)
    return removed


# ---- an element of a list ----------------------------------------------------------------


async def move_element(work: Work) -> bytes:
    """LMOVE source destination LEFT|RIGHT LEFT|RIGHT, and RPOPLPUSH source destination."""
    source, target = work.keys
    ends = [word.upper() for word in work.args[3:]] or [b"RIGHT", b"LEFT"]
    if not set(ends) <= {b"LEFT", b"RIGHT"}:
        return await _complaint(work, source)
    taken_from, put_to = ends
    push, index = b"%bPUSH" % put_to[:1], b"0" if taken_from == b"LEFT" else b"-1"
    for attempt in range(ATTEMPTS):
        if attempt:
            # Two proxies in step would go on for ever.
            await trio.sleep(random.uniform(0.0, attempt * UNSTEP_S))
        found = await work.ask(source.slot, b"LINDEX", source.name, index, is_write=False)
        if is_error(found) or is_null(found):
            return found
        element = bulk_of(found)
        pushed = await work.ask(target.slot, push, target.name, element)
        if is_error(pushed):
            return pushed
        popped = await work.ask(
            source.slot, b"EVAL", POP_IF_STILL_THERE, b"1", source.name, taken_from, element
        )
        if popped == integer(1):
            return found
        if is_error(popped):
            return replies.across_left_at_source(work.spec.name, popped)
        # Somebody else was faster: what is pushed is not ours to push.
        undone = await work.ask(target.slot, b"LREM", target.name, _FROM_END[put_to], element)
        if is_error(undone):
            return replies.across_left_at_target(work.spec.name, undone)
    return replies.across_never_first(work.spec.name)


async def _complaint(work: Work, source: Key) -> bytes:
    """Return what the server says to words it does not understand; nothing is there to be moved."""
    name_of = temporary_names(source.slot)
    names = [name_of(0), name_of(1)]
    return await work.rehearse([(work.args[0], *names, *work.args[3:])], names, source.slot)


# ---- a whole key -------------------------------------------------------------------------


async def move_key(work: Work) -> bytes:
    """RENAME key newkey, and RENAMENX key newkey."""
    source = work.keys[0]
    # What RENAMENX has written, others may have seen: it is not written again.
    for _ in range(ATTEMPTS if work.spec.name == b"rename" else 1):
        found = await work.ask(source.slot, b"MEMORY", b"USAGE", source.name, is_write=False)
        if is_error(found):
            return found
        size = 0 if is_null(found) else integer_of(found)
        if size > work.limit_bytes:
            return work.too_big(size)
        async with work.budget.hold(size):
            answer = await _copy_and_remove(work)
        if answer is not None:
            return answer
    return replies.across_source_changes(work.spec.name)


async def _copy_and_remove(work: Work) -> bytes | None:
    """Return the reply; or None: the source has changed since it was copied, and is still there."""
    source, target = work.keys
    alias = temporary_names(target.slot)(0)
    copies = await read_copies(work, [source.name])
    if isinstance(copies, bytes):
        return copies
    made = {alias: copies[source.name]} if copies else {}
    args = [work.args[0], alias, target.name]
    answer = await run_script(work, target.slot, made, [target.name], args)
    if is_error(answer) or answer == integer(0):
        return answer
    digest = hashlib.sha1(copies[source.name].payload).hexdigest().encode()
    removed = await work.ask(source.slot, b"EVAL", REMOVE_IF_UNCHANGED, b"1", source.name, digest)
    if is_error(removed):
        return replies.across_left_at_source(work.spec.name, removed)
    return answer if removed == integer(1) else None
