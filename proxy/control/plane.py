"""What the data plane asks, answered: the object behind ``dataplane.hooks.Hooks``.

Strategy: each method is a short decision that leads into another room: a verdict
from ``retry``, a text from ``resp.replies``, a word to the pools or the watcher.
Nothing here waits. What a punt means is above this room, and handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
import trio

from proxy.cluster.addresses import AddressMap
from proxy.cluster.redirects import Ask, Moved, parse_refusal
from proxy.commands.patience import PATIENCES
from proxy.control import retry
from proxy.control.breaker import Breakers
from proxy.control.entrance import Entrance
from proxy.control.notices import NOBODY, Notices
from proxy.control.pools import Pools
from proxy.control.rates import Held, RateBook
from proxy.control.reads import Reads
from proxy.control.routes import Routes
from proxy.control.scripts import Bringer, ScriptBook
from proxy.control.watch import Watcher
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.hooks import Action, Guard, Punt
from proxy.dataplane.lane import Pipeline
from proxy.dataplane.tables import Command
from proxy.resp import replies, replies_nodes, replies_protocol
from proxy.resp import replies_limits as say
from proxy.resp.inline import split_inline
from proxy.resp.time_limit import TimeLimit

log = structlog.get_logger()

# While a node is silent, the map is asked for this often: a failover shows in it.
SILENCE_REFRESH_S = 0.3  # chosen: well below the seconds that a failover takes

# Below this share of the limit, clients that were turned away are history. Chosen: at the
# limit itself, each one that leaves lets one in and the next one is refused.
ROOM_SHARE = 0.9

PuntHandler = Callable[[Client, Punt, "Command | None", list[bytes]], "bytes | None"]


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits that a client's frames are held to, in bytes and arguments."""

    argument_limit: int
    argument_limit_bytes: int
    inline_limit_bytes: int
    request_limit_bytes: int


