"""What there is at the admin port: one table of routes.

Strategy: an answer is a view of ``insight`` as JSON, or what came of an order. Nothing is
computed here, and nothing waits for a server of the cluster. A long list is made in pieces,
between which the data plane has its turn.

Cost: 0.2 ms for a request beside its view; the data plane waits so long at most as one
piece takes, about 1 ms.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Protocol

import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from proxy.admin.files import show_file, show_page
from proxy.admin.guard import LOOPBACK_NAMES, Guard, Token, problem
from proxy.admin.port import Orders
from proxy.errors import ConfigError
from proxy.insight.insight import Insight
from proxy.insight.shown import Json, as_json
from proxy.resp.inline import split_inline

PIECE = 50  # rows of a list that are made JSON without a pause: 1 ms
CLIENTS_SHOWN = 200  # if the request does not say how many
LIMIT = 10_000  # of rows that a request may ask for


class Scrape(Protocol):
    """Makes the text of ``/metrics``."""

    async def render(self, accept: str) -> tuple[bytes, str]:
        """Return the text and its media type, for an Accept header."""


class Site:
    """The admin port as an ASGI application.

    Args:
        insight: Makes the views.
        cluster_health: Makes that of the cluster's health.
        metrics: Makes the text of ``/metrics``.
        orders: Carries out what is to be changed.
        token: Returns the token for that; empty: there is none.
        address: What ``admin.address`` says.
        is_private: Whether only this machine can connect.
    """

    def __init__(
        self,
        *,
        insight: Insight,
        cluster_health: Callable[[], object],
        metrics: Scrape,
        orders: Orders,
        token: Callable[[], str],
        address: str,
        is_private: bool,
    ) -> None:
        self._insight = insight
        self._metrics = metrics
        self._orders = orders
        self._token = Token(token, is_private=is_private)
        self._router = Router(
            [
                Route("/", show_page),
                Route("/page/{name}", show_file),
                Route("/livez", self._show_alive),
                Route("/readyz", self._show_ready),
                Route("/metrics", self._show_metrics),
                # As /readyz, for the page: to a browser 503 is an error in its console.
                self._view("/readiness", lambda _: insight.readiness()),
                self._view("/topology", lambda _: insight.topology()),
                self._view("/cluster-health", lambda _: cluster_health()),
                self._view("/stats", lambda _: insight.stats()),
                self._view("/events", lambda ask: insight.events(_number(ask, "after", 0))),
                self._view("/explain", lambda ask: insight.explain(_command(ask))),
                self._secret_view(
                    "/clients", lambda ask: insight.clients(_number(ask, "limit", CLIENTS_SHOWN))
                ),
                self._secret_view("/slowlog", lambda ask: insight.slowlog(_limit(ask))),
                self._secret_view("/hotkeys", lambda ask: insight.hotkeys(_limit(ask))),
                self._secret_view("/bigkeys", lambda ask: insight.bigkeys(_limit(ask))),
                self._secret_view("/config", lambda _: insight.config()),
                self._order("/drain", self._drain),
                self._order("/reload", self._reload),
                self._order("/log-level", self._set_log_level),
            ],
            default=_nothing_here,
            redirect_slashes=False,
        )
        names = None if not is_private else {*LOOPBACK_NAMES, address, f"[{address}]"}
        self._app = Guard(self._route, names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that the guard has let through."""
        scope["app"] = self
        try:
            await self._router(scope, receive, send)
        except HTTPException as refusal:
            headers = dict(refusal.headers or {})
            await problem(refusal.status_code, refusal.detail, headers)(scope, receive, send)

    # ---- health and metrics -----------------------------------------------------------

    async def _show_alive(self, _: Request) -> Response:
        return JSONResponse({"alive": True})

    async def _show_ready(self, _: Request) -> Response:
        view = self._insight.readiness()
        return JSONResponse(as_json(view), 200 if view.ready else 503)

    async def _show_metrics(self, request: Request) -> Response:
        text, kind = await self._metrics.render(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": kind})

    # ---- views -------------------------------------------------------------------------

    def _view(self, path: str, make: Callable[[Request], object]) -> Route:
        async def show(request: Request) -> Response:
            return await _as_response(make(request))

        return Route(path, show, methods=["GET"])

    def _secret_view(self, path: str, make: Callable[[Request], object]) -> Route:
        """Return a view that names keys, clients or settings."""

        async def show(request: Request) -> Response:
            self._token.check_reader(request.headers)
            return await _as_response(make(request))

        return Route(path, show, methods=["GET"])

    # ---- orders ------------------------------------------------------------------------

    def _order(self, path: str, do: Callable[[Request], Response]) -> Route:
        async def obey(request: Request) -> Response:
            self._token.check_changer(request.headers)
            try:
                return do(request)
            except ConfigError as wrong:
                return problem(400, str(wrong))

        return Route(path, obey, methods=["POST"])

    def _drain(self, _: Request) -> Response:
        return JSONResponse({"draining": True, "within_s": self._orders.drain()}, 202)

    def _reload(self, _: Request) -> Response:
        return JSONResponse(as_json(self._orders.reload()))

    def _set_log_level(self, request: Request) -> Response:
        level = request.query_params.get("level", "")
        self._orders.set_log_level(level)
        return JSONResponse({"level": level})


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    await problem(404, "nothing is here")(scope, receive, send)


def _number(request: Request, name: str, default: int) -> int:
    """Return a number of the query.

    Raises:
        HTTPException: It is none.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    # isdecimal takes digits of other scripts too, which int reads as well.
    if not text.isdecimal() or len(text) > 15:
        raise HTTPException(400, f"{name} must be a whole number, 0 or more")
    return int(text) if name == "after" else min(int(text), LIMIT)


def _limit(request: Request) -> int | None:
    return _number(request, "limit", LIMIT) if "limit" in request.query_params else None


def _command(request: Request) -> list[bytes]:
    """Return the words of the command that is to be explained, quoted as in redis-cli."""
    args = split_inline(request.query_params.get("q", "").encode())
    if not args:
        raise HTTPException(400, "q must be a command as in redis-cli, its quotes closed")
    return args


async def _as_response(view: object) -> Response:
    """Return a view as JSON; a list is made in pieces of ``PIECE`` rows."""
    shown: dict[str, Json] = {}
    assert dataclasses.is_dataclass(view)
    for field in dataclasses.fields(view):
        value = getattr(view, field.name)
        if not isinstance(value, tuple) or len(value) <= PIECE:
            shown[field.name] = as_json(value)
            continue
        rows: list[Json] = []
        for begin in range(0, len(value), PIECE):
            rows += [as_json(row) for row in value[begin : begin + PIECE]]
            await trio.lowlevel.checkpoint()
        shown[field.name] = rows
    return Response(json.dumps(shown), media_type="application/json")
