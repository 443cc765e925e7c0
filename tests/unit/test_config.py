"""Settings: where they come from, and which one wins."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from settings_file import write

from proxy.cluster.addresses import Address
from proxy.config import Commands, Settings
from proxy.errors import ConfigError
from proxy.sources import LISTS, known_keys, load_settings, with_text

EXAMPLE = Path(__file__).parents[2] / "proxy.toml"

pytestmark = pytest.mark.usefixtures("no_settings_from_outside")


# ---- proxy.toml ---------------------------------------------------------------


def test_the_example_file_loads_as_it_stands_and_is_the_defaults() -> None:
    assert load_settings(EXAMPLE) == Settings()


def test_the_example_file_names_every_key_and_no_other() -> None:
    tables = tomllib.loads(EXAMPLE.read_text("utf-8"))

    assert [f"{table}.{key}" for table, keys in tables.items() for key in keys] == known_keys()


def test_the_example_file_explains_every_key_as_the_models_do() -> None:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    explained = [
        before.removeprefix("# ") for before, line in pairwise(lines) if re.match(r"\w+ = ", line)
    ]

    assert explained == [
        field.description
        for table in Settings.model_fields
        if table not in LISTS
        for field in type(getattr(Settings(), table)).model_fields.values()
    ]


# ---- precedence ---------------------------------------------------------------


def test_a_flag_beats_the_environment_and_that_beats_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, '[listen]\naddress = "::1"\nport = 1\nbacklog = 1\n')
    monkeypatch.setenv("SLOTWAY_LISTEN__PORT", "2")
    monkeypatch.setenv("SLOTWAY_LISTEN__BACKLOG", "2")

    listen = load_settings(path, {"listen": {"backlog": 3}}).listen

    assert (listen.address, listen.port, listen.backlog, listen.max_clients) == ("::1", 2, 3, 10000)


ENVIRONMENT = {
    "a number": ("SLOTWAY_CLUSTER__REQUEST_TIMEOUT_S", "2.5", "cluster.request_timeout_s", 2.5),
    "a truth": ("SLOTWAY_CLIENTS__EXPOSE_CLUSTER", "true", "clients.expose_cluster", True),
    "a list": (
        "SLOTWAY_CLUSTER__SEEDS",
        "[::1]:7000, redis.example:7001",
        "cluster.seeds",
        ("[::1]:7000", "redis.example:7001"),
    ),
    "a list of one": ("SLOTWAY_CLUSTER__SEEDS", "h:1", "cluster.seeds", ("h:1",)),
    "an empty list": ("SLOTWAY_COMMANDS__DENY", "", "commands.deny", ()),
    "a table": (
        "SLOTWAY_CLUSTER__ADDRESS_MAP",
        "10.0.0.5:7000=127.0.0.1:17000, 10.0.0.6=gateway",
        "cluster.address_map",
        {"10.0.0.5:7000": "127.0.0.1:17000", "10.0.0.6": "gateway"},
    ),
    "no file": ("SLOTWAY_CLUSTER__PASSWORD_FILE", "", "cluster.password_file", None),
    "lower case": ("slotway_log__level", "debug", "log.level", "debug"),
}


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"), ENVIRONMENT.values(), ids=ENVIRONMENT.keys()
)
def test_a_variable_sets_any_kind_of_key(
    variable: str, text: str, key: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)

    settings = load_settings()

    table, _, name = key.partition(".")
    assert getattr(getattr(settings, table), name) == value


def test_what_kubernetes_sets_for_a_service_of_our_name_is_not_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLOTWAY_PORT", "tcp://10.0.0.1:6379")
    monkeypatch.setenv("SLOTWAY_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("SLOTWAY_ADMIN_PORT", "tcp://10.0.0.1:9379")

    assert load_settings() == Settings()


# ---- secrets ------------------------------------------------------------------


def test_a_password_comes_from_the_setting_or_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("pass word \n", "utf-8")

    from_file = load_settings(None, {"cluster": {"password_file": str(secret)}})
    from_key = load_settings(None, {"cluster": {"password": "s3cret"}})

    assert from_file.cluster.read_password() == "pass word "
    assert from_key.cluster.read_password() == "s3cret"
    assert Settings().cluster.read_password() == ""


def test_a_rotated_password_is_the_one_that_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old", "utf-8")
    clients = load_settings(None, {"clients": {"password_file": str(secret)}}).clients

    secret.write_text("new\r\n", "utf-8")
    assert clients.read_password() == "new"

    secret.unlink()
    with pytest.raises(ConfigError, match=r"clients\.password_file"):
        clients.read_password()


def test_a_password_is_never_shown() -> None:
    settings = load_settings(None, {"cluster": {"password": "s3cret"}})

    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings.cluster)


# ---- what is derived ----------------------------------------------------------


def test_seeds_and_the_address_map_are_values_for_the_rooms_below() -> None:
    cluster = load_settings(
        None, {"cluster": {"seeds": ["[::1]:7000"], "address_map": {"h": "gateway"}}}
    ).cluster

    assert cluster.seed_addresses() == (Address("::1", 7000),)
    assert cluster.addresses_from_here().reachable(Address("h", 1)) == Address("gateway", 1)


@pytest.mark.parametrize(
    ("deny", "denied"),
    [
        (("default",), {b"shutdown", b"debug"}),
        ((), set()),
        (("DEFAULT", "KEYS"), {b"shutdown", b"debug", b"keys"}),
        (("config|set",), {b"config|set"}),
    ],
)
def test_the_built_in_denials_can_be_kept_extended_and_dropped(
    deny: tuple[str, ...], denied: set[bytes]
) -> None:
    assert Commands(deny=deny).denied({b"shutdown", b"debug"}) == denied


# ---- pins -----------------------------------------------------------------------


def test_pins_come_from_the_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, '[[pin]]\nprefix = "a:"\ntag = "t"\n[[pin]]\nprefix = ""\ntag = "u"\n')

    assert load_settings(path).pin_table().store(b"a:1") == b"{t}a:1"
    assert load_settings(path).pin_table().store(b"b") == b"{u}b"
    monkeypatch.setenv("SLOTWAY_PIN", "huey.=huey,=all")
    assert load_settings(path).pin_table().store(b"a:1") == b"{all}a:1"


def test_rates_come_from_the_file_or_as_json_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, '[[rate]]\nusers = ["batch"]\ncommands_per_s = 10\nmode = "refuse"\n')

    (rate,) = load_settings(path).rate
    assert (rate.users, rate.commands_per_s, rate.mode) == (("batch",), 10, "refuse")
    monkeypatch.setenv("SLOTWAY_RATE", '[{"bytes_per_s": 1e6, "per": "client"}]')
    (rate,) = load_settings(path).rate
    assert (rate.users, rate.bytes_per_s, rate.per) == (("*",), 1_000_000, "client")


def test_guards_come_from_the_file_or_as_json_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, '[[guard]]\ncommands = ["KEYS", "script|flush"]\naction = "confirm"\n')

    (guard,) = load_settings(path).guard
    assert (guard.commands, guard.users) == (("keys", "script|flush"), ("*",))
    monkeypatch.setenv("SLOTWAY_GUARD", '[{"commands": "a,b", "users": "u", "action": "deny"}]')
    (guard,) = load_settings(path).guard
    assert (guard.commands, guard.users, guard.action) == (("a", "b"), ("u",), "deny")


def test_a_wrong_table_of_a_list_is_named_while_running_too() -> None:
    with pytest.raises(ConfigError, match=r"guard\.0\.action: given nothing"):
        with_text(Settings(), "guard", '[{"commands": "a"}]')
    with pytest.raises(ConfigError, match=r"guard\.0\.acton: given a key that does not exist"):
        with_text(Settings(), "guard", '[{"commands": "a", "acton": "deny"}]')


@pytest.mark.parametrize(
    "guard",
    ['action = "deny"', 'commands = ["a"]', 'commands = []\naction = "deny"', "commands = 1"],
)
def test_a_guard_that_cannot_be_is_refused(tmp_path: Path, guard: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(write(tmp_path, f"[[guard]]\n{guard}\n"))

    assert refused.value.key.startswith("guard")


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"a": 1}', '[{"x": 1}]', pytest.param("[" * 20_000, id="deep")]
)
def test_a_list_of_tables_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        with_text(Settings(), "rate", text)


@pytest.mark.parametrize(
    "rate",
    ["", "commands_per_s = -1", 'commands_per_s = 1\nmode = "no"', "commands_per_s = 1\nx = 1"],
)
def test_a_rate_that_cannot_be_is_refused(tmp_path: Path, rate: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(write(tmp_path, f"[[rate]]\n{rate}\n"))

    assert refused.value.key.startswith("rate")


@pytest.mark.parametrize(
    "pin",
    ['prefix = "a"', 'prefix = "a"\ntag = ""', 'prefix = "a"\ntag = "{a}"', 'tag = "a"\nx = 1'],
)
def test_a_pin_that_cannot_be_is_refused(tmp_path: Path, pin: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(write(tmp_path, f"[[pin]]\n{pin}\n"))

    assert refused.value.key.startswith("pin")
