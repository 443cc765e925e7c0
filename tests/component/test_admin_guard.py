"""The admin port's site, asked without a network: tokens, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from admin_house import TOKEN, WITH_TOKEN, House, never

from proxy.errors import ConfigError


@pytest.fixture
def house() -> House:
    return House()


# ---- tokens ---------------------------------------------------------------------------------

ORDERS = {"/drain": "drain", "/reload": "reload", "/log-level?level=debug": "debug"}
SECRETS = ("/clients", "/slowlog", "/hotkeys", "/bigkeys", "/config")
OPEN_TO_ALL = ("/livez", "/readyz", "/metrics", "/topology", "/events", "/")


@pytest.mark.parametrize(("path", "order"), ORDERS.items(), ids=ORDERS)
async def test_an_order_is_carried_out_for_who_has_the_token(
    house: House, path: str, order: str
) -> None:
    answer = await house.ask(path, "POST", WITH_TOKEN)

    assert answer.status in (200, 202)
    assert house.ordered == [order]


@pytest.mark.parametrize("path", ORDERS)
@pytest.mark.parametrize(
    "given",
    [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer", f"Bearer {TOKEN}x"],
)
async def test_nobody_else_changes_anything(house: House, path: str, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given}

    answer = await house.ask(path, "POST", headers)

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert house.ordered == []


@pytest.mark.parametrize("given", [{}, {"authorization": "Bearer "}, {"authorization": "Bearer x"}])
async def test_without_a_token_nothing_can_be_changed_and_it_says_what_to_set(
    given: dict[str, str],
) -> None:
    house = House(token="")

    answer = await house.ask("/drain", "POST", given)

    assert answer.status == 403
    assert "admin.token" in answer.json["error"]
    assert house.ordered == []


@pytest.mark.parametrize("path", SECRETS)
async def test_on_a_public_address_keys_and_clients_need_the_token(path: str) -> None:
    house = House(is_private=False)

    without = await house.ask(path)
    wrong = await house.ask(path, headers={"authorization": "Bearer no"})
    right = await house.ask(path, headers=WITH_TOKEN)
    never = await House(is_private=False, token="").ask(path)

    assert [a.status for a in (without, wrong, right, never)] == [401, 401, 200, 403]
    assert "admin.token" in never.json["error"]


@pytest.mark.parametrize("path", OPEN_TO_ALL)
async def test_on_a_public_address_the_rest_is_for_everybody(path: str) -> None:
    answer = await House(is_private=False).ask(path, headers={"host": "10.1.2.3:9379"})

    assert answer.status == 200


async def test_a_reload_that_fails_says_why(house: House) -> None:
    def fail() -> object:
        raise ConfigError(key="log.level", given="'loud'", allowed="'debug', 'info'")

    done = await house.ask("/reload", "POST", WITH_TOKEN)
    house.reload = fail
    failed = await house.ask("/reload", "POST", WITH_TOKEN)

    assert done.json == {"changed": ["log.level"], "needs_restart": ["listen.port"]}
    assert failed.status == 400
    assert "log.level: given 'loud'" in failed.json["error"]


async def test_a_level_that_does_not_exist_is_refused(house: House) -> None:
    answer = await house.ask("/log-level?level=loud", "POST", WITH_TOKEN)

    assert answer.status == 400
    assert "'loud'" in answer.json["error"]


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
async def test_other_methods_are_refused(house: House, method: str) -> None:
    answer = await house.ask("/drain", method, WITH_TOKEN)

    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST"
    assert house.ordered == []


@pytest.mark.parametrize(
    ("path", "method"), [("/drain", "GET"), ("/reload", "GET"), ("/clients", "POST")]
)
async def test_the_wrong_method_does_nothing(house: House, path: str, method: str) -> None:
    answer = await house.ask(path, method, WITH_TOKEN)

    assert answer.status == 405
    assert house.ordered == house.asked == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9379", "localhost.evil.example", "", "127.0.0.1.nip.io"]
)
@pytest.mark.parametrize("path", ["/", "/clients", "/metrics"])
async def test_a_page_of_another_name_that_leads_here_gets_nothing(
    house: House, host: str, path: str
) -> None:
    answer = await house.ask(path, headers={"host": host})

    assert answer.status == 421
    assert house.asked == []


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9379", "127.0.0.1:1", "[::1]:9379", "[::1]"]
)
async def test_every_name_of_this_machine_is_served(house: House, host: str) -> None:
    assert (await house.ask("/livez", headers={"host": host})).status == 200


@pytest.mark.parametrize("length", ["1025", "99999999999999999999", "-1", "x"])
async def test_a_body_is_not_even_read(house: House, length: str) -> None:
    answer = await house.ask("/drain", "POST", {**WITH_TOKEN, "content-length": length})

    assert answer.status == 413
    assert house.ordered == []


async def test_a_bug_is_an_answer_and_a_line_in_the_log(house: House) -> None:
    def fail() -> object:
        raise ZeroDivisionError

    house.stats = fail
    with structlog.testing.capture_logs() as lines:
        answer = await house.ask("/stats")

    assert answer.status == 500
    assert answer.json == {"error": "a bug in the proxy; its log says more"}
    assert [line["log_level"] for line in lines] == ["error"]


async def test_a_websocket_is_closed_at_once(house: House) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await house.site({"type": "websocket", "path": "/"}, never, send)

    assert [message["type"] for message in sent] == ["websocket.close"]
