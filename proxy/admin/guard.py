"""What is asked of every HTTP request before anything else, and what every answer carries.

Strategy: one ASGI layer around the site. It refuses what no route could want (methods, bodies,
foreign hosts), adds the headers that keep a browser from doing more with an answer than
showing it, and turns an exception into an answer and a line in the log. Every refusal is JSON
with one plain sentence.

A browser that is on this machine can be made to send requests here by any page in the
world. It says in ``Host`` which name it was told (DNS rebinding: a name of the attacker's that
leads to 127.0.0.1), so on a loopback address only names of this machine are served.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from hashlib import sha256

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

METHODS = ("GET", "POST")
# No route wants a body; what curl or a browser adds of its own is shorter.
BODY_LIMIT_BYTES = 1024
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

SAFE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# What must not be kept anywhere; static files say otherwise themselves.
NOT_KEPT = "no-store"


class Guard:
    """An ASGI application around another.

    Args:
        site: The other one.
        names: Host names to serve, without port; None: all.
    """

    def __init__(self, site: ASGIApp, names: Iterable[str] | None) -> None:
        self._site = site
        self._names = None if names is None else frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        has_begun = False

        async def send_safely(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", NOT_KEPT)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            answer = self._refuse(scope) or self._site
            await answer(scope, receive, send_safely)
        except Exception:  # a bug met by one request must not end the proxy
            log.exception("bug in the admin port", path=scope["path"])
            if not has_begun:
                await problem(500, "a bug in the proxy; its log says more")(
                    scope, receive, send_safely
                )

    def _refuse(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        if scope["method"] not in METHODS:
            return problem(405, "only GET and POST", {"Allow": ", ".join(METHODS)})
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_LIMIT_BYTES:
            return problem(413, "no request here has a body", {"Connection": "close"})
        if self._names is not None and _name_in(headers.get("host", "")) not in self._names:
            return problem(
                421,
                "served under the names of this machine only, like localhost,"
                " because the admin port listens on a loopback address",
            )
        return None


class Token:
    """Whether a request may see or change what not everybody may.

    Args:
        words: Returns the token; empty: there is none.
        is_private: Whether only this machine can connect.
    """

    def __init__(self, words: Callable[[], str], *, is_private: bool) -> None:
        self._words = words
        self._is_private = is_private

    def check_reader(self, headers: Headers) -> None:
        """Let through who may see keys, clients and settings.

        Raises:
            HTTPException: It may not.
        """
        if not self._is_private:
            self._check(headers, "is shown to nobody but this machine")

    def check_changer(self, headers: Headers) -> None:
        """Let through who may change something.

        Raises:
            HTTPException: It may not.
        """
        self._check(headers, "cannot be done over HTTP")

    def _check(self, headers: Headers, otherwise: str) -> None:
        expected = self._words()
        if not expected:
            raise HTTPException(403, f"this {otherwise}, unless admin.token is set")
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Starlette takes each byte for a character. Digests are equally long, whatever is given.
        is_right = hmac.compare_digest(
            sha256(given.strip().encode("latin-1")).digest(), sha256(expected.encode()).digest()
        )
        if scheme.lower() != "bearer" or not is_right:
            if given:
                log.warning("wrong token at the admin port")
            raise HTTPException(
                401,
                "this needs the header Authorization: Bearer, and the token of admin.token",
                {"WWW-Authenticate": "Bearer"},
            )


def problem(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer to a request that cannot be served."""
    return JSONResponse({"error": text}, status, headers)


def _name_in(host: str) -> str:
    """Return the name in a Host header, lower case, without the port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()
