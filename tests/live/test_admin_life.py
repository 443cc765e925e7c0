"""A real proxy is given other settings, while clients work with it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from admin_client import DEADLINE_S, Admin, administered

from proxy.embedded import EmbeddedCluster, NodeConnection, ProxyProcess, wait_for

pytestmark = pytest.mark.live


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