class ControlPlane:
    """Answers the data plane's questions.

    Args:
        address_map: Translates the addresses in redirects.
        request_timeout_s: For the texts that name it, until ``time_limits`` is set.
        new_state: Makes what the sessions room keeps of a client.
        must_log_in: Whether a client that comes now may do nothing before AUTH.

    Attributes:
        notices: Who keeps a record of what happens.
        time_limits: How long requests may take, by ``PATIENCES``.
        entrance: Who may come in.
    """

    def __init__(
        self,
        *,
        address_map: AddressMap,
        request_timeout_s: float,
        limits: RequestLimits,
        reply_limit_bytes: int,
        new_state: Callable[[], object],
        must_log_in: Callable[[], bool],
    ) -> None:
        self._address_map = address_map
        self.time_limits: Sequence[TimeLimit] = [TimeLimit(request_timeout_s)] * len(PATIENCES)
        self._limits = limits
        self.reply_limit_bytes = reply_limit_bytes
        self._new_state = new_state
        self._must_log_in = must_log_in
        self._silence_noted = -math.inf
        # Clients refused before the limit was reached; None: it is not.
        self._refused_before: int | None = None
        self._lacks_descriptors = False
        self.notices: Notices = NOBODY

    def connect(
        self,
        *,
        engine: Engine,
        pools: Pools,
        routes: Routes,
        watcher: Watcher,
        on_punt: PuntHandler,
        on_closed: Callable[[Client], None],
        scripts: ScriptBook,
        bringer: Bringer,
        breakers: Breakers,
        rates: RateBook,
        guard: Callable[[Client, Command], Guard],
        is_confirmed: Callable[[Client, list[bytes]], bool],
        reads: Reads,
    ) -> None:
        """Take the rooms that were built after this one. Before the first client."""
        self._engine = engine
        self._pools = pools
        self._routes = routes
        self._watcher = watcher
        self._on_punt = on_punt
        self._on_closed = on_closed
        self.entrance = Entrance(engine.meter.note_limit)
        self.distrusts = self.entrance.distrusts
        self.no_header = self.entrance.no_header
        self.turn_away = self.entrance.turn_away
        self._bringer = bringer
        self._breakers = breakers
        self._rates = rates
        self.guard = guard
        self.is_confirmed = is_confirmed
        self._reads = reads
        self.note_script = scripts.note
        self.lane_for = pools.lane_for

    # ---- clients ----------------------------------------------------------------

    def accepted(self, client: Client) -> None:
        """Give a new client its state."""
        client.state = self._new_state()
        client.is_gated = client.is_extra or self._must_log_in()
        self._rates.settle(client)
        if self._lacks_descriptors:
            self._lacks_descriptors = False
            log.info("connections accepted again", clients=len(self._engine.clients))
        if self._refused_before is not None:
            self._note_room(self._refused_before)

    def closed(self, client: Client, reason: str) -> None:
        """Log why a client was sent away; one that left by itself is not worth a line."""
        if reason:
            log.warning("client closed", client=client.id, address=client.address, reason=reason)
            self.notices.cut(client, reason)
        self._on_closed(client)

    def too_many_clients(self) -> bytes:
        """Return the error for a client over the limit."""
        if self._refused_before is None:
            self._refused_before = self._engine.refused_clients - 1  # this one is counted
            log.warning("clients turned away", limit=self._engine.max_clients)
        return replies.max_clients()

    def out_of_descriptors(self) -> None:
        """Tell that connections wait; the engine tries again with every sweep."""
        self._engine.meter.note_limit("descriptors")
        if not self._lacks_descriptors:
            self._lacks_descriptors = True
            log.warning("no descriptors left, connections wait", clients=len(self._engine.clients))

    def _note_room(self, refused_before: int) -> None:
        clients, engine = len(self._engine.clients), self._engine
        if clients < ROOM_SHARE * engine.max_clients:
            refused = engine.refused_clients - refused_before
            self._refused_before = None
            log.info("clients let in again", clients=clients, turned_away=refused)

    def punt(
        self, client: Client, reason: Punt, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        """Return the reply to what left the hot road, or None if a task will bring it."""
        return self._on_punt(client, reason, command, args)

    def inline_args(self, line: bytes) -> list[bytes] | None:
        """Return the arguments of an inline command; None if its quotes do not match."""
        return split_inline(line)

    def out_of_memory(self) -> bytes:
        """Return the error for a request over ``limits.memory_limit_bytes``."""
        return say.out_of_memory(self._engine.memory_limit_bytes)

    def too_wide(self, command: Command, slots: int) -> bytes:
        """Return the error for a command over ``limits.fan_out_limit``."""
        return say.too_wide(command.name, slots=slots, limit=self._engine.fan_out_limit)

    def over_rate(self, client: Client, is_bytes: bool) -> bytes:
        """Return the error for a request over a rate of ``[[rate]]``."""
        assert client.allowance is not None
        held = client.allowance.rule
        assert isinstance(held, Held)
        if is_bytes:
            return say.over_rate(held.user, b"bytes_per_s", held.rule.bytes_per_s)
        return say.over_rate(held.user, b"commands_per_s", held.rule.commands_per_s)

    def protocol_error(self, fault: str, got: bytes) -> bytes:
        """Return the error for a client that does not speak RESP."""
        limits = self._limits
        match fault:
            case "BAD_COUNT":
                return replies_protocol.invalid_multibulk_length()
            case "BAD_LENGTH":
                return replies_protocol.invalid_bulk_length()
            case "ARGUMENT_TOO_LONG":
                return replies_protocol.argument_too_big(limits.argument_limit_bytes)
            case "BAD_LINE_END":
                return replies_protocol.invalid_line_end()
            case "NOT_A_BULK":
                return replies_protocol.expected_bulk(got)
            case "LINE_TOO_LONG":
                return replies_protocol.inline_too_big(limits.inline_limit_bytes)
            case "HEADER_TOO_LONG":
                return replies_protocol.multibulk_count_too_long()
            case "LENGTH_TOO_LONG":
                return replies_protocol.bulk_count_too_long()
            case "FRAME_TOO_LONG":
                return replies_protocol.request_too_big(limits.request_limit_bytes)
            case "TOO_MANY_ARGUMENTS":
                return replies_protocol.too_many_arguments(limits.argument_limit)
            case "STRANGER_ARGUMENTS":
                return replies_protocol.unauthenticated_multibulk_length()
            case "STRANGER_ARGUMENT_BYTES":
                return replies_protocol.unauthenticated_bulk_length()
            case "TLS":
                log.warning("client speaks TLS on a port without", setting="tls.mode")
                return replies_protocol.tls_without()
            case "NO_TLS":
                return replies_protocol.no_tls()
            case _:
                return replies_protocol.unbalanced_quotes()

    # ---- refusals and failures ------------------------------------------------------

    def judge(
        self, node: int, line: bytes, redirects: int, attempts: int
    ) -> tuple[Action, int, float]:
        """Return what to do with a piece that a node refused, and carry out the rest of it."""
        missing = self._breakers.blamed_for(line, self._watcher.topology)
        if missing is not None:
            return Action.SPARE, self._routes.number(missing), 0.0
        asked = self._routes.address(node)
        refusal = parse_refusal(line, asked) if asked is not None else None
        is_known = False
        if isinstance(refusal, Moved | Ask):
            address = self._address_map.reachable(refusal.address)
            refusal = type(refusal)(refusal.slot, address)
            topology = self._watcher.topology
            is_known = topology is not None and topology.node_at(address) is not None
        verdict = retry.judge(refusal, redirects=redirects, attempts=attempts, is_known=is_known)
        match verdict:
            case retry.Pass():
                return Action.PASS, -1, 0.0
            case retry.AskAt(address):
                if asked is not None and isinstance(refusal, Ask):
                    self._reads.note_moving(refusal.slot)
                    self.notices.asked(refusal.slot, asked, address)
                return Action.ASK, self._routes.number(address), 0.0
            case retry.Again(wait_s, patch, refresh):
                if patch is not None:
                    self._watcher.move_slot(patch.slot, patch.address)
                if refresh:
                    self._watcher.suspect()
                return Action.BY_MAP, refusal.slot if isinstance(refusal, Moved) else -1, wait_s

    def reader_refused(self, node: int, line: bytes, attempts: int) -> float:
        """Leave a replica alone that would not answer a read, and say when to ask the next."""
        asked = self._routes.address(node)
        if asked is None:
            return 0.0
        verdict = retry.judge_reader(parse_refusal(line, asked), attempts=attempts)
        if verdict.is_unfit:
            self._reads.leave_out(asked)
        if verdict.refresh:
            self._watcher.suspect()
        return verdict.wait_s

    def lacks_script(self, pipeline: Pipeline, request: bytes, attempts: int) -> float | None:
        """Bring a node the script or function that it says it lacks."""
        return self._bringer.bring(pipeline, request, attempts)

    def need_connection(self, pipeline: Pipeline) -> None:
        """Have a pipeline connected that has something to send."""
        self._pools.want(pipeline)

    def lost_connection(self, pipeline: Pipeline) -> None:
        """Suspect the map when a connection breaks."""
        self._pools.lost(pipeline)
        address = self._routes.address(pipeline.node)
        if address is not None:
            self._watcher.nodes.broken(address)
            self.notices.lost(address)
        self._watcher.suspect()

    def silent(self, pipeline: Pipeline, seconds: float) -> None:
        """Look after a node that owes replies: busy, hung, or no longer in charge.

        A busy node is left alone, for a slow command may take its time. One that
        serves no slot any more will not be waited for: its replies are lost,
        and the requests behind them can go to its successor.
        """
        topology = self._watcher.topology
        address = self._routes.address(pipeline.node)
        if address is not None:
            self.notices.silent(address, seconds)
        if address is not None and self._reads.is_reader(address):
            # As patient with a busy replica as with a primary, until it misses its checks.
            is_let_go = self._breakers.is_down(address)
        else:
            is_let_go = topology is not None and address not in {
                node.address for node in topology.primaries
            }
        if is_let_go:
            log.warning("silent node let go", node=str(address), seconds=round(seconds, 1))
            self._engine.drop(pipeline)
            self._watcher.suspect()
        elif trio.current_time() > self._silence_noted + SILENCE_REFRESH_S:
            self._silence_noted = trio.current_time()
            self._watcher.suspect()

    def uncovered(self, slot: int) -> None:
        """Suspect the map when it has nobody for a slot."""
        self._watcher.suspect()

    # ---- what a client is told ----------------------------------------------------

    def gave_up(
        self, slot: int, node: int, *, was_sent: bool, is_write: bool, patience: int
    ) -> bytes:
        """Return the error for a request whose deadline has passed."""
        timeout_s = self.time_limits[patience]
        if not was_sent:
            if self._watcher.topology is None:
                return replies.unreached_cluster(timeout_s)
            if node < 0 <= slot and self._engine.slot_map.owner_of(slot) is not None:
                return replies_nodes.no_reader(slot, timeout_s)
            address = self._routes.address(node) if node >= 0 else None
            words = address and self._watcher.nodes.refusal_of(address)
            if words:
                return replies_nodes.not_let_in(
                    slot if slot >= 0 else None, str(address), words, timeout_s
                )
            return replies.never_sent(slot if slot >= 0 else None, timeout_s)
        tell = replies.no_reply_to_write if is_write else replies.no_reply_to_read
        return tell(self._name(node), timeout_s)

    def waited_in_vain(self, node: int, waited_s: float) -> None:
        """Have the node's breaker opened, if it is time."""
        self._breakers.gave_up(node, waited_s)

    def hopeless(self, slot: int, node: int) -> bytes:
        """Return the error for a request to a node that is given up."""
        told = self._name(node), self._breakers.silent_s(node), self._breakers.after_s
        if slot >= 0 and self._engine.slot_map.owner_of(slot) != node:
            return replies_nodes.cluster_given_up(*told)
        return replies_nodes.given_up(slot if slot >= 0 else None, *told)

    def lost_reply(self, slot: int, node: int, *, is_write: bool) -> bytes:
        """Return the error for a request whose reply was lost with a connection."""
        tell = replies.lost_write if is_write else replies.lost_read
        return tell(self._name(node))

    def overtaken(self, node: int, *, was_lost: bool) -> bytes:
        """Return the error for a request that a later one on its key has overtaken."""
        return replies.overtaken(self._name(node)) if was_lost else replies.overtaken_in_a_move()

    def cut_off(self, node: int) -> bytes:
        """Return the error for a request during which the node always closes."""
        return replies.cut_off(self._name(node))

    def parts_failed(self, command: Command, failed: int, parts: int, first_error: bytes) -> bytes:
        """Return the error for a split command of which some parts failed."""
        return replies.parts_failed(
            command.name,
            failed=failed,
            parts=parts,
            first_error=first_error,
            is_write=command.spec.is_write,
        )

    def replies_differ(self, command: Command) -> bytes:
        """Return the error for a split command whose parts' replies do not fit together."""
        return replies.replies_differ(command.name)

    def reply_too_big(self, node: int) -> bytes:
        """Return the error that stands for a reply over the limit."""
        return replies.reply_too_big(self._name(node), self.reply_limit_bytes)

    def _name(self, node: int) -> str:
        return str(self._routes.address(node) or "a node that is gone")
