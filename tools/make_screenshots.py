"""Make the pictures of the dashboard: docs/images/dashboard-{dark,light,phone}.png.

A real cluster, a real proxy, real traffic, and what an operator would want to see: slots on the
move, a primary that was killed and its replica in its place. Needs chromium and playwright.

    python tools/make_screenshots.py
"""

from __future__ import annotations

import random
import shutil
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import redis
from playwright.sync_api import Browser, Page, sync_playwright

from proxy.embedded import EmbeddedCluster, ProxyProcess, lease_ports
from proxy.embedded.migration import open_slots

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PICTURES = {
    "dashboard-dark": ("dark", (1380, 1200), 1),
    "dashboard-light": ("light", (1380, 1200), 1),
    "dashboard-phone": ("dark", (360, 780), 2),
}
SECONDS = 290.0  # of traffic: the charts show five minutes
WORKERS = 4
LIMIT_BYTES = 300_000


def main() -> int:
    """Make all pictures; returns the exit code."""
    program = shutil.which("chromium")
    if program is None:
        print("chromium is not installed", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        cluster = stack.enter_context(EmbeddedCluster("valkey"))
        port = stack.enter_context(lease_ports(1)).ports[0]
        settings = {"admin.enabled": "true", "admin.port": str(port), "insight.sample_every": "5"}
        proxy = stack.enter_context(ProxyProcess(cluster.addresses, settings=settings))
        stack.enter_context(_Traffic(proxy.port))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=program, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        stack.callback(browser.close)
        url = f"http://127.0.0.1:{port}/"
        pages = {name: _open(browser, url, *how) for name, how in PICTURES.items()}
        _live_through(cluster, pages["dashboard-dark"])
        for name, page in pages.items():
            _take(page, name)
    return 0


def _live_through(cluster: EmbeddedCluster, page: Page) -> None:
    """Let traffic run; halfway a primary dies, near the end slots begin to move."""
    page.wait_for_timeout(SECONDS * 500)
    cluster.nodes[2].kill()
    cluster.wait_until_agreed()
    page.wait_for_timeout(SECONDS * 300)
    cluster.move_slots(range(400), cluster.nodes[0], cluster.nodes[1])
    open_slots(range(5000, 5064), cluster.nodes[0], cluster.nodes[1])
    page.wait_for_timeout(SECONDS * 200)


def _open(browser: Browser, url: str, theme: str, size: tuple[int, int], scale: int) -> Page:
    context = browser.new_context(
        color_scheme=theme,
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=scale,
    )
    page = context.new_page()
    page.goto(url)
    return page


def _take(page: Page, name: str) -> None:
    page.locator("#slot-news li").first.wait_for()
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    size_bytes = path.stat().st_size
    print(f"{path.name}: {size_bytes // 1000} kB")
    if size_bytes > LIMIT_BYTES:
        raise SystemExit(f"{path} is bigger than {LIMIT_BYTES} bytes")


class _Traffic:
    """Threads that behave like a shop: baskets, sessions, a queue."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(WORKERS)
        ]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *failure: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        some = random.Random(number)
        client = redis.Redis(port=self._port, client_name=f"shop-{number}", retry=None)
        while not self._stopped.is_set():
            try:
                self._visit(client, some)
            except redis.RedisError:
                continue  # what the dashboard is there to show

    def _visit(self, client: redis.Redis, some: random.Random) -> None:
        user = min(int(some.paretovariate(0.9)), 5000)
        pipeline = client.pipeline(transaction=False)
        pipeline.get(f"session:{user}")
        pipeline.hset(f"basket:{user}", mapping={f"item:{some.randrange(40)}": user})
        pipeline.hgetall(f"basket:{user}")
        pipeline.mget([f"product:{some.randrange(900)}" for _ in range(6)])
        pipeline.set(f"session:{user}", "x" * 200, ex=600)
        pipeline.lpush("queue:mail", user)
        pipeline.rpop("queue:mail")
        pipeline.execute()
        if some.random() < 0.001:
            client.set(f"report:{user}", "x" * some.randrange(140_000, 900_000))
        if some.random() < 0.0005:
            client.eval("local n = 0 for i = 1, 2e6 do n = n + i end return n", 1, "stats:daily")
        if some.random() < 0.0005:
            client.incr("basket:1")  # it holds a hash: an error that clients get
        self._stopped.wait(0.01)


if __name__ == "__main__":
    sys.exit(main())
