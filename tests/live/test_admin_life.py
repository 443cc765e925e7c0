"""A real proxy is drained and given other settings, while clients work with it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from admin_client import DEADLINE_S, Admin, administered

from proxy.cluster.addresses import Address
from proxy.embedded import EmbeddedCluster, NodeConnection, ProxyProcess, wait_for

pytestmark = pytest.mark.live

QUICK_S = 3.0


# ---- the end ----------------------------------------------------------------------------------


class Counter(threading.Thread):
    """A client that counts up, and goes to another proxy when this one sends it away."""

    def __init__(self, key: str, addresses: list[Address], is_over: threading.Event) -> None:
        super().__init__()
        self.acknowledged = 0
        self.sent_away = 0
        self.problem = ""
        self._request = f"INCR {key}\r\n".encode()
        self._addresses = addresses
        self._is_over = is_over

    def run(self) -> None:
        for address in self._addresses:
            with socket.create_connection((address.host, address.port), DEADLINE_S) as stream:
                if not self._count(stream):
                    return
            self.sent_away += 1

    def _count(self, stream: socket.socket) -> bool:
        """Count until the end; return whether the proxy has ended the connection before."""
        while not self._is_over.is_set():
            reply = b""
            try:
                stream.sendall(self._request)
                while not reply.endswith(b"\r\n"):
                    data = stream.recv(100)
                    if not data:
                        break
                    reply += data
            except ConnectionError:
                pass
            if not reply:
                return True
            if not (reply.startswith(b":") and reply.endswith(b"\r\n")):
                self.problem = repr(reply)
                return False
            self.acknowledged += 1
        return False


def test_a_drain_under_traffic_loses_no_request_and_repeats_none(
    cluster: EmbeddedCluster,
) -> None:
    """Whoever is sent away without a reply may ask elsewhere: the request has not run."""
    with administered(cluster.addresses) as admin, ProxyProcess(cluster.addresses) as next_one:
        is_over = threading.Event()
        places = [admin.proxy.address, next_one.address]
        counters = [Counter(f"count:{number}", places, is_over) for number in range(12)]
        for counter in counters:
            counter.start()
        wait_for(lambda: all(c.acknowledged > 20 for c in counters), DEADLINE_S, "traffic")

        answer = admin.order("/drain")
        code = admin.proxy.wait()
        wait_for(lambda: all(c.sent_away for c in counters), DEADLINE_S, "all to go elsewhere")
        is_over.set()
        for counter in counters:
            counter.join()
        with redis.Redis(port=next_one.port) as client:
            counted = [int(client.get(f"count:{number}") or 0) for number in range(12)]

    assert (answer.status, answer.json["draining"]) == (202, True)
    assert code == 0
    assert [counter.problem for counter in counters] == [""] * 12
    assert counted == [counter.acknowledged for counter in counters]


def test_who_is_in_a_transaction_may_bring_it_to_an_end(cluster: EmbeddedCluster) -> None:
    with (
        administered(cluster.addresses, {"listen.drain_linger_s": "15"}) as admin,
        ExitStack() as stack,
    ):
        idle = stack.enter_context(NodeConnection(admin.proxy.address))
        busy = stack.enter_context(NodeConnection(admin.proxy.address))
        assert idle.call("PING") == b"PONG"
        assert busy.call("MULTI") == b"OK"
        assert busy.call("SET", "a", "1") == b"QUEUED"
        started = time.monotonic()

        os.kill(admin.proxy.pid, signal.SIGTERM)
        wait_for(lambda: "draining" in _missing(admin), DEADLINE_S, "the drain")
        assert busy.call("SET", "{a}b", "2") == b"QUEUED"
        assert busy.call("EXEC") == [b"OK", b"OK"]
        code = admin.proxy.wait()

    assert code == 0
    assert time.monotonic() - started < 15
    assert cluster.primary_for(b"a").call("GET", "a") == b"1"


def _missing(admin: Admin) -> str:
    return " ".join(admin.ask("/readyz").json["missing"])


def test_who_lingers_too_long_is_sent_away(cluster: EmbeddedCluster) -> None:
    with (
        administered(cluster.addresses, {"listen.drain_linger_s": "0.3"}) as admin,
        ExitStack() as stack,
    ):
        stack.enter_context(NodeConnection(admin.proxy.address)).call("MULTI")
        started = time.monotonic()

        code = admin.proxy.stop()

        assert code == 0
        assert 0.3 <= time.monotonic() - started < QUICK_S


def test_it_serves_on_for_a_while_if_it_is_told_to(cluster: EmbeddedCluster) -> None:
    """As Kubernetes wants it: not ready first, and gone when nobody comes any more."""
    with administered(cluster.addresses, {"listen.drain_delay_s": "2"}) as admin:
        started = time.monotonic()
        answer = admin.order("/drain")
        readiness = admin.ask("/readyz")
        with NodeConnection(admin.proxy.address) as late:
            assert late.call("SET", "a", "1") == b"OK"

        code = admin.proxy.wait()

        assert answer.json["within_s"] == 12
        assert readiness.status == 503
        assert "the proxy is draining" in readiness.json["missing"]
        assert code == 0
        assert 2 <= time.monotonic() - started < 2 + QUICK_S


def test_a_second_signal_does_not_wait(cluster: EmbeddedCluster) -> None:
    with administered(cluster.addresses, {"listen.drain_delay_s": "60"}) as admin:
        os.kill(admin.proxy.pid, signal.SIGTERM)
        wait_for(lambda: "draining" in _missing(admin), DEADLINE_S, "the drain")
        started = time.monotonic()

        os.kill(admin.proxy.pid, signal.SIGTERM)

        assert admin.proxy.wait() == 0
        assert time.monotonic() - started < QUICK_S


# ---- other settings ---------------------------------------------------------------------------


class Configured:
    """A proxy with a file of settings."""

    def __init__(self, admin: Admin, path: Path) -> None:
        self.admin = admin
        self.path = path

    def hang_up(self) -> str:
        """Send SIGHUP and return the line that says what became of it."""
        mark = self.admin.proxy.log_size()
        os.kill(self.admin.proxy.pid, signal.SIGHUP)

        def said() -> list[str]:
            news = self.admin.proxy.log.read_bytes()[mark:].decode()
            return [line for line in news.splitlines() if "reloaded" in line]

        return wait_for(said, DEADLINE_S, "a line about the reload")[0]


def test_settings_are_read_again_at_a_signal_and_by_order(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text("")
    arguments = ["--config", str(path)]
    with administered(cluster.addresses, arguments=arguments) as admin:
        configured = Configured(admin, path)
        with redis.Redis(port=admin.proxy.port) as early:
            early.set("a", 1)

            path.write_text('[clients.users]\nada = "lovelace"\n[limits]\nlane_limit = 3\n')
            first = configured.hang_up()
            stranger = redis.Redis(port=admin.proxy.port)
            with stranger, pytest.raises(redis.AuthenticationError):
                stranger.get("a")
            with redis.Redis(port=admin.proxy.port, username="ada", password="lovelace") as ada:
                assert ada.get("a") == b"1"
            assert early.get("a") == b"1"  # as at a server, who is in stays in

            path.write_text("[clients]\nuser = 1\n")
            wrong = configured.hang_up()
            refused = admin.order("/reload")
            path.write_text('[listen]\nbacklog = 7\n[log]\nlevel = "warning"\n')
            last = admin.order("/reload").json
            with redis.Redis(port=admin.proxy.port) as welcome:
                assert welcome.get("a") == b"1"

    assert "clients.users" in first
    assert "limits.lane_limit" in first
    assert "not reloaded" in wrong
    assert "clients.user" in wrong
    assert refused.status == 400
    assert "does not exist" in refused.json["error"]
    assert last["needs_restart"] == ["listen.backlog"]
    assert set(last["changed"]) == {"clients.users", "limits.lane_limit", "log.level"}


def test_a_new_token_is_the_one_that_counts(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("first\n")
    settings = {"admin.token": "", "admin.token_file": str(secret)}
    with administered(cluster.addresses, settings) as admin:

        def reload_with(token: str) -> int:
            return admin.ask("/reload", "POST", {"Authorization": f"Bearer {token}"}).status

        first = reload_with("first")
        secret.write_text("second\n")
        turned = [reload_with("second"), reload_with("first"), reload_with("second")]
        again = reload_with("first")

    assert first == 200
    assert turned == [401, 200, 200]
    assert again == 401


def test_changed_files_are_taken_without_a_signal(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    """The settings, and a password that is mounted as Kubernetes does it."""
    for name, word in (("one", "first"), ("two", "second")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "password").write_text(word)
    (tmp_path / "..data").symlink_to("one")
    path = tmp_path / "proxy.toml"
    settings = f'[clients]\npassword_file = "{tmp_path}/..data/password"\n'
    path.write_text(settings)
    with administered(
        cluster.addresses, {"reload.watch_s": "0.05"}, ["--config", str(path)]
    ) as admin:

        def lets_in(password: str) -> bool:
            with redis.Redis(port=admin.proxy.port, password=password) as client:
                try:
                    return client.ping()
                except redis.AuthenticationError:
                    return False

        def said(words: str) -> bool:
            return words in admin.proxy.log.read_text()

        assert lets_in("first")
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").replace(tmp_path / "..data")
        wait_for(lambda: lets_in("second"), DEADLINE_S, "the new password")
        path.write_text(settings + "[limits]\nlane_limit = 0\n")
        wait_for(lambda: said("settings not reloaded"), DEADLINE_S, "a refusal")
        is_unharmed = lets_in("second")
        path.write_text(settings + "[listen]\nmax_clients = 77\nbacklog = 7\n")
        wait_for(lambda: said("needs_restart=listen.backlog"), DEADLINE_S, "the last settings")
        with redis.Redis(port=admin.proxy.port, password="second") as client:
            limit = client.info("clients")["maxclients"]
        is_old_one_known = lets_in("first")

    assert is_unharmed
    assert limit == 77
    assert not is_old_one_known


def test_other_seeds_are_asked_when_the_old_ones_are_gone(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    """A proxy that never found its cluster finds it with new seeds, without a restart."""
    path = tmp_path / "proxy.toml"
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        path.write_text(f'[cluster]\nseeds = ["127.0.0.1:{nobody.getsockname()[1]}"]\n')
    with ExitStack() as stack:
        process = ProxyProcess(
            (), settings={"reload.watch_s": "0"}, arguments=["--config", str(path)]
        )
        starting = threading.Thread(target=lambda: stack.enter_context(process))
        starting.start()
        wait_for(lambda: process.log_size() > 0, DEADLINE_S, "a line in the log")

        seeds = ", ".join(f'"{address}"' for address in cluster.addresses)
        path.write_text(f"[cluster]\nseeds = [{seeds}]\n")
        os.kill(process.pid, signal.SIGHUP)
        starting.join(DEADLINE_S)

        with NodeConnection(process.address) as client:
            assert client.call("SET", "a", "1") == b"OK"
