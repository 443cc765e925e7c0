"""A setting that is wrong: it is refused by name, with where it stands and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from settings_file import write

from proxy.errors import ConfigError
from proxy.sources import load_settings

pytestmark = pytest.mark.usefixtures("no_settings_from_outside")


# The file, the key that is named, what was given, what is allowed.
WRONG = {
    "too large": ("[listen]\nport = 65536", "listen.port", "65536 in the file", "65535"),
    "too small": (
        "[cluster]\nrequest_timeout_s = 0",
        "cluster.request_timeout_s",
        "0 in the file",
        "greater than 0",
    ),
    "not finite": (
        "[cluster]\nrequest_timeout_s = inf",
        "cluster.request_timeout_s",
        "inf in the file",
        "finite",
    ),
    "no number": (
        '[listen]\nport = "many"',
        "listen.port",
        "'many' in the file",
        "a whole number",
    ),
    "a truth for a number": (
        "[listen]\nport = true",
        "listen.port",
        "True in the file",
        "a whole number",
    ),
    "a fraction": ("[listen]\nport = 1.5", "listen.port", "1.5 in the file", "a whole number"),
    "no mode": (
        '[listen]\nunix_socket_mode = "999"',
        "listen.unix_socket_mode",
        "'999' in the file",
        "three digits from 0 to 7",
    ),
    "a key without its table": (
        "port = 1",
        "port",
        "a key that does not exist",
        "listen.port, tls.port, admin.port",
    ),
    "a key that is like no other": (
        "[tls]\nxyzzy = 1",
        "tls.xyzzy",
        "a key that does not exist",
        "tls.mode, tls.port, tls.cert_file",
    ),
    "a URL for a seed": (
        '[cluster]\nseeds = ["redis://10.0.0.1:7000"]',
        "cluster.seeds",
        "['redis://10.0.0.1:7000'] in the file",
        "host:port, like 127.0.0.1:7000",
    ),
    "a user without a password": (
        '[cluster]\nusername = "slotway"',
        "cluster.username",
        "'slotway' in the file",
        "a user with a password",
    ),
    "a guard without an action": (
        '[[guard]]\ncommands = ["keys"]',
        "guard.0.action",
        "nothing in the file",
        "a value, because it has no default",
    ),
    "a guard with a misspelt key": (
        '[[guard]]\ncommands = ["keys"]\nacton = "deny"',
        "guard.0.acton",
        "a key that does not exist",
        "guard.0.action is the nearest",
    ),
    "a second rate with a wrong value": (
        "[[rate]]\nbytes_per_s = 1\n[[rate]]\ncommands_per_s = 'x'",
        "rate.1.commands_per_s",
        "'x' in the file",
        "a number",
    ),
    "one guard that is no list": (
        '[guard]\ncommands = ["keys"]\naction = "deny"',
        "guard",
        "in the file",
        "a list",
    ),
    "none of the words": (
        '[log]\nlevel = "loud"',
        "log.level",
        "'loud' in the file",
        "'debug', 'info', 'warning' or 'error'",
    ),
    "no seed": ("[cluster]\nseeds = []", "cluster.seeds", "[] in the file", "at least one"),
    "seed without port": (
        '[cluster]\nseeds = ["redis"]',
        "cluster.seeds",
        "['redis'] in the file",
        "host:port, like 127.0.0.1:7000",
    ),
    "half an address": (
        '[cluster.address_map]\nh = "a:1"',
        "cluster.address_map",
        "{'h': 'a:1'} in the file",
        "host:port to host:port, or host to host",
    ),
    "misspelt key": (
        "[listen]\nprot = 1",
        "listen.prot",
        "a key that does not exist",
        "listen.port is the nearest",
    ),
    "misspelt table": (
        "[lisetn]\nport = 1",
        "lisetn",
        "a key that does not exist",
        "listen is the nearest",
    ),
    "no table": ("listen = 1", "listen", "1 in the file", "a table of keys"),
    "no such file": (
        '[clients]\npassword_file = "/nowhere/secret"',
        "clients.password_file",
        "'/nowhere/secret' in the file",
        "a file that can be read (No such file or directory)",
    ),
    "two passwords": (
        '[clients]\npassword = "a"\npassword_file = "/nowhere/secret"',
        "clients.password_file",
        "'/nowhere/secret' in the file",
        "nothing, because password is set too",
    ),
    "room for less than a reply": (
        "[limits]\nclient_output_limit_bytes = 5",
        "limits.client_output_limit_bytes",
        "5 in the file",
        "at least reply_limit_bytes, which is 1073741824",
    ),
    "a default that became too small": (
        "[limits]\nreply_limit_bytes = 5_000_000_000",
        "limits.client_output_limit_bytes",
        "by default",
        "at least reply_limit_bytes, which is 5000000000",
    ),
}


@pytest.mark.parametrize(("text", "key", "given", "allowed"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_is_refused_with_its_name_and_what_is_allowed(
    text: str, key: str, given: str, allowed: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))

    assert caught.value.key == key
    assert given in caught.value.given
    assert allowed in caught.value.allowed
    assert all(part in str(caught.value) for part in (key, given, allowed))


@pytest.mark.parametrize(
    ("variable", "text", "key", "allowed"),
    [
        ("SLOTWAY_LISTEN__PORT", "x", "listen.port", "a whole number"),
        ("SLOTWAY_CLUSTER_SEEDS", "a:1", "SLOTWAY_CLUSTER_SEEDS", "SLOTWAY_CLUSTER__SEEDS, with"),
        ("SLOTWAY_X__Y", "1", "SLOTWAY_X__Y", "SLOTWAY_<TABLE>__<KEY>"),
        ("SLOTWAY_GUARD", '[{"commands": "a"}]', "guard.0.action", "no default"),
        ("SLOTWAY_PIN", "bull", "pin", "prefix=tag"),
        ("SLOTWAY_LISTEN__PROT", "1", "SLOTWAY_LISTEN__PROT", "SLOTWAY_LISTEN__PORT"),
        ("SLOTWAY_LISETN__PORT", "1", "SLOTWAY_LISETN__PORT", "SLOTWAY_LISTEN__PORT"),
    ],
)
def test_a_wrong_variable_is_named(
    variable: str, text: str, key: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)

    with pytest.raises(ConfigError, match=variable) as caught:
        load_settings()

    assert caught.value.key == key
    assert allowed in caught.value.allowed


def test_a_wrong_flag_is_said_to_be_one() -> None:
    with pytest.raises(ConfigError, match=r"listen\.port: given -1 on the command line"):
        load_settings(None, {"listen": {"port": -1}})


@pytest.mark.parametrize(
    "text", ["[cluster]\npasword = 's3cret'", "[cluster]\npassword = ['s3cret']"]
)
def test_a_refusal_does_not_show_a_password(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))

    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: given No such file"):
        load_settings(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"proxy\.toml: given .*line 1"):
        load_settings(write(tmp_path, "port = = 1"))
    with pytest.raises(ConfigError, match="lists in lists"):
        load_settings(write(tmp_path, "guard = " + "[" * 20_000))
