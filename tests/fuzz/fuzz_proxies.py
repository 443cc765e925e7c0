"""Target: a whole proxy, clients in every state, and a node that says anything at any moment.

Strategy: one proxy and its cluster live on, as a guest that moves only while a case is tried;
each case brings its own clients, which speak RESP2 or RESP3, subscribe, track, watch, queue,
wait and leave. While its bytes last, the hostile node answers by lot, with attributes before and
pushes behind; then it is honest again.

Judged, after each: nobody's bytes are in another's replies, what a client got is whole frames, a
bystander on another node is served rightly, nothing is left in flight, and no bug was logged.

Cost: 10 ms a case; a start of the proxy takes as long as fifty.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import cache, partial
from queue import SimpleQueue
from typing import Any

import structlog
import trio
import trio.testing
from fake_node import Fate, Seen
from hostile_wire import hostile_reply
from lots import Lots
from outcome import Outcome
from pace import PACE
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.dataplane.frames import ReplyStream
from proxy.errors import BackendProtocolError
from proxy.resp.encode import bulk, encode_command
from proxy.sessions import blocking, blocking_pops

OWNERS = (b"alice", b"bobby", b"carol")
REQUESTS = [
    row.split()
    for line in """
GET k | SET k v | MGET k far | DEL k far | EVAL x 1 k | EVALSHA abc 1 k | FCALL f 1 k
INFO replication | WAIT 1 10 | BLPOP k 0.01 | BLPOP k far 0.01 | BLMOVE k k LEFT LEFT 0.01
STRLEN k | XREAD BLOCK 10 STREAMS k far 0 0 | MULTI | MULTI | EXEC | EXEC | DISCARD | WATCH k
UNWATCH | RESET | SUBSCRIBE c | SUBSCRIBE c d | UNSUBSCRIBE | PSUBSCRIBE c* | PUNSUBSCRIBE
SSUBSCRIBE c | SUNSUBSCRIBE | PUBLISH c v | SPUBLISH c v | CLIENT TRACKING ON
CLIENT TRACKING ON BCAST | CLIENT TRACKING OFF | CLIENT TRACKING ON OPTIN | CLIENT CACHING YES
CLIENT REPLY SKIP | CLIENT NO-TOUCH ON | HELLO 3 | HELLO 3 | HELLO 2 | READONLY | READWRITE
CLIENT ID | PING | ECHO v | CLIENT UNBLOCK 1 | NOSUCH k | SINTERSTORE k far k | SORT k BY x_*
RENAME k far | COPY k far | OBJECT ENCODING k | HGETALL k | ZRANGE k 0 1 WITHSCORES | SMEMBERS k
XRANGE k - + | ZADD k 1 v | INCRBYFLOAT k 1.5 | LCS k k | PUBSUB CHANNELS | CLUSTER INFO
SELECT 0 | SELECT 1 | AUTH x | QUIT | DBSIZE | KEYS k | SCAN 0
""".strip().split("\n")
    for row in line.encode().split(b"|")
]
KINDS = [
    b"message",
    b"pmessage",
    b"smessage",
    b"subscribe",
    b"unsubscribe",
    b"sunsubscribe",
    b"invalidate",
    b"psubscribe",
    b"tracking-redir-broken",
    b"nosuch",
    b"",
]
# RESP3's own types, whole, as no command in particular answers.
VALUES = [
    b"%1\r\n+a\r\n:1\r\n",
    b"~2\r\n+a\r\n+a\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b",-inf\r\n",
    b",nan\r\n",
    b"(123456789012345678901234567890\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!5\r\nERR x\r\n",
    b"*-1\r\n",
    b"%0\r\n",
    b"*2\r\n*-1\r\n_\r\n",
    b"|1\r\n+ttl\r\n:5\r\n$1\r\na\r\n",
    b"*1\r\n|1\r\n+a\r\n+b\r\n+c\r\n",
    b">0\r\n",
]
SETTINGS: dict[str, Any] = {
    "commands": {"cross_slot": "all", "transactions": "split"},
    "cluster": {
        "request_timeout_s": 0.3 * PACE,
        "connect_timeout_s": 1.0 * PACE,
        "health_interval_s": 0.2 * PACE,
        "silence_timeout_s": 0.2 * PACE,
    },
    "reads": {"policy": "prefer_replica"},
}
QUIET_S = 0.002
BUSY_S = 0.25
ATTEMPT_S = 0.3
# A case of milliseconds.
PATIENCE_S = 30.0 * PACE


class Stage:
    """A proxy that lives as long as the process does, and moves only while a case is tried."""

    def __init__(self) -> None:
        self._due: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._outcomes: list[Outcome[None]] = []
        self._cases, self._waiting = trio.open_memory_channel[Lots](1)
        self._token: trio.lowlevel.TrioToken | None = None
        self._is_over = False
        trio.lowlevel.start_guest_run(
            self._live,
            run_sync_soon_threadsafe=self._due.put,
            done_callback=self._outcomes.append,
        )
        self._go_on(lambda: self._token is not None)

    async def _live(self) -> None:
        # A pop that was given up is heard to its end, for a minute, and put back as long.
        blocking_pops.ATTEMPT_S = blocking.ATTEMPT_S = ATTEMPT_S
        cluster = FakeCluster()
        cluster.add_replica(cluster.nodes[0])
        async with cluster.running(), serve(cluster, **SETTINGS) as served:
            play = Play(cluster, served, await served.connect())
            self._token = trio.lowlevel.current_trio_token()
            async for lots in self._waiting:
                await play.case(lots)
                self._is_over = True

    def _go_on(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._outcomes:
                self._outcomes[0].unwrap()
            self._due.get(timeout=PATIENCE_S)()

    def run(self, lots: Lots) -> None:
        """Try one case."""
        assert self._token is not None
        self._is_over = False
        self._token.run_sync_soon(self._cases.send_nowait, lots)
        self._go_on(lambda: self._is_over)

    def close(self) -> None:
        """End it."""
        if self._token is not None and not self._outcomes:
            self._token.run_sync_soon(self._cases.close)
            self._go_on(lambda: bool(self._outcomes))


class Play:
    """What happens before the proxy."""

    def __init__(self, cluster: FakeCluster, served: Served, bystander: RawClient) -> None:
        self.cluster = cluster
        self.served = served
        self.bystander = bystander
        self.hostile, self.honest = cluster.nodes[:2]
        self.key, self.far = cluster.key_of(self.hostile), cluster.key_of(self.honest)
        self.number = 0
        self.bugs: list[object] = []

    async def case(self, lots: Lots) -> None:
        """Play one case to its end."""
        structlog.configure(processors=[self._hear])
        with trio.fail_after(PATIENCE_S):
            self._script(lots)
            async with trio.open_nursery() as nursery:
                for owner in OWNERS[: 1 + lots.below(3)]:
                    nursery.start_soon(self._pester, lots, owner)
            for node in self.cluster.nodes:
                node.forget_script()
                node.log.clear()
                node.connections[:] = [each for each in node.connections if each.is_open]
            await self._serve_bystander()
            del self.served.clients[1:]
            await until(lambda: len(self.served.engine.clients) == 1, PATIENCE_S)
            await until(lambda: self.served.engine.in_flight == 0, PATIENCE_S)
        self.cluster.store.clear()
        assert not self.bugs, self.bugs.pop()

    def _hear(self, _: object, __: str, event: MutableMapping[str, Any]) -> Any:
        if "bug" in event["event"] or event.get("exc_info"):
            self.bugs.append(dict(event))
        raise structlog.DropEvent

    def _script(self, lots: Lots) -> None:
        nodes = self.cluster.nodes
        for node in [nodes[0], nodes[3]]:
            answerer = partial(self._answer, lots)
            node.by(answerer=answerer)
            for word in (b"CLIENT", b"SUBSCRIBE", b"SSUBSCRIBE"):
                node.by(word, answerer=answerer)
            if lots.rarely():
                housekeeping = lots.choice([b"INFO", b"HELLO", b"CLUSTER", b"COMMAND", b"READONLY"])
                node.by(housekeeping, answerer=answerer)

    async def _answer(self, lots: Lots, seen: Seen) -> bytes | Fate:
        if not lots:
            return self.cluster.answer(seen)
        match lots.below(16):
            case 0:
                return lots.choice([Fate.CLOSE, Fate.RESET])
            case 1 | 2:
                return hostile_reply(lots)
            case 3 | 4:
                return lots.choice(VALUES)
            case 5 | 6:
                return b"|1\r\n+a\r\n:1\r\n" + _bytes(self.cluster.answer(seen))
            case 7 | 8 | 9:
                return push(lots) + _bytes(self.cluster.answer(seen)) + push(lots)
            case 10:
                return lots.choice([b"-MOVED 0 127.0.0.1:1\r\n", b"+QUEUED\r\n", b"*0\r\n"])
            case _:
                return self.cluster.answer(seen)

    async def _pester(self, lots: Lots, owner: bytes) -> None:
        """Send requests, read what comes, and be gone."""
        client = await self.served.connect()
        names = {
            b"k": b"{%b}%b" % (self.key, owner), b"far": b"{%b}%b" % (self.far, owner), b"v": owner,
            b"c": b"{%b}c" % self.key, b"d": b"{%b}d" % self.far, b"c*": b"{%b}c*" % self.key,
        }  # fmt: skip
        got = b""
        try:
            for _ in range(1 + lots.below(3)):
                lines = [lots.choice(REQUESTS) for _ in range(1 + lots.below(6))]
                sent = [encode_command(*(names.get(word, word) for word in line)) for line in lines]
                await client.send(*sent)
                with trio.move_on_after(BUSY_S):
                    await trio.testing.wait_all_tasks_blocked(QUIET_S)
            got = client.take()
        except (trio.BrokenResourceError, trio.ClosedResourceError, ConnectionError):
            pass
        client.vanish()
        self._judge(owner, got)

    def _judge(self, owner: bytes, got: bytes) -> None:
        try:
            ReplyStream().feed(got)
        except BackendProtocolError:
            raise AssertionError(f"no frames: {got!r}") from None
        for other in OWNERS:
            # A message that was published is everybody's.
            assert other == owner or b"}" + other not in got, (owner, got)

    async def _serve_bystander(self) -> None:
        self.number += 1
        value = b"%d" % self.number
        said = [
            await self.bystander.call("SET", self.far, value),
            await self.bystander.call("GET", self.far),
        ]
        assert said == [b"+OK\r\n", bulk(value)], said


def _bytes(answer: bytes | Fate) -> bytes:
    return answer if isinstance(answer, bytes) else b""


def push(lots: Lots) -> bytes:
    """Return nothing, or what no request asked for."""
    if lots.flag():
        return b""
    words = [bulk(lots.choice(KINDS))]
    for _ in range(lots.below(4)):
        words.append(
            lots.choice(
                [bulk(b"c"), b":1\r\n", b"_\r\n", b"*1\r\n$1\r\nk\r\n", lots.choice(VALUES)]
            )
        )
    frame = b">%d\r\n%b" % (len(words), b"".join(words))
    return frame * (1 + lots.below(60) if lots.rarely() else 1)


@cache
def _stage() -> Stage:
    return Stage()


def end_proxy() -> None:
    """End the proxy of all cases, if there is one: while it lives, trio runs nothing else here."""
    if _stage.cache_info().currsize:
        stage = _stage()
        _stage.cache_clear()
        stage.close()


def whole_proxy(data: bytes) -> None:
    """Play one case before the one proxy."""
    stage = _stage()
    before = structlog.get_config()
    try:
        stage.run(Lots(data))
    except BaseException:
        _stage.cache_clear()  # it is not what it was
        raise
    finally:
        structlog.configure(**before)
