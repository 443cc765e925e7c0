"""An application whose keys are all pinned loses the primary of its one slot, and goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from proxy.embedded import EmbeddedCluster, ProxyProcess

pytestmark = pytest.mark.live

TAKE = (
    "local job = redis.call('LMOVE', ARGV[1] .. 'wait', ARGV[1] .. 'active', 'LEFT', 'RIGHT')"
    " if job then redis.call('HINCRBY', ARGV[1] .. job, 'tries', 1) end"
    " return {KEYS[1], job}"
)
JOBS = 300
KILLED_AFTER = 100


def test_scripts_pops_and_transactions_go_on_at_the_new_primary(
    private_cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> None:
    proxy = make_proxy(private_cluster.addresses, settings={"pin": "q:=q"})
    with redis.Redis(port=proxy.port, decode_responses=True, socket_timeout=30) as client:
        take = client.register_script(TAKE)
        client.rpush("q:wait", *range(JOBS))
        client.wait(1, 5000)
        taken, popped = [], []

        for number in range(JOBS):
            if number == KILLED_AFTER:
                client.wait(1, 5000)
                private_cluster.primary_for(b"q").kill()
                # A read waits for the new primary; a write that may have run is not repeated.
                assert client.lrange("q:wait", 0, -1) == [str(n) for n in range(number, JOBS)]
            taken.append(take(keys=["q:wait"], args=["q:"]))
            if number % 10 == 0:
                popped.append(client.lmpop(2, "q:none", "q:active", direction="LEFT"))
                with client.pipeline() as pipe:
                    pipe.llen("q:active").keys("q:[aw]*").xadd("q:log", {"n": number})
                    length, names, _ = pipe.execute()
                assert length == len(taken) - len(popped)
                assert set(names) <= {"q:wait", "q:active"}

    assert taken == [["q:wait", str(number)] for number in range(JOBS)]
    assert popped == [["q:active", [str(number)]] for number in range(len(popped))]
