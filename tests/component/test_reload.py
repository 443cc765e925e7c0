"""Other settings for a proxy that runs: what takes effect, what waits, and all or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path

import pytest
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, running, until

from proxy.app import Proxy
from proxy.config import Settings
from proxy.errors import ConfigError
from proxy.sources import Sources


class Written:
    """A proxy whose settings stand in a file."""

    def __init__(self, served: Served, path: Path, seeds: str) -> None:
        self.served = served
        self.proxy = served.proxy
        self._path = path
        self._seeds = seeds

    def write(self, text: str) -> None:
        """Write other settings; nobody reads them yet."""
        self._path.write_text(text_of(self._seeds, text), "utf-8")

    async def connect(self) -> RawClient:
        return await self.served.connect()


def text_of(seeds: str, text: str) -> str:
    head = f"[cluster]\nseeds = [{seeds}]\nrefresh_min_interval_s = 0.03\n[listen]\nport = 0\n"
    return head + text


@pytest.fixture
def make_written(
    tmp_path: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Sources]:
    monkeypatch.setenv("SLOTWAY_ADMIN__PORT", "0")  # each proxy has one of its own

    def write(text: str) -> Sources:
        path = tmp_path / "proxy.toml"
        path.write_text(text_of(seeds_of(cluster), text), "utf-8")
        return Sources(path)

    return write


def seeds_of(cluster: FakeCluster) -> str:
    return ", ".join(f'"{node.address}"' for node in cluster.nodes)


@pytest.fixture
async def written(
    make_written: Callable[[str], Sources], cluster: FakeCluster
) -> AsyncIterator[Written]:
    sources = make_written("")
    assert sources.file is not None
    async with running(Proxy(sources.read(), sources)) as served:
        yield Written(served, sources.file, seeds_of(cluster))


# ---- what takes effect ---------------------------------------------------------------------


async def test_what_is_changed_is_in_force_and_told(written: Written) -> None:
    written.write("max_clients = 7\n[limits]\nlane_limit = 5\nscript_memory_bytes = 9\n")

    done = written.proxy.reload()

    proxy = written.proxy
    assert done.changed == (
        "listen.max_clients",
        "limits.lane_limit",
        "limits.script_memory_bytes",
    )
    assert done.needs_restart == ()
    assert (proxy.engine.max_clients, proxy.pools.lane_limit, proxy.scripts.limit_bytes) == (
        7,
        5,
        9,
    )
    assert proxy.settings.listen.max_clients == 7


async def test_nothing_new_changes_nothing(written: Written) -> None:
    done = written.proxy.reload()

    assert done.changed == done.needs_restart == ()


async def test_a_client_over_a_new_limit_is_turned_away_and_nobody_else(written: Written) -> None:
    first, second = await written.connect(), await written.connect()
    await until(lambda: len(written.proxy.engine.clients) == 2)
    written.write("max_clients = 2\n")

    written.proxy.reload()

    third = await written.connect()
    await third.expect(b"-ERR max number of clients reached\r\n")
    assert await first.call("PING") == await second.call("PING") == b"+PONG\r\n"


async def test_a_command_that_is_denied_from_now_on(written: Written) -> None:
    client = await written.connect()
    assert (await client.call("ECHO", "a")) == b"$1\r\na\r\n"
    written.write('[commands]\ndeny = ["default", "echo"]\n')

    written.proxy.reload()
    table = written.proxy.engine.command_table
    await until(lambda: written.proxy.engine.command_table is not table)

    assert (await client.call("ECHO", "a")).startswith(b"-NOPERM")


async def test_users_are_replaced_and_those_that_are_gone_sent_away(written: Written) -> None:
    written.write('[clients.users]\nada = "a"\nbob = "b"\n')
    written.proxy.reload()
    ada, bob = await written.connect(), await written.connect()
    assert await ada.call("AUTH", "ada", "a") == await bob.call("AUTH", "bob", "b") == b"+OK\r\n"
    written.write('[clients.users]\nada = "new"\n')

    written.proxy.reload()

    await bob.expect_end()
    assert await ada.call("PING") == b"+PONG\r\n"
    late = await written.connect()
    assert (await late.call("AUTH", "ada", "a")).startswith(b"-WRONGPASS")
    assert await late.call("AUTH", "ada", "new") == b"+OK\r\n"


async def test_a_secret_in_a_file_is_read_again(written: Written, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old\n")
    written.write(f'[clients]\npassword_file = "{secret}"\n[admin]\ntoken_file = "{secret}"\n')
    first = written.proxy.reload()
    secret.write_text("new\n")

    second = written.proxy.reload()

    assert first.changed == second.changed == ("clients.password_file", "admin.token_file")
    assert written.proxy.admin_token.words == "new"
    client = await written.connect()
    assert (await client.call("AUTH", "old")).startswith(b"-WRONGPASS")
    assert await client.call("AUTH", "new") == b"+OK\r\n"


async def test_a_transaction_that_has_begun_keeps_its_rules(
    written: Written, cluster: FakeCluster
) -> None:
    begun, later = await written.connect(), await written.connect()
    keys = [cluster.key_of(node) for node in cluster.nodes[:2]]
    await begun.call("MULTI")
    assert await begun.call("SET", keys[0], 1) == b"+QUEUED\r\n"
    written.write('[commands]\ntransactions = "split"\n')

    written.proxy.reload()

    assert (await begun.call("SET", keys[1], 1)).startswith(b"-")
    await later.call("MULTI")
    assert [await later.call("SET", key, 1) for key in keys] == [b"+QUEUED\r\n"] * 2


# ---- what waits ----------------------------------------------------------------------------


async def test_what_needs_a_restart_is_named_and_stays_as_it_is(written: Written) -> None:
    written.write('backlog = 5\nmax_clients = 9\n[[pin]]\nprefix = "a"\ntag = "a"\n')

    done = written.proxy.reload()

    assert done.changed == ("listen.max_clients",)
    assert done.needs_restart == ("listen.backlog", "pin")
    assert written.proxy.settings.listen.backlog == Settings().listen.backlog
    assert written.proxy.settings.pin == ()


async def test_no_door_is_opened_by_a_change_of_who_knows_the_users(written: Written) -> None:
    written.write('[clients]\npassword = "secret"\n')
    written.proxy.reload()
    written.write('[clients]\nacl = "pass"\n')

    done = written.proxy.reload()

    assert done.changed == ()
    assert set(done.needs_restart) == {"clients.acl", "clients.password"}
    client = await written.connect()
    assert (await client.call("GET", "a")).startswith(b"-NOAUTH")


# ---- all or nothing ------------------------------------------------------------------------

WRONG = {
    "no TOML": "max_clients = \n",
    "a key that does not exist": "max_clients = 5\nmax_client = 5\n",
    "a value out of range": "max_clients = 5\nbacklog = 0\n",
    "a secret that is not there": 'max_clients = 5\n[clients]\npassword_file = "/nowhere"\n',
    "a user without a password": 'max_clients = 5\n[clients.users]\nada = ""\n',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
async def test_wrong_settings_change_nothing(written: Written, text: str) -> None:
    before = written.proxy.settings
    written.write(text)

    with pytest.raises(ConfigError):
        written.proxy.reload()

    assert written.proxy.settings is before
    assert written.proxy.engine.max_clients == before.listen.max_clients


# ---- one key -------------------------------------------------------------------------------


async def test_one_key_is_changed_until_the_next_reload(written: Written) -> None:
    reloader = written.proxy.reloader

    reloader.change("listen.max_clients", "12")
    reloader.change("clients.users", f"ada=sha256:{sha256(b'a').hexdigest()}")
    in_force = (written.proxy.engine.max_clients, reloader.changed.copy())
    done = written.proxy.reload()

    assert in_force == (12, {"listen.max_clients", "clients.users"})
    assert done.changed == ("listen.max_clients", "clients.users")
    assert written.proxy.engine.max_clients == Settings().listen.max_clients
    assert reloader.changed == set()


REFUSED = {
    "a restart": ("listen.port", "1", "a restart"),
    "no such key": ("listen.prot", "1", "does not exist"),
    "no key at all": ("", "", "does not exist"),
    "no number": ("listen.max_clients", "many", "'many'"),
    "less than another": ("limits.client_output_limit_bytes", "1", "at least"),
    "a secret": ("clients.users", "ada=", "a secret"),
}


@pytest.mark.parametrize(("key", "text", "words"), REFUSED.values(), ids=REFUSED)
async def test_a_key_that_cannot_be_changed_so_stays(
    written: Written, key: str, text: str, words: str
) -> None:
    before = written.proxy.settings

    with pytest.raises(ConfigError, match=words):
        written.proxy.reloader.change(key, text)

    assert written.proxy.settings is before
