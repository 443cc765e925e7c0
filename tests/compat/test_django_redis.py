"""django-redis: the cache, with many keys, locks and patterns, and sessions kept in it."""

from __future__ import annotations

import sys

import pytest
from applications import APPS, SPLIT, Serve, Workers

pytest.importorskip("django_redis", reason="django-redis is not installed")


@pytest.mark.parametrize("protocol", ["2", "3"])
def test_the_cache_and_sessions_do_what_they_promise(
    serve: Serve, workers: Workers, protocol: str
) -> None:
    address = serve(**SPLIT)
    location = f"redis://{address.host}:{address.port}/0?protocol={protocol}"

    printed = workers.run(sys.executable, APPS / "django_site.py", REDIS_URL=location)

    assert printed == "cache\nlocks\npatterns\nsessions\ndjango's own cache\n"
