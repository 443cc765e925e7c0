"""A real browser in front of a real proxy in front of a real cluster.

The house rules of every page, asserted after each test: nothing in the browser's console, no
exception in a script, no request that leaves the origin. Chromium and playwright are fixtures of
one module, because their event loop must not outlive the file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from watched_proxy import WatchedProxy

from proxy.embedded import EmbeddedCluster, EngineMissing, find_engine

try:
    from playwright.sync_api import Browser, Page, expect, sync_playwright
except ImportError:
    sync_playwright = None

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WAIT_MS = 15_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, with a profile of its own."""
    if sync_playwright is None:
        pytest.skip("the dashboard in a browser: playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("the dashboard in a browser: chromium is not installed (Debian: chromium)")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="module")
def page_cluster() -> Iterator[EmbeddedCluster]:
    """Three primaries and three replicas, for the tests of one file; Valkey, or what there is."""
    with EmbeddedCluster(_any_engine()) as running:
        yield running


@pytest.fixture(scope="module")
def watched(page_cluster: EmbeddedCluster) -> Iterator[WatchedProxy]:
    """A proxy with an admin port in front of ``page_cluster``."""
    with WatchedProxy(page_cluster) as running:
        yield running


@pytest.fixture
def start_cluster() -> Iterator[Callable[..., EmbeddedCluster]]:
    """Start clusters of the test's own; takes what ``EmbeddedCluster`` takes."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(EmbeddedCluster(_any_engine(), **how))


@pytest.fixture
def start_watched() -> Iterator[Callable[..., WatchedProxy]]:
    """Start proxies with an admin port; takes what ``WatchedProxy`` takes."""
    with ExitStack() as stack:
        yield lambda *args, **how: stack.enter_context(WatchedProxy(*args, **how))


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open the dashboard of a proxy in a fresh profile, and keep the house rules."""
    trouble: list[str] = []
    with ExitStack() as stack:

        def open_page(
            proxy: WatchedProxy,
            *,
            theme: str = "light",
            size: tuple[int, int] = (1280, 900),
            allow: tuple[str, ...] = (),
            before: Callable[[Page], None] = lambda page: None,
        ) -> Page:
            """Open ``/``.

            Args:
                theme: What the system prefers.
                size: Of the window, in pixels.
                allow: Texts of which messages in the console may have one in them.
                before: Called before the page is loaded.
            """
            context = browser.new_context(
                color_scheme=theme, viewport={"width": size[0], "height": size[1]}
            )
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            origin = urlsplit(proxy.url).netloc
            page.on("console", lambda said: _note(trouble, said.type, said.text, allow))
            page.on("pageerror", lambda error: trouble.append(f"exception: {error}"))
            page.on(
                "request",
                lambda request: (
                    urlsplit(request.url).netloc == origin
                    or trouble.append(f"a request to {request.url}")
                ),
            )
            before(page)
            page.goto(proxy.url)
            return page

        yield open_page
    assert not trouble, "\n".join(trouble)


def _note(trouble: list[str], kind: str, text: str, allow: tuple[str, ...]) -> None:
    if kind in ("error", "warning") and not any(allowed in text for allowed in allow):
        trouble.append(f"console: {kind}: {text}")


def _any_engine() -> str:
    for engine in ("valkey", "redis"):
        try:
            find_engine(engine)
        except EngineMissing:
            continue
        return engine
    pytest.skip("the dashboard in a browser: neither valkey-server nor redis-server is here")
