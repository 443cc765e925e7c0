"""The files of the dashboard, as the browser gets them.

Strategy: all of them are read once, when the first is asked for, and found by their names,
so there is no path that could lead elsewhere. A browser keeps them and asks each time if they
are still the same.

Cost: some 100 KB of memory, once somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.guard import problem

FOLDER = Path(__file__).with_name("page")
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    kind: str
    tag: str


@cache
def _files() -> dict[str, _File]:
    return {
        path.name: _File(data, TYPES[path.suffix], f'"{sha256(data).hexdigest()[:16]}"')
        for path in FOLDER.iterdir()
        if path.suffix in TYPES
        for data in (path.read_bytes(),)
    }


async def show_page(request: Request) -> Response:
    """Answer ``GET /``."""
    return _answer(request, "index.html")


async def show_file(request: Request) -> Response:
    """Answer ``GET /page/{name}``."""
    return _answer(request, request.path_params["name"])


def _answer(request: Request, name: str) -> Response:
    found = _files().get(name)
    if found is None:
        return problem(404, "the dashboard has no such file")
    headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return Response(found.data, media_type=found.kind, headers=headers)
