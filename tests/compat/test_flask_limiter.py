"""Flask-Limiter and limits: each strategy with its Lua, and resets, in front of a Flask site."""

from __future__ import annotations

import pytest
from applications import Serve, finish

flask = pytest.importorskip("flask", reason="flask is not installed")
flask_limiter = pytest.importorskip("flask_limiter", reason="Flask-Limiter is not installed")

# Its scripts make names of names, and reset() has one look for all keys of a node.
PINNED = {"pin": "LIMITS:=limits"}


@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window", "sliding-window-counter"])
def test_a_site_refuses_the_request_over_its_limit(serve: Serve, strategy: str) -> None:
    address = serve(**PINNED)
    site = flask.Flask("site")
    limiter = flask_limiter.Limiter(
        lambda: flask.request.headers["who"],
        app=site,
        storage_uri=f"redis://{address.host}:{address.port}/0",
        strategy=strategy,
        default_limits=["5 per minute", "100 per hour"],
        headers_enabled=True,
    )
    site.route("/")(lambda: "welcome")
    visitor = site.test_client()

    codes = [visitor.get("/", headers={"who": "one"}).status_code for _ in range(7)]
    other = visitor.get("/", headers={"who": "two"})

    assert codes == [200] * 5 + [429] * 2
    assert other.status_code == 200
    assert other.headers["X-RateLimit-Remaining"] == "4"
    limiter.reset()
    assert visitor.get("/", headers={"who": "one"}).status_code == 200


def test_an_asyncio_storage_counts_too(serve: Serve) -> None:
    import limits
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import MovingWindowRateLimiter

    address = serve(**PINNED)

    async def main() -> list[bool]:
        storage = RedisStorage(
            f"async+redis://{address.host}:{address.port}/0", implementation="redispy"
        )
        limiter = MovingWindowRateLimiter(storage)
        item = limits.RateLimitItemPerMinute(3)
        return [await limiter.hit(item, "someone") for _ in range(5)]

    assert finish(main()) == [True] * 3 + [False] * 2
