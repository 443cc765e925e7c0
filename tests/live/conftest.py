"""Real servers for the live tests, and the rules of the house asserted after every test.

pytest-trio fixtures live for one test only, so everything here is a plain
subprocess behind a plain fixture. Shared fixtures are emptied before each test
and must be left whole; whoever kills, freezes or reconfigures takes a private
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest

from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer

Running = TypeVar("Running")


class Shared:
    """What files share: one of a kind for each engine, from its first use to the session's end.

    As a fixture it would be torn down whenever pytest changes engines, which it does twice a
    file when files run side by side.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[tuple[str, str], object] = {}

    def get(self, name: str, engine: str, made: AbstractContextManager[Running]) -> Running:
        """Return what runs under this name for an engine; ``made`` is entered if nothing does."""
        if (name, engine) not in self._running:
            self._running[name, engine] = self._stack.enter_context(made)
        return self._running[name, engine]  # type: ignore[return-value]


@pytest.fixture(scope="session")
def shared() -> Iterator[Shared]:
    """What files share."""
    with ExitStack() as stack:
        yield Shared(stack)


@pytest.fixture(scope="session")
def cluster(engine: str, shared: Shared) -> EmbeddedCluster:
    """Three primaries and three replicas, shared: leave every node alive and every slot closed."""
    return shared.get("cluster", engine, EmbeddedCluster(engine))


@pytest.fixture(scope="session")
def standalone(engine: str, shared: Shared) -> StandaloneServer:
    """One ordinary server of the same engine, shared."""
    return shared.get("standalone", engine, StandaloneServer(engine))


@pytest.fixture(scope="session")
def proxy_process(engine: str, shared: Shared, cluster: EmbeddedCluster) -> ProxyProcess:
    """A proxy with default settings in front of ``cluster``, shared."""
    return shared.get("proxy", engine, ProxyProcess(cluster.addresses))


@pytest.fixture
def make_cluster(engine: str) -> Iterator[Callable[..., EmbeddedCluster]]:
    """Start clusters with settings of the test's own; takes what ``EmbeddedCluster`` takes."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(EmbeddedCluster(engine, **settings))


@pytest.fixture
def make_proxy() -> Iterator[Callable[..., ProxyProcess]]:
    """Start proxies with settings of the test's own; takes what ``ProxyProcess`` takes."""
    with ExitStack() as stack:

        def start(*args: object, **settings: object) -> ProxyProcess:
            proxy = stack.enter_context(ProxyProcess(*args, **settings))
            stack.callback(_assert_clean, proxy, 0)
            return proxy

        yield start


@pytest.fixture
def private_cluster(make_cluster: Callable[..., EmbeddedCluster]) -> EmbeddedCluster:
    """A cluster for one test, which may break it. Costs about 3 s."""
    return make_cluster()


@pytest.fixture
def private_proxy(
    private_cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> ProxyProcess:
    """A proxy with default settings in front of ``private_cluster``."""
    return make_proxy(private_cluster.addresses)


@pytest.fixture(autouse=True)
def house_rules(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty what the test shares with others; afterwards the shared proxy must be whole."""
    if "cluster" in request.fixturenames:
        request.getfixturevalue("cluster").flush()
    if "standalone" in request.fixturenames:
        request.getfixturevalue("standalone").node.call("FLUSHALL")
    if "proxy_process" not in request.fixturenames:
        yield
        return
    proxy: ProxyProcess = request.getfixturevalue("proxy_process")
    mark = proxy.log_size()
    yield
    _assert_clean(proxy, mark)


def _assert_clean(proxy: ProxyProcess, mark: int) -> None:
    trace = proxy.tracebacks(after=mark)
    assert not trace, trace
    assert proxy.pid, "the proxy has ended"
