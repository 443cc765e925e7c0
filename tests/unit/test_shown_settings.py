"""The settings as they are shown: all of them, as they could be given back, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import Settings
from proxy.config.shown import show_settings
from proxy.insight.views_answers import ConfigView, SettingRow
from proxy.sources import LISTS, SECRET_KEYS, known_keys, with_text

SECRETS = {
    "cluster": {"password": "hidden1"},
    "clients": {"password": "hidden2", "users": {"alice": "hidden3"}},
    "admin": {"token": "hidden4"},
}


def shown(settings: Settings, *changed: str) -> ConfigView:
    return show_settings(
        settings,
        file=Path("/etc/proxy.toml"),
        origin=lambda key: "file" if key == "listen.port" else "default",
        live={"log.level"},
        changed=changed,
    )


def rows(settings: Settings, *changed: str) -> dict[str, SettingRow]:
    return {row.key: row for row in shown(settings, *changed).settings}


def test_every_key_is_there_in_the_order_of_the_file() -> None:
    assert list(rows(Settings())) == [*known_keys(), *LISTS]


def test_no_secret_is_shown() -> None:
    found = rows(Settings.model_validate(SECRETS))

    assert "hidden" not in repr(found.values())
    assert {key for key, row in found.items() if row.secret} == SECRET_KEYS
    assert found["clients.users"].value == "alice=***"
    assert found["cluster.password"].value == "***"
    assert rows(Settings())["cluster.password"].value == ""


GIVEN = {
    "a number": ("listen.port", "7000"),
    "a truth": ("clients.expose_cluster", "true"),
    "words": ("commands.deny", "default,keys"),
    "pairs": ("cluster.address_map", "10.0.0.5:7000=127.0.0.1:17000"),
    "a word": ("commands.transactions", "split"),
    "tables": ("rate", '[{"users": ["batch"], "commands_per_s": 10.0}]'),
    "seconds": ("cluster.request_timeout_s", "2.5"),
}


@pytest.mark.parametrize(("key", "text"), GIVEN.values(), ids=GIVEN.keys())
def test_a_value_is_shown_as_it_can_be_given(key: str, text: str) -> None:
    settings = with_text(Settings(), key, text)

    row = rows(settings)[key]

    assert row.value == text
    assert row.default != text


def test_every_default_can_be_given_back() -> None:
    for key, row in rows(Settings()).items():
        if not row.secret:
            assert with_text(Settings(), key, row.value) == Settings(), key


def test_where_a_value_comes_from_is_told() -> None:
    found = rows(Settings(), "log.level")

    assert found["listen.port"].source == "file"
    assert found["log.level"].source == "PROXY CONFIG SET"
    assert found["listen.backlog"].source == "default"
    assert (found["log.level"].live, found["listen.port"].live) == (True, False)
    assert found["listen.port"].text.startswith("Port to listen on")
    assert shown(Settings()).file == "/etc/proxy.toml"


def test_pins_are_shown_as_the_environment_has_them() -> None:
    settings = Settings.model_validate({"pin": "bull:=bull,=app"})

    assert rows(settings)["pin"].value == "bull:=bull,=app"
