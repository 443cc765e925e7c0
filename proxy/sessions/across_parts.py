"""Commands across slots that fall into parts, each of which the server does by itself.

LMPOP and ZMPOP ask slot by slot, in the order of the keys, until one has something. XREAD
and XREADGROUP read stream by stream. MSETNX, and MSETEX with NX or XX, look at all
keys first and then write slot by slot; if a key came into being in between, what was
written is removed again, unless somebody has changed it since.

Strategy: a part is made of the client's own words, so values and errors are the server's.
Words that belong to the whole are tried on temporary keys first, where a part that runs
could not be taken back.

Cost: a round trip a slot for what pops and writes, one for all where only is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from proxy.control.merges import join_aggregates
from proxy.resp import replies
from proxy.resp.decode import error_code, is_error, is_null
from proxy.resp.encode import integer, null_array
from proxy.resp.replies_across import across_in_part
from proxy.sessions.across_plan import Key, replace_keys
from proxy.sessions.across_work import (
    Work,
    first_error,
    gather,
    temporary_names,
)

# Removes the keys that still have the value they were given. ARGV: the values.
TAKE_BACK = b"""
for place, key in ipairs(KEYS) do
  if redis.call('TYPE', key).ok == 'string' and redis.call('GET', key) == ARGV[place] then
    redis.call('UNLINK', key)
  end
end
return 1
"""


# ---- LMPOP, ZMPOP ------------------------------------------------------------------------


async def pop_first(work: Work) -> bytes:
    """LMPOP, ZMPOP numkeys key [key ...] options."""
    first = work.keys[0].place
    options = work.args[work.keys[-1].place + 1 :]
    if not options:
        # A part without them would be too short, which is another error.
        return await _rehearse(work, [], _names(work))
    for slot, run in groupby(work.keys, key=lambda key: key.slot):
        names = [key.name for key in run]
        head = [*work.args[: first - 1], b"%d" % len(names)]
        answer = await work.ask(slot, *head, *names, *options)
        if not is_null(answer):
            return answer
    return null_array(work.lane.resp)


# ---- XREAD, XREADGROUP -------------------------------------------------------------------


async def read_streams(work: Work) -> bytes:
    """XREAD and XREADGROUP, with keys and as many ids after the word STREAMS."""
    if len(work.args) - work.keys[0].place != 2 * len(work.keys):
        return await _rehearse(work, [], _names(work))
    if work.spec.is_write:
        error = await _complaint_of_group(work)
        if error is not None:
            return error
    answers = await gather(
        [
            partial(work.ask, key.slot, *_one_stream(work, key), is_write=work.spec.is_write)
            for key in work.keys
        ]
    )
    error = first_error(answers)
    if error is not None and not work.spec.is_write:
        return error
    # What XREADGROUP has delivered is noted as pending, so it must not be kept back for an
    # error of another stream, from which nothing was read.
    found = [answer for answer in answers if not is_null(answer) and not is_error(answer)]
    if found:
        return join_aggregates(found)
    return error or null_array(work.lane.resp)


def _one_stream(work: Work, key: Key) -> list[bytes]:
    head = work.args[: work.keys[0].place]
    return [*head, key.name, work.args[key.place + len(work.keys)]]


async def _complaint_of_group(work: Work) -> bytes | None:
    """Return the error that XREADGROUP gives, if it does: nothing may be delivered then.

    A server goes from stream to stream and ends at the first thing wrong, of whatever kind.
    So the temporary streams are made to be what the real ones are.
    """
    names = _names(work)
    options = [word.upper() for word in work.args[1 : work.keys[0].place]]
    if b"GROUP" not in options:
        return await _rehearse(work, [], names)
    group = work.args[options.index(b"GROUP") + 2]
    seen = await gather(
        [
            partial(work.ask, key.slot, b"XPENDING", key.name, group, is_write=False)
            for key in work.keys
        ]
    )
    preparation: list[tuple[bytes, ...]] = []
    groupless: list[Key] = []
    for key, name, answer in zip(work.keys, names, seen, strict=True):
        match error_code(answer):
            case None:
                preparation.append((b"XGROUP", b"CREATE", name, group, b"0", b"MKSTREAM"))
            case b"NOGROUP":
                groupless.append(key)
            case b"WRONGTYPE":
                preparation.append((b"SET", name, b""))
            case _:
                return answer
    complaint = await _rehearse(work, preparation, names)
    if error_code(complaint) == b"NOGROUP":
        # It names the key.
        return await work.ask(groupless[0].slot, *_one_stream(work, groupless[0]))
    return complaint if is_error(complaint) else None


# ---- MSETNX, MSETEX NX|XX ----------------------------------------------------------------


async def set_all_or_none(work: Work) -> bytes:
    """MSETNX key value [key value ...], and MSETEX numkeys key value ... NX|XX."""
    last = work.keys[-1].place
    if last + 1 >= len(work.args):
        return replies.wrong_arity(work.spec.name)
    head, options = work.args[: work.keys[0].place], work.args[last + 2 :]
    if options:
        complaint = await _rehearse(work, [], _names(work))
        if is_error(complaint):
            return complaint
    must_exist = b"XX" in (word.upper() for word in options)
    slots = list(dict.fromkeys(key.slot for key in work.keys))
    parts = [[key for key in work.keys if key.slot == slot] for slot in slots]
    there = await gather(
        [
            partial(work.ask, keys[0].slot, b"EXISTS", *_distinct(keys), is_write=False)
            for keys in parts
        ]
    )
    error = first_error(there)
    if error is not None:
        return error
    wanted = [len(_distinct(keys)) if must_exist else 0 for keys in parts]
    if there != [integer(count) for count in wanted]:
        return integer(0)
    done: list[list[Key]] = []
    for keys in parts:
        pairs = [word for key in keys for word in (key.name, work.args[key.place + 1])]
        numkeys = [b"%d" % len(keys)] if len(head) > 1 else []
        answer = await work.ask(keys[0].slot, head[0], *numkeys, *pairs, *options)
        if answer == integer(1):
            done.append(keys)
            continue
        if done and (must_exist or not await _take_back(work, done)):
            return across_in_part(work.spec.name, written=len(done), parts=len(parts))
        return answer
    return integer(1)


async def _take_back(work: Work, done: list[list[Key]]) -> bool:
    """Remove what was written, where it still stands; False: that is not certain."""
    for keys in done:
        # Of a key that is given twice, the last value counts.
        values = {key.name: work.args[key.place + 1] for key in keys}
        answer = await work.ask(
            keys[0].slot, b"EVAL", TAKE_BACK, b"%d" % len(values), *values, *values.values()
        )
        if is_error(answer):
            return False
    return True


async def _rehearse(
    work: Work, preparation: Sequence[tuple[bytes, ...]], names: list[bytes]
) -> bytes:
    """Return what the server says to the client's words when they name temporary keys."""
    name_at = dict(zip((key.place for key in work.keys), names, strict=True))
    args = replace_keys(work.args, work.keys, lambda key: name_at[key.place])
    return await work.rehearse([*preparation, tuple(args)], names, work.keys[0].slot)


def _distinct(keys: Sequence[Key]) -> list[bytes]:
    return list(dict.fromkeys(key.name for key in keys))


def _names(work: Work) -> list[bytes]:
    """Return temporary names for all keys, in one slot."""
    name_of = temporary_names(work.keys[0].slot)
    return [name_of(number) for number in range(len(work.keys))]
