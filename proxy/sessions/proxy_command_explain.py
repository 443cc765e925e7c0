"""PROXY EXPLAIN: what would become of a request, decided by the code that serves.

Strategy: the row, its road and its keys come from the table in use; parts, CROSSSLOT, what is
done across slots, and what MULTI would say come from the very functions that the desk
and the sessions call. Nothing is sent and nothing is changed. What only a server can tell is
said to be so.

The requests that a client has in flight, its watch and its transaction are not looked at: the
answer is for a client that has just come.

Cost: 20 us for a command of one key, 0.2 ms for twenty (CPython 3.11, CI machine).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from proxy.cluster.map import Topology
from proxy.cluster.slots import hash_tag, key_slot
from proxy.commands.pins import PinTable
from proxy.commands.spec import CommandSpec, Merge, Road
from proxy.commands.table import is_denied
from proxy.dataplane.tables import Command
from proxy.insight.shown import text_of
from proxy.insight.views import MovingSlot
from proxy.insight.views_answers import Explanation, Fate, KeyPlace, PartPlace
from proxy.resp import replies
from proxy.resp import replies_proxy as say
from proxy.resp import replies_transactions as in_multi
from proxy.resp.replies_limits import too_wide
from proxy.sessions import blocking_words as words
from proxy.sessions.across_plan import find_keys, manner_of
from proxy.sessions.arguments import miscounted
from proxy.sessions.blocking_begin import find_move
from proxy.sessions.desk import Desk
from proxy.sessions.roads import SESSION_ROADS
from proxy.sessions.transaction import misplaced, refusal_in_transaction
from proxy.sessions.transaction_queue import TransactionQueue, goes_with_block
from proxy.sessions.transaction_split import CannotSplit, CutShort, split_by_slot

_ENDS_TRANSACTION = frozenset({b"exec", b"discard", b"quit", b"reset"})
_EVERYBODY = {b"all_shards": "all primaries", b"all_nodes": "all nodes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an explanation depends on beside the request."""

    topology: Callable[[], Topology | None]
    owner: Callable[[int], str | None]
    """Address of the node that a slot's requests are sent to."""
    moving: Callable[[], Mapping[int, MovingSlot]]
    pins: PinTable


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What becomes of it, before keys and transaction are added."""

    fate: Fate
    why: str
    parts: tuple[PartPlace, ...] = ()
    refusal: bytes | None = None
    merges: bool = False


class Explainer:
    """Explains requests.

    Args:
        desk: Serves what is not on the hot road.
    """

    def __init__(self, desk: Desk, around: Surroundings) -> None:
        self._desk = desk
        self._around = around

    def explain(self, args: Sequence[bytes]) -> Explanation:
        """Return what would become of a request.

        Args:
            args: The request, at least its name.
        """
        request = list(args)
        row, places = self._desk.engine.command_table.key_places(*request)
        if row is None:
            return self._unknown(request)
        stored = list(request)
        is_pubsub = b"pubsub" in row.spec.flags
        for place in () if is_pubsub else places:
            stored[place] = self._around.pins.store(request[place])
        verdict = self._judge(row, stored, places)
        refusal = verdict.refusal
        return Explanation(
            command=row.name.decode("utf-8", "backslashreplace"),
            known=True,
            fate=verdict.fate,
            why=verdict.why,
            road=row.spec.road.name.lower(),
            is_write=row.spec.is_write,
            keys=tuple(self._key(request[place], stored[place]) for place in places),
            parts=verdict.parts,
            merge=row.spec.merge.name.lower() if verdict.merges else None,
            refusal=None if refusal is None else text_of(_line(refusal)),
            in_transaction=self._in_transaction(row, stored, places),
            guards=self._desk.guards.describe(row),
        )

    def _unknown(self, args: list[bytes]) -> Explanation:
        asks = self._desk.ask_unknown
        refusal = None if asks else text_of(_line(replies.unknown_command(args[0], args[1:])))
        return Explanation(
            command=text_of(args[0].lower()),
            known=False,
            fate=Fate.ASKED if asks else Fate.REFUSED,
            why=say.why_unknown(asks=asks),
            road=None,
            is_write=True,
            keys=(),
            parts=(),
            merge=None,
            refusal=refusal,
            in_transaction=say.in_asked() if asks else say.in_refused((refusal or "").encode()),
        )

    # ---- what becomes of it ----------------------------------------------------------

    def _judge(self, row: Command, args: list[bytes], places: list[int]) -> _Verdict:
        refusal = self._desk.refuse(row, args)
        if refusal is not None:
            return self._refused_by_desk(row, args, refusal)
        match row.spec.road:
            case Road.LOCAL:
                if row.name.startswith(b"cluster") and not self._desk.expose_cluster:
                    return _Verdict(Fate.ANSWERED, say.why_cluster_hidden())
                return _Verdict(Fate.ANSWERED, say.why_local())
            case Road.FAN_OUT:
                return self._fan_out(row.spec, args)
            case Road.ASK_SERVER:
                return _Verdict(Fate.ASKED, say.why_asked())
            case Road.SESSION:
                return self._session(row, args, places)
        if row.spec.blocking_keyword:
            streams = words.parse_streams(args)
            if streams is not None and streams.block is not None:
                return self._session(row, args, places)
        return self._by_keys(row, args, places)

    def _refused_by_desk(self, row: Command, args: list[bytes], refusal: bytes) -> _Verdict:
        if not row.spec.takes(len(args)):
            return _Verdict(Fate.REFUSED, say.why_miscounted(), refusal=refusal)
        if row.name.startswith(b"cluster|") and not self._desk.expose_cluster:
            return _Verdict(Fate.REFUSED, say.why_cluster_hidden(), refusal=refusal)
        if row.spec.road is not Road.DENIED:
            return _Verdict(Fate.REFUSED, say.why_no_memory(), refusal=refusal)
        is_setting = is_denied(row.name, self._desk.denied)
        return _Verdict(Fate.REFUSED, say.why_denied(is_setting=is_setting), refusal=refusal)

    def _fan_out(self, spec: CommandSpec, args: list[bytes]) -> _Verdict:
        topology = self._around.topology()
        asked = _EVERYBODY.get(spec.request_policy)
        if asked is None or topology is None:
            return _Verdict(Fate.FANNED_OUT, say.why_special(), merges=True)
        nodes = topology.primaries if spec.request_policy == b"all_shards" else topology.nodes
        parts = tuple(
            PartPlace(slot=None, node=str(node.address), args=tuple(args)) for node in nodes
        )
        return _Verdict(Fate.FANNED_OUT, say.why_all(asked, len(nodes)), parts, merges=True)

    def _session(self, row: Command, args: list[bytes], places: list[int]) -> _Verdict:
        if row.name not in SESSION_ROADS:
            name = text_of(row.name)
            refusal = replies.needs_session(row.name)
            return _Verdict(Fate.REFUSED, say.why_module_session(name), refusal=refusal)
        if row.name == b"watch":
            return self._watch(args, places)
        if row.name not in words.POPS | words.MOVES | words.STREAMS:
            return _Verdict(Fate.IN_SESSION, say.why_session())
        slots = _slots(args, places)
        may_move = row.name in words.MOVES and words.timeout_s(row.name, args) is not None
        if len(slots) > 1 and may_move:
            move = find_move(self._desk, row.name, args)
            if isinstance(move, bytes):
                why = say.why_not_across(text_of(row.name), len(slots))
                return _Verdict(Fate.REFUSED, why, refusal=move)
        parts = tuple(self._part(slot, args) for slot in slots) if len(slots) == 1 else ()
        return _Verdict(Fate.IN_SESSION, say.why_waits(len(slots)), parts)

    def _watch(self, args: list[bytes], places: list[int]) -> _Verdict:
        slots = _slots(args, places)
        if len(slots) > 1:
            refusal = in_multi.watch_over_slots(slot=slots[0], other=slots[1])
            why = say.why_not_across("watch", len(slots))
            return _Verdict(Fate.REFUSED, why, refusal=refusal)
        parts = tuple(self._part(slot, args) for slot in slots)
        return _Verdict(Fate.IN_SESSION, say.why_session(), parts)

    def _by_keys(self, row: Command, args: list[bytes], places: list[int]) -> _Verdict:
        slots = _slots(args, places)
        if not slots and row.name == b"publish":
            slot = key_slot(args[1])
            return _Verdict(Fate.FORWARDED, say.why_channel(slot), (self._part(slot, args),))
        if not slots:
            part = PartPlace(slot=None, node=None, args=tuple(args))
            return _Verdict(Fate.FORWARDED, say.why_no_key(), (part,))
        if len(slots) == 1:
            why = say.why_one_slot(slots[0], len(places), self._around.owner(slots[0]))
            return _Verdict(Fate.FORWARDED, why, (self._part(slots[0], args),))
        name = text_of(row.name)
        try:
            parts = split_by_slot(row.spec, args, places)
        except CutShort:
            return _Verdict(Fate.REFUSED, say.why_miscounted(), refusal=miscounted(row, args))
        except CannotSplit:
            return self._across(row, args, len(slots))
        limit = self._desk.engine.fan_out_limit
        if 0 < limit < len(parts):
            refusal = too_wide(row.name, slots=len(parts), limit=limit)
            return _Verdict(Fate.REFUSED, say.why_too_wide(len(parts)), refusal=refusal)
        return _Verdict(
            Fate.SPLIT,
            say.why_split(name, len(parts)),
            tuple(self._part(part.slot, part.args) for part in parts),
            merges=row.spec.merge is not Merge.NONE,
        )

    def _across(self, row: Command, args: list[bytes], slots: int) -> _Verdict:
        refusal = self._desk.across.refuse(row, args)
        if refusal is not None:
            why = say.why_not_across(text_of(row.name), slots)
            return _Verdict(Fate.REFUSED, why, refusal=refusal)
        manner = manner_of(row.spec, find_keys(row.spec, args))
        return _Verdict(Fate.ACROSS, say.why_across(slots, manner.value))

    # ---- inside MULTI ------------------------------------------------------------------

    def _in_transaction(self, row: Command, args: list[bytes], places: list[int]) -> str:
        spec, desk = row.spec, self._desk
        if row.name in _ENDS_TRANSACTION:
            return say.in_ends()
        refusal = misplaced(row, args) or refusal_in_transaction(desk, row, args)
        if refusal is not None:
            return _refused(refusal)
        if spec.road is Road.ASK_SERVER:
            return say.in_asked()
        queue = TransactionQueue(desk.transactions)
        answer = queue.add(spec, args, places)
        if answer != in_multi.QUEUED:
            return _refused(answer)
        if not goes_with_block(spec):
            return say.in_fan_out() if spec.road is Road.FAN_OUT else say.in_local()
        return say.in_block(sum(part.slot >= 0 for part in queue.entries[0].parts))

    # ---- where -------------------------------------------------------------------------

    def _key(self, key: bytes, stored: bytes) -> KeyPlace:
        slot = key_slot(stored)
        moving = self._around.moving().get(slot)
        return KeyPlace(
            key=key,
            stored=stored,
            hash_tag=hash_tag(stored),
            slot=slot,
            node=self._around.owner(slot),
            moving_to=None if moving is None else moving.target,
        )

    def _part(self, slot: int, args: Sequence[bytes]) -> PartPlace:
        return PartPlace(slot=slot, node=self._around.owner(slot), args=tuple(args))


def _slots(args: Sequence[bytes], places: Sequence[int]) -> list[int]:
    """Return the slots of the keys, each once, in their order."""
    return list(dict.fromkeys(key_slot(args[place]) for place in places))


def _refused(frame: bytes) -> str:
    return say.in_refused(_line(frame))


def _line(frame: bytes) -> bytes:
    """Return the text of an error frame, code first."""
    return frame.rstrip(b"\r\n").removeprefix(b"-")
