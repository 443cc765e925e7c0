"""The door: headers of whoever passes connections on, rates, logins that do not come."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping

import pytest
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, serve, until

from proxy.config import Listen
from proxy.resp import replies_door
from proxy.resp.encode import encode_command

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 55555 6379\r\n"
V2 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
    + socket.inet_aton("192.0.2.7")
    + socket.inet_aton("198.51.100.1")
    + b"\xd9\x03\x18\xeb"
)
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
INFO = encode_command("CLIENT", "INFO")
BEHIND_A_PROXY = {
    "proxy_protocol": "required",
    "proxy_protocol_from": ("127.0.0.0/8",),
    # 192.0.2.7 is not this machine.
    "protected_mode": False,
}


def limits_of(served: Served) -> Mapping[str, int]:
    return {name: hits for name, hits in served.engine.meter.limits.items() if hits}


# ---- headers -------------------------------------------------------------------------


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
async def test_a_client_has_the_address_that_its_header_tells(
    cluster: FakeCluster, header: bytes
) -> None:
    key = cluster.key_of(cluster.nodes[0])
    async with serve(cluster, listen=BEHIND_A_PROXY) as served:
        client = await served.connect()

        await client.send(header, encode_command("SET", key, "v"), INFO, b"PING\r\n")

        await client.expect(b"+OK\r\n")
        line = await client.read_reply()
        assert b" addr=192.0.2.7:55555 laddr=198.51.100.1:6379 " in line
        await client.expect(b"+PONG\r\n")
        assert (
            await client.call("CLIENT", "KILL", "ADDR", "192.0.2.7:55555", "SKIPME", "no")
            == b":1\r\n"
        )
        await client.expect_end()


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
async def test_a_header_may_come_byte_by_byte(cluster: FakeCluster, header: bytes) -> None:
    async with serve(cluster, listen=BEHIND_A_PROXY) as served:
        client = await served.connect()

        for place in range(len(header)):
            ticks = served.engine.ticks
            await client.send(header[place : place + 1])
            await until(lambda ticks=ticks: served.engine.ticks > ticks)
            assert not served.engine.clients or place == len(header) - 1
        await client.send(INFO)

        assert b" addr=192.0.2.7:55555 " in await client.read_reply()


async def test_half_a_header_keeps_nobody_busy(cluster: FakeCluster) -> None:
    async with serve(cluster, listen=BEHIND_A_PROXY) as served:
        client = await served.connect()
        await client.send(V1[:20])
        await all_is_quiet()
        ticks = served.engine.ticks

        await all_is_quiet()

        # Sweeps, ten a second, and not a tick for every look at the same bytes.
        assert served.engine.ticks - ticks < 10
        await client.send(V1[20:], b"PING\r\n")
        await client.expect(b"+PONG\r\n")


async def test_a_header_without_addresses_leaves_those_of_the_connection(
    cluster: FakeCluster,
) -> None:
    async with serve(cluster, listen=BEHIND_A_PROXY) as served:
        for header in (LOCAL, b"PROXY UNKNOWN\r\n"):
            client = await served.connect()
            await client.send(header, INFO)
            assert b" addr=127.0.0.1:" in await client.read_reply()


@pytest.mark.parametrize(
    ("first", "problem"),
    [
        (b"*1\r\n$4\r\nPING\r\n", "it begins with something else"),
        (V1.replace(b"192.0.2.7", b"192.0.2.777"), "an address that is none of TCP4"),
        (V2[:13] + b"\x12" + V2[14:], "family and transport 0x12"),
    ],
    ids=["none", "v1", "v2"],
)
async def test_what_is_no_header_is_refused_with_the_reason(
    cluster: FakeCluster, first: bytes, problem: str
) -> None:
    async with serve(cluster, listen=BEHIND_A_PROXY) as served:
        client = await served.connect()

        await client.send(first, b"PING\r\n" * 100)

        await client.expect(replies_door.no_header(problem))
        await client.expect_end()
        assert limits_of(served) == {"proxy_protocol": 1}
        assert served.engine.accepted == 0


async def test_a_header_is_believed_from_nobody_who_is_not_named(cluster: FakeCluster) -> None:
    listen = {**BEHIND_A_PROXY, "proxy_protocol_from": ("10.0.0.0/8", "unix")}
    async with serve(cluster, listen=listen) as served:
        client = await served.connect()

        await client.send(V1, b"PING\r\n")

        await client.expect(replies_door.header_not_believed())
        await client.expect_end()
        assert limits_of(served) == {"proxy_protocol": 1}


async def test_a_header_that_does_not_come_is_not_waited_for(cluster: FakeCluster) -> None:
    listen = {**BEHIND_A_PROXY, "proxy_protocol_timeout_s": 0.2}
    async with serve(cluster, listen=listen) as served:
        silent, slow, quick = [await served.connect() for _ in range(3)]
        await slow.send(V1[:-1])
        await quick.send(V1)

        await silent.expect_end()
        await slow.expect_end()

        assert await quick.call("PING") == b"+PONG\r\n"
        assert limits_of(served) == {"proxy_protocol_timeout_s": 2}


@pytest.mark.parametrize("begun", [b"", V1[:20]], ids=["nothing", "half a header"])
async def test_who_leaves_before_the_header_is_whole_leaves_nothing(
    cluster: FakeCluster, begun: bytes
) -> None:
    async with serve(cluster, listen={**BEHIND_A_PROXY, "max_clients": 1}) as served:
        for vanishes in (False, True):
            client = await served.connect()
            await client.send(begun)
            await all_is_quiet()
            if vanishes:
                client.vanish()
            else:
                await client.close()
            await all_is_quiet()
            other = await served.connect()
            await other.send(V1, b"PING\r\n")
            # It has the one place there is.
            await other.expect(b"+PONG\r\n")
            await other.close()
            await until(lambda: not served.engine.clients)


async def test_headers_that_have_not_come_take_places(cluster: FakeCluster) -> None:
    async with serve(cluster, listen={**BEHIND_A_PROXY, "max_clients": 2}) as served:
        for _ in range(2):
            await served.connect()
        await all_is_quiet()

        third = await served.connect()

        await third.expect(b"-ERR max number of clients reached\r\n")


async def test_protected_mode_goes_by_what_the_header_tells(cluster: FakeCluster) -> None:
    async with serve(cluster, listen={**BEHIND_A_PROXY, "protected_mode": True}) as served:
        remote, local = await served.connect(), await served.connect()

        await remote.send(V1, b"PING\r\n")
        await local.send(LOCAL, b"PING\r\n")

        await remote.expect(replies_door.protected_mode())
        await remote.expect_end()
        await local.expect(b"+PONG\r\n")
        assert limits_of(served) == {"protected_mode": 1}


@pytest.mark.parametrize(
    "clients", [{"password": "secret"}, {"users": {"ada": "secret"}}], ids=["password", "users"]
)
async def test_with_a_password_everybody_may_come(
    cluster: FakeCluster, clients: Mapping[str, object]
) -> None:
    listen = {**BEHIND_A_PROXY, "protected_mode": True}
    async with serve(cluster, listen=listen, clients=clients) as served:
        client = await served.connect()

        await client.send(V1, b"PING\r\n")

        await client.expect(b"-NOAUTH Authentication required.\r\n")


# ---- rates ---------------------------------------------------------------------------


async def test_one_connection_a_second_too_many_is_refused(cluster: FakeCluster) -> None:
    async with serve(cluster, listen={"connections_per_s": 2}) as served:
        now_s = time.monotonic()
        served.proxy.plane.entrance.clock = lambda: now_s
        for _ in range(2):
            assert await (await served.connect()).call("PING") == b"+PONG\r\n"

        refused = await served.connect()
        await refused.send(b"PING\r\n" * 1000)

        await refused.expect(replies_door.too_many_connections("listen.connections_per_s", 2))
        await refused.expect_end()
        assert limits_of(served) == {"connections_per_s": 1}
        served.proxy.plane.entrance.clock = lambda: now_s + 0.5
        assert await (await served.connect()).call("PING") == b"+PONG\r\n"


async def test_connections_a_second_are_counted_by_their_real_address(
    cluster: FakeCluster,
) -> None:
    listen = {**BEHIND_A_PROXY, "connections_per_s_per_address": 1}
    async with serve(cluster, listen=listen) as served:
        for last in (b"7", b"8", b"9"):
            client = await served.connect()
            await client.send(V1.replace(b"192.0.2.7", b"192.0.2." + last), b"PING\r\n")
            await client.expect(b"+PONG\r\n")

    assert not limits_of(served)


# ---- logins --------------------------------------------------------------------------


async def test_who_does_not_log_in_is_closed_and_who_has_stays(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(cluster, clients={"password": "secret", "login_timeout_s": 0.3}) as served:
        one, two = await served.connect(), await served.connect()
        assert await one.call("AUTH", "secret") == b"+OK\r\n"
        assert await two.call("PING") == b"-NOAUTH Authentication required.\r\n"

        await two.expect_end()

        closed = capsys.readouterr().out
        assert re.search(r"client closed .*address=127\.0\.0\.1:\d+ .*login_timeout_s", closed)
        assert await one.call("PING") == b"+PONG\r\n"
        assert limits_of(served) == {"login_timeout_s": 1}
        # It has logged out, and its time begins then.
        assert await one.call("RESET") == b"+RESET\r\n"
        assert await one.call("AUTH", "secret") == b"+OK\r\n"


async def test_where_nobody_logs_in_nobody_has_to(cluster: FakeCluster) -> None:
    async with serve(cluster, clients={"login_timeout_s": 0.1, "idle_timeout_s": 0.4}) as served:
        client = await served.connect()

        await client.expect_end()

        assert limits_of(served) == {"idle_timeout_s": 1}


async def test_without_a_time_a_login_may_take_for_ever(cluster: FakeCluster) -> None:
    clients = {"password": "secret", "login_timeout_s": 0.0, "idle_timeout_s": 0.4}
    async with serve(cluster, clients=clients) as served:
        client = await served.connect()

        await client.expect_end()

        assert limits_of(served) == {"idle_timeout_s": 1}


async def test_a_drain_lets_nobody_in_whose_header_comes_late(cluster: FakeCluster) -> None:
    async with serve(cluster, listen=BEHIND_A_PROXY) as served:
        client = await served.connect()
        await client.send(V1[:20])
        await all_is_quiet()
        await served.proxy.drain()

        await client.send(V1[20:], b"PING\r\n")

        await client.expect_end()


# ---- protected mode ------------------------------------------------------------------


def own_address() -> str:
    """Return an address of this machine that other machines use; skip where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return asking.getsockname()[0]


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
async def test_protected_mode_refuses_other_machines(cluster: FakeCluster, is_on: bool) -> None:
    listen = {"address": "0.0.0.0", "protected_mode": is_on}
    async with serve(cluster, listen=listen) as served:
        local = await served.connect()
        remote = await served.connect(host=own_address())
        await remote.send(b"PING\r\n")

        assert await local.call("PING") == b"+PONG\r\n"
        await remote.expect(replies_door.protected_mode() if is_on else b"+PONG\r\n")
        if is_on:
            await remote.expect_end()


