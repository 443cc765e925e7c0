"""A site of the admin port with everything behind it made up, and what was asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from http_answer import Answer
from http_asker import ask

from proxy.admin.port import Orders
from proxy.admin.site import Site
from proxy.errors import ConfigError
from proxy.insight.insight import Insight, Sources
from proxy.insight.views import ClientMode, ClientRow, ClientsView, TopologyView
from proxy.insight.views_answers import (
    ConfigView,
    EventsView,
    Explanation,
    Fate,
    ReadinessView,
)
from proxy.insight.views_requests import BigkeysView, HotkeysView, SlowlogView
from proxy.life.cluster_check import CheckView
from proxy.life.reload import Reloaded

TOKEN = "s3cret-wörd"
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}"}
READY = ReadinessView(
    ready=True,
    missing=(),
    listening=True,
    draining=False,
    map_known=True,
    serving=True,
    covered_slots=16384,
    commands_known=True,
)
TOPOLOGY = TopologyView(
    at=1.0,
    known=True,
    serving=True,
    generation=3,
    config_epoch=2,
    covered_slots=16384,
    age_s=0.5,
    refreshes=4,
    failed_refreshes=0,
    shards=(),
    others=(),
    moving=(),
)
ROW = ClientRow(
    id=1,
    address="10.0.0.1:999",
    name=b"caf\xc3\xa9\xff",
    library=b"",
    user=b"default",
    resp=2,
    database=0,
    mode=ClientMode.NORMAL,
    stopped_by="",
    in_flight=0,
    input_bytes=0,
    output_bytes=0,
    commands=1,
    last_command=b"get",
    bytes_in=1,
    bytes_out=1,
    age_s=1.0,
    idle_s=0.0,
)
EXPLANATION = Explanation(
    command="get",
    known=True,
    fate=Fate.FORWARDED,
    why="",
    road="forward",
    is_write=False,
    keys=(),
    parts=(),
    merge=None,
    refusal=None,
    in_transaction="",
)


def never() -> Any:
    """Stand for what must not be asked for."""
    raise AssertionError("not to be asked for")


class House:
    """A site, what it was asked, and what was ordered."""

    def __init__(self, *, token: str = TOKEN, is_private: bool = True) -> None:
        self.readiness = READY
        self.asked: list[object] = []
        self.ordered: list[str] = []
        self.reload: Callable[[], object] = lambda: Reloaded(("log.level",), ("listen.port",))
        self.stats: Callable[[], Any] = never
        self.clients = 3
        sources = Sources(
            topology=lambda: TOPOLOGY,
            clients=self._clients,
            stats=lambda: self.stats(),
            slowlog=lambda limit: self._note(
                limit, SlowlogView(at=1.0, threshold_ms=10.0, total=0, entries=())
            ),
            reset_slowlog=never,
            hotkeys=lambda limit: self._note(
                limit, HotkeysView(at=1.0, sample_every=200, samples=0, keys=())
            ),
            bigkeys=lambda limit: self._note(
                limit, BigkeysView(at=1.0, threshold_bytes=1, keys=())
            ),
            events=lambda after: self._note(
                after, EventsView(at=1.0, started_at=0.0, last=7, events=())
            ),
            readiness=lambda: self.readiness,
            config=lambda: ConfigView(file=None, settings=()),
            explain=lambda args: self._note(args, EXPLANATION),
        )
        self.site = Site(
            insight=Insight(sources),
            cluster_health=lambda: CheckView(at=None, every_s=10.0, health=None),
            metrics=self,
            orders=Orders(
                drain=lambda: self._order("drain", 12.0),
                reload=lambda: self._order("reload", self.reload()),
                set_log_level=self._set_level,
            ),
            token=lambda: token,
            address="127.0.0.1",
            is_private=is_private,
        )

    async def render(self, accept: str) -> tuple[bytes, str]:
        return f"# {accept}\n".encode(), "text/plain; version=0.0.4"

    def _note(self, what: object, answer: Any) -> Any:
        self.asked.append(what)
        return answer

    def _order(self, name: str, answer: Any) -> Any:
        self.ordered.append(name)
        return answer

    def _clients(self, limit: int) -> ClientsView:
        self.asked.append(limit)
        rows = tuple(replace(ROW, id=number) for number in range(self.clients))
        return ClientsView(at=1.0, total=self.clients, clients=rows)

    def _set_level(self, level: str) -> None:
        if level != "debug":
            raise ConfigError(key="log.level", given=repr(level), allowed="'debug'")
        self.ordered.append(level)

    async def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> Answer:
        return await ask(self.site, path, method, headers)
