"""What a client that knows nothing of clusters sees while one is moved and broken behind it.

Strategy: every phase talks to one host and port through ``redis.Redis``; only
the hand that moves slots and kills servers knows that there is a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from proxy.demo.steps import Steps
from proxy.demo.tally import Tally
from proxy.demo.traffic import Traffic
from proxy.embedded import EmbeddedCluster

KEYS = 10_000
BATCH = 1_000
SLOTS_TO_MOVE = 1_000
WARM_UP_ROUNDS = 100
ROUNDS_AFTERWARDS = 200
# More than the proxy's own deadline for a request: the client never gives up first.
CLIENT_TIMEOUT_S = 60.0

Connect = Callable[[], redis.Redis]


def plain_client(host: str, port: int) -> redis.Redis:
    """Return an ordinary client that repeats nothing: the tour shows what the proxy does."""
    return redis.Redis(
        host=host, port=port, socket_timeout=CLIENT_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )


def run_tour(*, host: str, port: int, cluster: EmbeddedCluster, steps: Steps) -> list[Tally]:
    """Walk through all phases and return what the client saw in each.

    Args:
        host: Where the proxy listens.
        port: Where the proxy listens.
        cluster: Behind the proxy; its slots are moved, and one of its primaries
            is killed and comes back as a replica.
        steps: Where progress is shown.

    Raises:
        EmbeddedError: The cluster did not do its part.
    """

    def connect() -> redis.Redis:
        return plain_client(host, port)

    with connect() as client:
        return [
            write_and_read_back(client, steps),
            many_slots_at_once(client, steps),
            pipeline(client, steps),
            move_slots(connect, cluster, steps),
            kill_a_primary(connect, cluster, steps),
            read_again(client, steps),
        ]


def write_and_read_back(client: redis.Redis, steps: Steps) -> Tally:
    """SET every key, then GET every key, one command at a time."""
    tally = Tally(f"write, read back {KEYS:,} keys")
    with steps.step(tally.phase, total=2 * KEYS) as step:
        for number in range(KEYS):
            reply = tally.ask(
                lambda n=number: client.set(_key(n), _value(n)),  # type: ignore[misc]
                is_write=True,
            )
            tally.expect(reply, True, f"SET {_key(number)!r}")
            step.advance()
        _read_all(client, tally, step.advance)
    return tally


def many_slots_at_once(client: redis.Redis, steps: Steps) -> Tally:
    """MSET, MGET, EXISTS and DEL of keys that live on all shards."""
    tally = Tally("MSET, MGET, DEL over many slots")
    with steps.step(tally.phase, total=KEYS) as step:
        for start in range(0, KEYS, BATCH):
            keys = [b"tour:many:%d" % number for number in range(start, start + BATCH)]
            values = [_value(number) for number in range(start, start + BATCH)]
            for reply, expected in _many_slots_dialogue(client, tally, keys, values):
                tally.expect(reply, expected, f"{BATCH} keys at once")
            step.advance(BATCH)
    return tally


def pipeline(client: redis.Redis, steps: Steps) -> Tally:
    """Send a thousand commands before the first reply is read; order must hold."""
    tally = Tally(f"a pipeline of {BATCH:,}")
    lists = [b"tour:list:%d" % number for number in range(10)]
    with steps.step(tally.phase), client.pipeline(transaction=False) as batch:
        expected: list[object] = []
        for number in range(BATCH // 2):
            batch.rpush(lists[number % len(lists)], number)
            expected.append(number // len(lists) + 1)
            batch.get(_key(number))
            expected.append(_value(number))
        replies = tally.ask(lambda: batch.execute(raise_on_error=False), count=BATCH)
        if isinstance(replies, list):
            for place, (reply, right) in enumerate(zip(replies, expected, strict=True)):
                if isinstance(reply, redis.RedisError):
                    tally.errors += 1
                    tally.complain(str(reply))
                else:
                    tally.expect(reply, right, f"reply {place} of the pipeline")
        tally.expect(tally.ask(lambda: client.delete(*lists), is_write=True), len(lists), "DEL")
    return tally


def move_slots(connect: Connect, cluster: EmbeddedCluster, steps: Steps) -> Tally:
    """Move slots from the first shard to the second while clients go on."""
    source, target = cluster.primaries()[:2]
    slots = cluster.slots_of(source)[:SLOTS_TO_MOVE]
    phase = f"move {len(slots):,} slots under traffic"
    with steps.step(phase, total=len(slots)) as step, Traffic(connect, phase) as traffic:
        traffic.wait_for_rounds(WARM_UP_ROUNDS)
        keys = cluster.move_slots(slots, source, target, lambda done, _keys: step.reach(done))
        cluster.wait_until_agreed()
        traffic.wait_for_rounds(ROUNDS_AFTERWARDS)
        step.note(f"{keys:,} keys moved")
        return traffic.finish()


def kill_a_primary(connect: Connect, cluster: EmbeddedCluster, steps: Steps) -> Tally:
    """Kill a primary while clients go on; its replica takes over, and it comes back."""
    victim = cluster.primaries()[-1]
    phase = "kill -9 a primary under traffic"
    cluster.wait_until_in_sync()
    with steps.step(phase) as step, Traffic(connect, phase) as traffic:
        traffic.wait_for_rounds(WARM_UP_ROUNDS)
        victim.kill()
        traffic.note_crash()
        step.note(f"{victim.address} is dead")
        cluster.wait_until_agreed()
        step.note("its replica took over")
        traffic.wait_for_rounds(ROUNDS_AFTERWARDS)
        victim.restart()
        cluster.wait_until_agreed()
        traffic.wait_for_rounds(ROUNDS_AFTERWARDS)
        return traffic.finish()


def read_again(client: redis.Redis, steps: Steps) -> Tally:
    """GET every key of the first phase again, after all that happened."""
    tally = Tally(f"read the {KEYS:,} keys again")
    with steps.step(tally.phase, total=KEYS) as step:
        _read_all(client, tally, step.advance)
    return tally


def _read_all(client: redis.Redis, tally: Tally, advance: Callable[[], None]) -> None:
    for number in range(KEYS):
        reply = tally.ask(lambda n=number: client.get(_key(n)))  # type: ignore[misc]
        tally.expect(reply, _value(number), f"GET {_key(number)!r}")
        advance()


def _many_slots_dialogue(
    client: redis.Redis, tally: Tally, keys: list[bytes], values: list[bytes]
) -> Iterator[tuple[object, object]]:
    """Yield each reply with what it should be."""
    pairs = dict(zip(keys, values, strict=True))
    yield tally.ask(lambda: client.mset(pairs), is_write=True), True
    yield (
        tally.ask(lambda: client.mget([*keys, keys[0], b"tour:nothing"])),
        [*values, values[0], None],
    )
    yield tally.ask(lambda: client.exists(*keys, keys[0])), len(keys) + 1
    yield tally.ask(lambda: client.delete(*keys), is_write=True), len(keys)
    yield tally.ask(lambda: client.exists(*keys)), 0


def _key(number: int) -> bytes:
    return b"tour:key:%d" % number


def _value(number: int) -> bytes:
    return b"value %d" % number
