"""SCAN over the whole cluster, without state in the proxy.

The promise: an element present throughout the scan is returned at least once,
also when shards fail over, servers restart and slots move meanwhile.

How it is kept. Progress is a slot: all keys of the slots before it have been
returned (``commands.scan_cursor``). A slot counts as done only if every SCAN
of the pass over it ran while all keys of the slot were on the node asked. Three
things make that certain:

1. SCAN has no key and is never refused, so each is followed by CLUSTER NODES on
   the same connection: what the node says it serves wholly (*closed* slots, see
   ``control.own_slots``) counts, never the map. A demoted primary says nothing.
2. INFO before it names the process. A dictionary cursor of another process is
   worthless, because the order of keys is drawn anew; the slot begins again.
   That a slot left and came back between two SCANs does no harm: the order of
   one process stays, and only the moments of the SCANs count.
3. The keys of an open slot are on two nodes; it is read whole from both
   (``control.open_slot``), and the pass over its neighbours ends before it.

With one dictionary a node, a pass answers for a range of slots; it shrinks when
a slot in it is lost or opened, and never grows, because the new slot's keys may
have come behind the cursor. What is cut off is read by a later pass. A range that is
a small part of its node is not worth a pass and is read slot by slot
(``control.small_slots``).

What a client sees is what a standalone server does: one page of the dictionary
a call, MATCH, TYPE and COUNT being the server's business, with one difference:
when a node ends with too few keys for COUNT, the next one is asked in the same
call, so that a small database comes in one page.

Cost: one round trip a page, of three commands (INFO server and CLUSTER NODES
are about 30 us of the server's time with 6 nodes). With one dictionary a node,
a node is read less than 8 times over, whatever its ranges of slots, and once
more for each slot of over 10,000 keys in a small range.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.cluster.topology import Node
from proxy.commands.glob import key_like
from proxy.commands.scan_cursor import (
    START,
    Dictionary,
    Position,
    ScanOptions,
    Server,
    decode_cursor,
    encode_cursor,
    parse_options,
    server_cursor,
    server_of,
    split_server_cursor,
)
from proxy.control.info import info_fields
from proxy.control.nodes import ASK_SERVER, Nodes, Patience
from proxy.control.open_slot import (
    Refused,
    SlotHasMoved,
    expect_keys,
    expect_text,
    find_open_slot,
    read_matching_keys,
)
from proxy.control.own_slots import ASK_OWN_SLOTS, OwnSlots, parse_own_slots
from proxy.control.small_slots import read_small_slots
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.resp import replies
from proxy.resp.decode import decode, error_code
from proxy.resp.encode import array, bulk

# A cluster of very many small ranges answers with fewer keys than COUNT rather than late.
MAX_PAGES = 64  # chosen, not measured: 6 ms at 100 us a page

# A pass over a node with one dictionary is made for at least this part of its slots.
WORTH_A_PASS = 8  # chosen, not measured: a key read slot by slot costs about so many times more


@dataclass(frozen=True, slots=True)
class Page:
    """What one SCAN of one node brought."""

    keys: list[bytes]
    position: Position
    ends_node: bool
    """The scan goes on at another node, or at another pass over this one."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """Nothing certain came: look at the map again. ``why`` is the error if time is up."""

    why: bytes


def page_of(
    position: Position,
    *,
    end: int,
    server: Server,
    own: OwnSlots,
    cursor: int,
    keys: list[bytes],
) -> Page:
    """Return what a SCAN from ``position`` means.

    Args:
        position: Its dictionary, if any, is one of ``server``; its slot is
            closed there.
        end: The first slot that the scan is not about.
        server: The process that answered.
        own: What it said right after the SCAN.
        cursor: The cursor it answered with.
        keys: The keys it answered with.
    """
    slot, dictionary = position.slot, position.dictionary
    end = min(end, own.closed_until(slot))
    if server.has_slot_dicts:
        next_slot, rest = split_server_cursor(cursor) if cursor else (SLOT_COUNT, 0)
        if next_slot < end:
            return Page(keys, _position(next_slot, server, rest, end=0), ends_node=False)
    else:
        if dictionary is not None:
            end = min(end, dictionary.end)
        if cursor:
            inside = [key for key in keys if slot <= key_slot(key) < end]
            return Page(inside, _position(slot, server, cursor, end=end), ends_node=False)
    inside = [key for key in keys if slot <= key_slot(key) < end]
    return Page(inside, Position(end), ends_node=True)


def _position(slot: int, server: Server, cursor: int, *, end: int) -> Position:
    if cursor == 0:
        return Position(slot)
    return Position(slot, Dictionary(server.has_slot_dicts, server.run_id_hash, cursor, end))


async def scan(args: list[bytes], *, nodes: Nodes) -> bytes:
    """Answer one SCAN.

    Args:
        args: The whole command, ``[b"SCAN", b"0", b"COUNT", b"100"]``.
        nodes: The cluster.

    Returns:
        The reply frame, the same in RESP2 and RESP3.

    Raises:
        BackendUnavailable: The map is not known yet.
        BackendProtocolError: A server's answer is not in the documented form.
    """
    options = parse_options(args[2:])
    number = _number(args[1])
    if options is None or number is None:
        return await _let_server_complain(args, nodes)
    position = decode_cursor(number)
    if position is None:
        return replies.invalid_cursor()
    return await _Scan(args[2:], options, nodes).run(position)


def _number(word: bytes) -> int | None:
    return int(word) if word.isdigit() and len(word) <= len(str(2**64)) else None


async def _let_server_complain(args: list[bytes], nodes: Nodes) -> bytes:
    """Return the error that a server has for these arguments."""
    patience = Patience(nodes)
    while True:
        node = next(iter(nodes.topology.primaries), None)
        failure = replies.never_sent(None, nodes.timeout_s)
        if node is not None:
            try:
                frame = await nodes.call(node, *args)
            except BackendUnavailable as problem:
                failure = patience.failure(problem, node)
            else:
                # Not refused after all: a cursor such as "+5", which no scan of ours has given.
                return frame if error_code(frame) else replies.invalid_cursor()
        if patience.is_over:
            return failure
        await patience.wait()


class _Scan:
    """One call of a client: as many pages as it takes to answer it."""

    def __init__(self, rest: list[bytes], options: ScanOptions, nodes: Nodes) -> None:
        self._rest = rest
        self._options = options
        self._nodes = nodes
        self._patience = Patience(nodes)
        # What servers were like so far, to begin a dictionary with the right cursor.
        self._is_by_slot = True
        like = key_like(options.pattern)
        self._first, self._end = 0, SLOT_COUNT
        if like is not None:
            self._first = key_slot(like)
            self._end = self._first + 1

    async def run(self, start: Position) -> bytes:
        position = start if start.slot >= self._first else Position(self._first)
        keys: list[bytes] = []
        pages = 0
        while position.slot < self._end:
            page = await self._next_page(position)
            if isinstance(page, bytes):
                return page
            if isinstance(page, NotYet):
                if self._is_progress(start, position):
                    # The client has this page now, and waits when it asks for the next.
                    return _reply(encode_cursor(position), keys)
                if self._patience.is_over:
                    return page.why
                await self._patience.wait()
                continue
            pages += 1
            keys += page.keys
            position = page.position
            if position.slot >= self._end:
                break
            is_enough = len(keys) >= self._options.count or pages >= MAX_PAGES
            if (is_enough or not page.ends_node) and self._is_progress(start, position):
                return _reply(encode_cursor(position), keys)
        return _reply(0, keys)

    @staticmethod
    def _is_progress(start: Position, position: Position) -> bool:
        """Return whether a client that comes back with ``position`` is further than before.

        A cursor keeps only so many bits of a dictionary's; and 0 would be the end.
        """
        return encode_cursor(position) not in {encode_cursor(start), encode_cursor(START)}

    async def _next_page(self, position: Position) -> Page | NotYet | bytes:
        """Ask one node; return a frame if it is an error that the client should see."""
        node = self._nodes.topology.owner(position.slot)
        if node is None:
            return NotYet(replies.never_sent(position.slot, self._nodes.timeout_s))
        try:
            return await self._ask(node, position)
        except SlotHasMoved:
            return NotYet(replies.never_sent(position.slot, self._nodes.timeout_s))
        except BackendUnavailable as problem:
            return NotYet(self._patience.failure(problem, node))

    async def _ask(self, node: Node, position: Position) -> Page | NotYet | bytes:
        dictionary = position.dictionary
        is_by_slot = self._is_by_slot if dictionary is None else dictionary.is_by_slot
        asked_cursor = server_cursor(position, is_by_slot=is_by_slot)
        frames = await self._nodes.call_many(
            node,
            [ASK_SERVER, (b"SCAN", b"%d" % asked_cursor, *self._rest), ASK_OWN_SLOTS],
        )
        for frame in frames:
            if error_code(frame) is not None:
                return _answer_to(Refused(node, frame))
        info, answer, own_text = (decode(frame) for frame in frames)
        server = server_of(info_fields(expect_text(info)))
        own = parse_own_slots(expect_text(own_text))

        if own.closed_until(position.slot) == position.slot:
            return await self._read_open_slot(node, position.slot, own)
        self._is_by_slot = server.has_slot_dicts
        if dictionary is not None and not dictionary.is_of(server):
            return await self._ask(node, Position(position.slot))
        if asked_cursor != server_cursor(position, is_by_slot=server.has_slot_dicts):
            return await self._ask(node, position)
        cursor, keys = _expect_page(answer)
        if cursor and not server.has_slot_dicts and dictionary is None:
            page = await self._read_small_slots(node, position.slot, own)
            if page is not None:
                return page
        return page_of(position, end=self._end, server=server, own=own, cursor=cursor, keys=keys)

    async def _read_open_slot(self, node: Node, slot: int, own: OwnSlots) -> Page | NotYet | bytes:
        open_slot = find_open_slot(slot, node, own, self._nodes)
        keys = await read_matching_keys(open_slot, self._options, self._nodes)
        if isinstance(keys, Refused):
            return _answer_to(keys)
        return Page(keys, Position(slot + 1), ends_node=True)

    async def _read_small_slots(
        self, node: Node, slot: int, own: OwnSlots
    ) -> Page | NotYet | bytes | None:
        """Read a small part of a large node slot by slot; None if a pass does better."""
        slots = range(slot, min(self._end, own.closed_until(slot)))
        if len(slots) * WORTH_A_PASS > own.size:
            return None
        found = await read_small_slots(node, slots, self._options, self._nodes)
        if found is None:
            return None
        if isinstance(found, Refused):
            return _answer_to(found)
        return Page(found.keys, Position(found.end), ends_node=True)


def _answer_to(refused: Refused) -> NotYet | bytes:
    return NotYet(refused.frame) if refused.is_passing else refused.frame


def _expect_page(value: object) -> tuple[int, list[bytes]]:
    """Return cursor and keys of a server's answer to SCAN."""
    if isinstance(value, list) and len(value) == 2:
        cursor = expect_text(value[0])
        if cursor.isdigit():
            return int(cursor), expect_keys(value[1])
    raise BackendProtocolError(f"not a page of SCAN: {value!r}")


def _reply(cursor: int, keys: list[bytes]) -> bytes:
    return array([bulk(b"%d" % cursor), array([bulk(key) for key in keys])])
