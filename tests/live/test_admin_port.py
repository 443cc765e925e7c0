"""The admin port of a real proxy: its answers, its health, and that it holds nothing up."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis
from admin_client import DEADLINE_S, TOKEN, Admin, administered
from prometheus_client.parser import text_string_to_metric_families
from slotway_command import slotway

from proxy.admin.server import MAX_CONNECTIONS
from proxy.embedded import EmbeddedCluster, lease_ports, wait_for

pytestmark = pytest.mark.live

QUICK_S = 8.0


@pytest.fixture(scope="module")
def admin(cluster: EmbeddedCluster) -> Iterator[Admin]:
    """A proxy with an admin port, for all tests that leave it as it is."""
    with administered(cluster.addresses) as running:
        yield running


# ---- answers ----------------------------------------------------------------------------------

ROUTES = {
    "/": "text/html",
    "/page/icon.svg": "image/svg+xml",
    "/livez": "application/json",
    "/readyz": "application/json",
    "/metrics": "text/plain",
    "/topology": "application/json",
    "/clients": "application/json",
    "/stats": "application/json",
    "/cluster-health": "application/json",
    "/slowlog": "application/json",
    "/hotkeys": "application/json",
    "/bigkeys": "application/json",
    "/events": "application/json",
    "/config": "application/json",
    "/explain?q=GET%20a": "application/json",
}


@pytest.mark.parametrize(("path", "kind"), ROUTES.items(), ids=ROUTES)
def test_every_route_answers(admin: Admin, path: str, kind: str) -> None:
    answer = admin.ask(path)

    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers


def test_the_views_show_what_is_there(admin: Admin, cluster: EmbeddedCluster) -> None:
    with redis.Redis(port=admin.proxy.port, client_name="marker") as client:
        client.set("a", 1)

        shards = admin.ask("/topology").json["shards"]
        rows = admin.ask("/clients").json["clients"]
        road = admin.ask("/explain?q=MGET%20a%20b").json["fate"]
        settings = {row["key"]: row["value"] for row in admin.ask("/config").json["settings"]}

    assert {shard["primary"]["address"] for shard in shards} == {
        str(node.address) for node in cluster.primaries()
    }
    assert "marker" in [row["name"] for row in rows]
    assert road == "split"
    assert settings["admin.port"] == str(admin.port)


def test_the_health_is_that_of_the_command_line(admin: Admin, cluster: EmbeddedCluster) -> None:
    def checked() -> dict[str, object] | None:
        found: dict[str, object] | None = admin.ask("/cluster-health").json["health"]
        return found

    found = wait_for(checked, DEADLINE_S, "a verdict")

    told = json.loads(slotway("health", "--json", "--seed", cluster.addresses[0]))
    assert found == told


def test_no_secret_is_in_any_answer(admin: Admin) -> None:
    answers = [admin.ask(path).body for path in ROUTES]

    assert [
        path for path, body in zip(ROUTES, answers, strict=True) if TOKEN.encode() in body
    ] == []


def test_a_scrape_counts_what_was_sent(admin: Admin) -> None:
    def figures() -> dict[str, float]:
        text = admin.ask("/metrics").body.decode()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(sample.labels.values())
                found[f"{sample.name} {labels}".strip()] = sample.value
        return found

    before = figures()
    with redis.Redis(port=admin.proxy.port) as client:
        for number in range(50):
            client.set(f"key:{number}", number)
        client.mget([f"key:{number}" for number in range(50)])
        with pytest.raises(redis.ResponseError):
            client.lpush("key:1", "x")
    after = figures()

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more("slotway_requests_total write,string") == 50
    assert more("slotway_request_duration_seconds_count string") == 51
    assert more("slotway_error_replies_total WRONGTYPE") == 1
    assert more("slotway_split_width_sum") > 3
    backend = [
        name
        for name in after
        if name.startswith("slotway_node_backend_duration") and "_count" in name
    ]
    assert sum(map(more, backend)) >= 50


def test_openmetrics_is_there_for_who_asks(admin: Admin) -> None:
    answer = admin.ask(
        "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")


def test_other_names_than_this_machine_s_are_refused(admin: Admin) -> None:
    answer = admin.ask("/clients", headers={"Host": "rebound.example"})

    assert answer.status == 421


def test_nothing_changes_without_the_token(admin: Admin) -> None:
    for path in ("/drain", "/reload", "/log-level?level=debug"):
        assert admin.ask(path, "POST").status == 401

    assert admin.is_ready()


def test_the_log_level_changes_at_once(admin: Admin) -> None:
    assert admin.order("/log-level?level=debug").json == {"level": "debug"}
    assert admin.order("/log-level?level=loud").status == 400
    assert admin.order("/log-level?level=info").json == {"level": "info"}


# ---- health -----------------------------------------------------------------------------------


def test_it_is_not_ready_while_a_shard_is_gone_and_ready_again_after(
    make_cluster: Callable[..., EmbeddedCluster],
) -> None:
    broken = make_cluster(replicas=0)
    key = b"key"
    lost = broken.primary_for(key)
    with administered(broken.addresses) as admin, socket.socket() as client:
        wait_for(admin.is_ready, DEADLINE_S, "readiness")
        client.connect(("127.0.0.1", admin.proxy.port))

        lost.kill()
        client.sendall(b"GET %b\r\n" % key)  # somebody needs the shard
        wait_for(lambda: not admin.is_ready(), DEADLINE_S, "the loss to show")
        during = admin.ask("/readyz").json
        alive = admin.ask("/livez").status
        lost.restart()
        wait_for(admin.is_ready, DEADLINE_S, "readiness again")

    assert during["missing"]
    assert alive == 200


def test_before_a_cluster_is_found_it_lives_and_says_what_is_missing() -> None:
    with lease_ports(3) as nobody, ExitStack() as stack:
        seed, listen, port = nobody.ports
        command = [sys.executable, "-m", "proxy", "serve", "-s", f"127.0.0.1:{seed}"]
        command += ["--listen", f"127.0.0.1:{listen}", "--set", f"admin.port={port}"]
        process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        stack.callback(process.kill)

        wait_for(lambda: _answers(port), DEADLINE_S, "an answer")
        found = health("--set", f"admin.port={port}")
        process.send_signal(signal.SIGTERM)
        code = process.wait(DEADLINE_S)

    assert found.returncode == 1
    assert "no node has told the cluster's map" in found.stderr
    assert code == 0


def _answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def health(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", "health", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, **variables},
    )


def test_health_asks_the_proxy_with_the_same_settings(admin: Admin) -> None:
    by_variable = health(SLOTWAY_ADMIN__PORT=str(admin.port))
    by_flag = health("--set", f"admin.port={admin.port}")
    with lease_ports(1) as nobody:
        alone = health("--set", f"admin.port={nobody.ports[0]}")
    disabled = health(SLOTWAY_ADMIN__ENABLED="false")
    elsewhere = health("--set", f"admin.port={admin.proxy.port}")

    assert (by_variable.returncode, by_variable.stdout) == (0, "ready\n")
    assert by_flag.returncode == 0
    assert alone.returncode == 1
    assert "no answer" in alone.stderr
    assert disabled.returncode == 2
    assert elsewhere.returncode == 1
    assert "is not the admin port" in elsewhere.stderr


# ---- the start --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.1", "no-such-host.invalid"])
def test_an_admin_port_that_cannot_be_had_is_named(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, lease_ports(1) as free:
        port = taken.getsockname()[1]
        refused = subprocess.run(
            [
                *(sys.executable, "-m", "proxy", "serve"),
                *("--listen", f"127.0.0.1:{free.ports[0]}"),
                *("--set", f"admin.address={address}", "--set", f"admin.port={port}"),
            ],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    assert refused.returncode == 2
    assert "admin.port" in refused.stderr
    assert address in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_start_line_names_the_port_that_the_kernel_chose(cluster: EmbeddedCluster) -> None:
    with administered(cluster.addresses, {"admin.port": "0"}) as admin:
        # A thread writes the log, so the line may come after the proxy's first answer.
        named = wait_for(
            lambda: re.search(r"admin=127\.0\.0\.1:(\d+)", admin.proxy.log.read_text()),
            DEADLINE_S,
            "the start line",
        )

        assert Admin(admin.proxy, int(named[1])).is_ready()


# ---- nothing is held up -----------------------------------------------------------------------


def test_who_does_not_read_or_speak_holds_up_nobody(cluster: EmbeddedCluster) -> None:
    """As many connections as are allowed, silent or not reading; then the end."""
    with administered(cluster.addresses) as admin, ExitStack() as stack:
        for number in range(MAX_CONNECTIONS + 20):
            lazy = stack.enter_context(socket.socket())
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(("127.0.0.1", admin.port))
            if number % 3 == 1:
                lazy.sendall(b"GET /metr")
            elif number % 3 == 2:
                lazy.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
        with redis.Redis(port=admin.proxy.port) as client:
            client.set("a", 1)
            assert client.get("a") == b"1"
        started = time.monotonic()

        code = admin.proxy.stop()

        assert time.monotonic() - started < QUICK_S
    assert code == 0


NONSENSE = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "RESP": b"*1\r\n$4\r\nPING\r\n",
    "a head without end": b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000,
    "a line without end": b"GET /" + b"a" * 1_000_000,
    "a body that nobody wants": b"POST /drain HTTP/1.1\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 0x10000 + b"\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 1000,
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_ends_its_own_connection_only(admin: Admin, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", admin.port), DEADLINE_S) as stranger:
        try:
            stranger.sendall(data)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(65536):
                pass
        except OSError:
            pass  # it has closed the connection while we were sending

    assert admin.is_ready()
    assert admin.proxy.tracebacks() == ""


def test_more_requests_than_connections_are_all_answered(admin: Admin) -> None:
    for _ in range(2 * MAX_CONNECTIONS):
        assert admin.ask("/livez").status == 200