# ---- clients that say nothing ----------------------------------------------------------


async def test_who_says_something_in_time_is_not_idle(cluster: FakeCluster) -> None:
    async with serve(cluster, clients={"idle_timeout_s": 0.5}) as served:
        talker, silent = await served.connect(), await served.connect()
        for client in (talker, silent):
            assert await client.call("PING") == b"+PONG\r\n"

        while len(served.engine.clients) == 2:
            assert await talker.call("PING") == b"+PONG\r\n"

        await silent.expect_end()
        assert await talker.call("PING") == b"+PONG\r\n"
        assert limits_of(served) == {"idle_timeout_s": 1}


@pytest.mark.parametrize("seconds", [0, 1, 300, 32767])
async def test_the_kernel_is_asked_to_look_after_silent_clients(
    cluster: FakeCluster, seconds: int
) -> None:
    async with serve(cluster, listen={"tcp_keepalive_s": seconds}) as served:
        await (await served.connect()).call("PING")
        (client,) = served.engine.clients.values()

        with socket.socket(fileno=os.dup(client.fd_number)) as ours:
            is_on = ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle_s = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)

        assert bool(is_on) == (seconds > 0)
        assert not seconds or idle_s == seconds


@pytest.mark.parametrize("seconds", [-1, 32768])
def test_the_kernel_knows_no_other_times(seconds: int) -> None:
    with pytest.raises(ValueError, match="tcp_keepalive_s"):
        Listen.model_validate({"tcp_keepalive_s": seconds})
