"""A replica that took over without a write must not be counted as one that has it (law 5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from differential.wire import RawConnection

from proxy.embedded import EmbeddedCluster, ProxyProcess, wait_for
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

FAULT_DEADLINE_S = 30.0


class Patient(RawConnection):
    """A client that waits longer than a failover takes."""

    timeout_s = FAULT_DEADLINE_S


def test_wait_confirms_nothing_that_went_with_a_primary(
    make_cluster: Callable[..., EmbeddedCluster], make_proxy: Callable[..., ProxyProcess]
) -> None:
    cluster = make_cluster(primaries=1, replicas=2)
    primary, successor, other = cluster.nodes
    proxy = make_proxy(cluster.addresses)
    with Patient(proxy.address) as client, Patient(proxy.address) as late:
        before = client.say(encode_command("WAIT", 2, 5000))
        for replica in (successor, other):
            replica.kill()
        assert client.say(encode_command("SET", "key", "lost")) == b"+OK\r\n"
        primary.kill()
        for replica in (successor, other):
            replica.start()
        # One primary of one is no majority: nobody votes, so it has to be told.
        successor.call("CLUSTER", "FAILOVER", "TAKEOVER")
        wait_for(lambda: successor in cluster.primaries(), FAULT_DEADLINE_S, "the successor")
        assert client.say(encode_command("GET", "key")) == b"$-1\r\n"
        cluster.wait_until_in_sync()

        told = client.say(encode_command("WAIT", 1, 5000))
        client.say(encode_command("SET", "key", "kept"))
        then = client.say(encode_command("WAIT", 1, 5000))
        never_asked = late.say(encode_command("WAIT", 1, 5000))
        with Patient(proxy.address) as fresh:
            of_a_fresh_client = fresh.say(encode_command("WAIT", 1, 5000))

    assert before == b":2\r\n"
    place = str(primary.address).encode()
    assert told.startswith(b"-IOERR a replica has taken the place of " + place)
    assert then == b":1\r\n"
    assert never_asked == told
    assert of_a_fresh_client == b":1\r\n"
