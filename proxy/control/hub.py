"""The hub: every message that the clients listen to comes through here, once.

Strategy: however many clients listen to a channel, it is subscribed once
(``subscriptions`` says where, ``hub_link`` does it). One task looks after what is not
as it should be: a topic whose connection was lost, whose slot has moved, or whose
node has refused for now is *astray* until it is subscribed where it belongs; its
clients notice nothing. What is published meanwhile is lost to them, as pub/sub
promises nothing else.

A client becomes a member only when all that it asked for in one command is live, in
the moment in which the last node confirms it: so the confirmation comes before the
first message, and a PUBLISH after it is seen.

Cost: for a message one dictionary lookup, and one copy into the output of each
member; its frame is built once for each protocol version.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import trio

from proxy.cluster.addresses import Address
from proxy.cluster.slots import key_slot
from proxy.control.deadlines import Deadlines
from proxy.control.hub_link import HubLink, Name, PublishDone
from proxy.control.hub_moves import Moves, name_of
from proxy.control.hub_roads import Account, HubRoads
from proxy.control.slow_readers import SlowReaders
from proxy.control.subscriptions import Book, Join, JoinDone, Kind, Topic, places
from proxy.control.trouble import Trouble
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.hooks import Action
from proxy.errors import BackendUnavailable, LimitReached
from proxy.resp.decode import error_code
from proxy.resp.encode import integer

TICK_S = 0.5  # chosen: how late a node that has gone silent is looked at, at most

# What a node says to who may not listen; anything else may pass.
_RIGHT_LOST = frozenset({b"NOAUTH", b"NOPERM", b"WRONGPASS"})

_Topic = Topic[Client, HubLink]
_Join = Join[Client, HubLink]


class Hub:
    """All subscriptions of all clients.

    Args:
        roads: The nodes, as far as the hub needs them.
        slow: Cuts subscribers that do not read.
        judge: What to do when a node refuses (``ControlPlane.judge``).
        suspect: Has the map refreshed.
        timeout_s: How long a PUBLISH may take.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        roads: HubRoads,
        slow: SlowReaders,
        judge: Callable[[int, bytes, int, int], tuple[Action, int, float]],
        suspect: Callable[[], None],
        timeout_s: float,
    ) -> None:
        self.deadlines = Deadlines(timeout_s)
        self.book: Book[Client, HubLink] = Book()
        self.messages = 0
        self.deliveries = 0
        self._engine = engine
        self.roads = roads
        self.slow = slow
        self._judge = judge
        self._suspect = suspect
        self._astray: dict[_Topic, float] = {}
        self._moves = Moves()
        self._joins: dict[_Topic, list[_Join]] = {}
        self._troubles: dict[object, Trouble] = {}
        self._by_slot: dict[int, set[_Topic]] = defaultdict(set)
        self._primaries: set[Address] = set()
        self._stirred = trio.Event()

    # ---- its task -----------------------------------------------------------------

    async def run(self) -> None:
        """Look after what is astray, for ever."""
        while True:
            wait_s = min(self._astray.values(), default=math.inf) - trio.current_time()
            with trio.move_on_after(max(0.0, min(wait_s, TICK_S))):
                await self._stirred.wait()
            self._stirred = trio.Event()
            now = trio.current_time()
            self._settle([topic for topic, when in self._astray.items() if when <= now])
            if self.roads.look_after(self.book.accounts()):
                self._suspect()
            if not self._astray and not self.book.topics:
                self._troubles.clear()
            self._moves.look(now)
            self.slow.look()
            self.deadlines.look()

    def _stir(self, topics: Iterable[_Topic], when: float = -math.inf) -> None:
        """Have topics looked after, at once or later."""
        for topic in topics:
            self._astray[topic] = when
        self._stirred.set()

    def _settle(self, topics: Iterable[_Topic]) -> None:
        """Subscribe topics where they belong, as far as that is known."""
        primaries = self.roads.primaries()
        wanted: dict[HubLink, list[Name]] = defaultdict(list)
        for topic in topics:
            targets, home = places(
                topic.kind, topic.name, topic.slot, primaries=primaries, owner=self.roads.owner
            )
            if home is None:
                self._suspect()
                self._astray[topic] = trio.current_time() + TICK_S / 5
                continue
            try:
                links = {self.roads.link(topic.account, each, self) for each in targets}
                at_home = self.roads.link(topic.account, home, self)
            except LimitReached:  # somebody else has taken the lane meanwhile
                self._astray[topic] = trio.current_time() + TICK_S
                continue
            self._astray.pop(topic, None)
            name = name_of(topic)
            missing, left = topic.aim(links, at_home)
            self._moves.leave_now(topic, missing)
            self._moves.leave(topic, left)
            for link in missing:
                wanted[link].append(name)
        for link, names in wanted.items():
            link.subscribe(names)

    # ---- the map ------------------------------------------------------------------

    def map_changed(self) -> None:
        """See which topics belong elsewhere now."""
        primaries = self.roads.primaries()
        has_changed = primaries != self._primaries
        self._primaries = primaries
        self._stir(
            topic
            for topic in self.book.topics.values()
            if (has_changed and topic.is_wide) or self._has_moved(topic)
        )

    def slot_moved(self, slot: int) -> None:
        """See which topics of one slot belong elsewhere now."""
        self._stir(topic for topic in self._by_slot.get(slot, ()) if self._has_moved(topic))

    def _has_moved(self, topic: _Topic) -> bool:
        return topic.home is None or topic.home.address != self.roads.owner(topic.slot)

    # ---- clients ------------------------------------------------------------------

    def join(
        self, client: Client, account: Account, kind: Kind, names: list[bytes], on_done: JoinDone
    ) -> _Join | None:
        """Let a client listen.

        Args:
            account: Whose rights count.
            names: Each once.
            on_done: Called inside a tick, once, unless ``cancel`` comes first.

        Returns:
            None if all is live and the client is a member; then ``on_done`` is not called.

        Raises:
            LimitReached: The account would need one lane too many.
        """
        self.roads.lane(account)
        topics = [self._topic(account, kind, name) for name in names]
        pending = {topic for topic in topics if not topic.is_live}
        if not pending:
            for topic in topics:
                self.book.join(client, topic)
            return None
        join = _Join(client, topics, on_done, pending)
        for topic in topics:
            topic.waiting += 1
        for topic in pending:
            self._joins.setdefault(topic, []).append(join)
        self._settle([t for t in pending if not t.targets and t not in self._astray])
        return join

    def cancel(self, join: _Join) -> None:
        """Give up what has not come about; nothing happens if it has."""
        if join.is_over:
            return
        join.is_over = True
        for topic in join.topics:
            topic.waiting -= 1
        for topic in join.pending:
            waiting = self._joins[topic]
            waiting.remove(join)
            if not waiting:
                del self._joins[topic]
        self._release(join.topics)

    def part(self, client: Client, kind: Kind, names: Iterable[bytes]) -> None:
        """Let a client listen no more; names that it does not listen to are passed over."""
        parted = [self.book.part(client, kind, name) for name in names]
        self._release([topic for topic in parted if topic is not None])

    def leave(self, client: Client) -> None:
        """Let a client listen to nothing any more."""
        for kind in Kind:
            self.part(client, kind, self.book.names_of(client, kind))
        self.slow.forget(client)

    def _topic(self, account: Account, kind: Kind, name: bytes) -> _Topic:
        if not self.book.topics:
            self.roads.divert_publish(True)
        topic = self.book.topic(account, kind, name)
        self._by_slot[topic.slot].add(topic)
        return topic

    def _release(self, topics: Iterable[_Topic]) -> None:
        """End those that nobody needs any more."""
        unwanted: dict[HubLink, list[Name]] = defaultdict(list)
        for topic in topics:
            if topic.is_needed:
                continue
            self.book.drop(topic)
            self._astray.pop(topic, None)
            self._troubles.pop(topic, None)
            self._by_slot[topic.slot].discard(topic)
            if not self._by_slot[topic.slot]:
                del self._by_slot[topic.slot]
            self._moves.leave_now(topic)
            for link in topic.held_at:
                unwanted[link].append(name_of(topic))
        for link, names in unwanted.items():
            link.unsubscribe(names)
        if not self.book.topics:
            self.roads.divert_publish(False)

    # ---- what the links say ---------------------------------------------------------

    def confirmed(self, link: HubLink, name: Name) -> None:
        """Note that a name is subscribed there."""
        topic = self._find(link, name)
        if topic is None:
            return
        self._troubles.pop(topic, None)
        self._moves.leave(topic, topic.confirm(link))
        if topic.is_live:
            for join in self._joins.pop(topic, ()):
                join.pending.discard(topic)
                if not join.pending:
                    self._complete(join)

    def _complete(self, join: _Join) -> None:
        if join.client.is_closed:
            self.cancel(join)  # in the same tick: nobody has had the time to do so
            return
        join.is_over = True
        for topic in join.topics:
            topic.waiting -= 1
            self.book.join(join.client, topic)
        join.on_done(None)

    def unsubscribed(self, link: HubLink, name: Name) -> None:
        """Note that a name is no longer subscribed there, as was asked."""
        topic = self._find(link, name)
        if topic is not None:
            topic.gone(link)
            self._moves.settle(topic)

    def evicted(self, link: HubLink, name: Name) -> None:
        """Note that the node has ended a subscription by itself: its slot has moved."""
        topic = self._find(link, name)
        if topic is not None:
            topic.lose(link)
            self._moves.lost(topic, link)
            self._suspect()
            self._stir([topic])

    def refused(self, link: HubLink, name: Name, line: bytes) -> None:
        """Note that the node will not subscribe a name, and what it says."""
        topic = self._find(link, name)
        if topic is None:
            return
        topic.lose(link)
        trouble = self._troubles.setdefault(topic, Trouble())
        attempts = trouble.attempts
        action, _, wait_s = self._judge(link.pipeline.node, line, attempts, attempts)
        if action is not Action.PASS:
            self._stir([topic], max(trouble.note(), trio.current_time() + wait_s))
            return
        for join in self._joins.get(topic, [])[:]:
            self.cancel(join)
            join.on_done(line)
        if error_code(line) in _RIGHT_LOST:  # a server closes those who listened, too
            for client in list(topic.members):
                self._engine.close_client(client, "may not listen to one of its channels any more")
        elif topic.is_needed:
            self._stir([topic], trouble.note())

    def lost(self, link: HubLink) -> None:
        """Note that nothing is subscribed there any more."""
        when = self._troubles.setdefault(link.address, Trouble()).note()
        topics = [
            topic
            for topic in self.book.topics.values()
            if topic.account == link.account
            and (link in topic.targets or link in topic.live or link in topic.asked)
        ]
        for topic in topics:
            topic.lose(link)
            self._moves.lost(topic, link)
        self._stir(topics, when)

    def message(self, link: HubLink, name: Name, channel: bytes, frame: bytes) -> None:
        """Hand a message to everybody who listens."""
        topic = self._find(link, name)
        if topic is None or not topic.is_due(link, channel, frame):
            return
        self._moves.spoke(topic)
        members = list(topic.members)
        self.messages += 1
        self.deliveries += len(members)
        old_frame = b""
        for client in members:
            if client.resp == 3:
                self._engine.push(client, frame)
            else:
                old_frame = old_frame or b"*" + frame[1:]
                self._engine.push(client, old_frame)
            self.slow.watch(client)

    def _find(self, link: HubLink, name: Name) -> _Topic | None:
        return self.book.topics.get((link.account, name.kind, name.text))

    def divert_publish(self) -> None:
        """Have a new command table send PUBLISH here, if anybody listens."""
        self.roads.divert_publish(bool(self.book.topics))

    # ---- PUBLISH --------------------------------------------------------------------

    def publish(
        self, account: Account, kind: Kind, args: list[bytes], on_done: PublishDone
    ) -> bool:
        """Send a client's PUBLISH or SPUBLISH to where its channel is subscribed.

        Args:
            on_done: Called inside a tick with the reply, or with BackendUnavailable if
                none will come or it has to be sent again. A number is as one server
                would say it, without the proxy's own connections and with its clients.

        Returns:
            False if nobody owns the slot; then ``on_done`` is not called.

        Raises:
            LimitReached: As ``join``.
        """
        channel = args[1]
        topic = self.book.topics.get((account, kind, channel))
        if topic is not None and topic.home in topic.live and topic.home is not None:
            address: Address | None = topic.home.address
        else:
            address = self.roads.owner(key_slot(channel))
        if address is None:
            return False
        link = self.roads.link(account, address, self)
        own = sum(each.own_receivers(kind, channel) for each in self.roads.links_to(address))

        def take(reply: bytes | BackendUnavailable) -> None:
            if isinstance(reply, bytes) and reply.startswith(b":"):
                others = max(0, int(reply[1:]) - own)
                reply = integer(others + self.book.receivers(kind, channel))
            elif isinstance(reply, bytes):
                action, _, _ = self._judge(link.pipeline.node, reply, 0, 0)
                if action is not Action.PASS:
                    reply = BackendUnavailable(f"{address} refused it for now", sent=False)
            on_done(reply)

        link.publish(args, take)
        return True
