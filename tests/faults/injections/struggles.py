"""A server that lives and does not serve: it is busy, it loads, its memory is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trial import FAULT_DEADLINE_S, Scene
from workload.values import keys_in

from proxy.embedded import NodeConnection, RedisNode, ServerRefused, wait_for

BUSY_S = 1.5
LOADED_KEYS = 2000
LOAD_DELAY_US = 500  # a key


@contextmanager
def busy(scene: Scene) -> Iterator[None]:
    """Have a primary run one slow command, behind which all others wait."""
    with NodeConnection(scene.victim.address, timeout_s=FAULT_DEADLINE_S) as connection:
        command = ("DEBUG", "SLEEP", str(BUSY_S))
        connection.send([command])
        yield
        connection.receive([command])
    scene.heal()


@contextmanager
def loading(scene: Scene) -> Iterator[None]:
    """Have a primary load its data again, and say LOADING to all who ask meanwhile."""
    keys = keys_in(scene.cluster.slots_of(scene.victim), "ballast")
    with scene.victim.connect() as connection:
        connection.call_many([("SET", next(keys), "x") for _ in range(LOADED_KEYS)])
        connection.call("CONFIG", "SET", "loading-process-events-interval-bytes", 1024)
        connection.call("CONFIG", "SET", "key-load-delay", LOAD_DELAY_US)
    # Over by then or not, the primary has been loading: what it is asked meanwhile it refuses.
    with NodeConnection(scene.victim.address, timeout_s=FAULT_DEADLINE_S) as connection:
        connection.send([("DEBUG", "RELOAD")])
        wait_for(lambda: _is_loading(scene.victim), FAULT_DEADLINE_S, "LOADING")
        wait_for(lambda: not _is_loading(scene.victim), FAULT_DEADLINE_S, "the end of LOADING")
    yield
    scene.victim.call("CONFIG", "SET", "key-load-delay", 0)
    scene.heal()


def _is_loading(node: RedisNode) -> bool:
    try:
        node.call("PING")
    except ServerRefused:
        return True
    return False


@contextmanager
def out_of_memory(scene: Scene) -> Iterator[None]:
    """Take a primary's memory away: it refuses what would need more."""
    scene.victim.call("CONFIG", "SET", "maxmemory", 1)
    yield
    scene.victim.call("CONFIG", "SET", "maxmemory", 0)
    scene.heal()
