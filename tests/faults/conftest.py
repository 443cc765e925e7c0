"""What the trials share: which engines, how much traffic, clusters, and where results go.

``SLOTWAY_FAULTS=full`` runs every fault on every engine under more traffic, as ``make faults``
does; else each file runs on the engine that it names. ``SLOTWAY_FAULTS_RESULTS`` names a folder
for what was measured.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from engine_here import engine_here
from results import save_outcome
from trial import Fault, Trial, heal, shortcomings

from proxy.embedded import (
    ENGINES,
    EmbeddedCluster,
    ProxyProcess,
    find_engines,
)

IS_FULL = os.environ.get("SLOTWAY_FAULTS") == "full"
TURNS = 40 if IS_FULL else 10
RESULTS = os.environ.get("SLOTWAY_FAULTS_RESULTS")

Try = Callable[..., None]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a file's tests their engine, or all of them."""
    if "engine" in metafunc.fixturenames:
        one = getattr(metafunc.module, "SHORT_ENGINE", ENGINES[0])
        here = find_engines()
        if one not in here and here:
            one = next(iter(here))
        engines = ENGINES if IS_FULL else (one,)
        metafunc.parametrize("engine", engines, indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """As ``pytest_generate_tests`` says."""
    return engine_here(request.param)


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    """Variables that the servers of a file have besides ours; files may have their own."""
    return {}


@pytest.fixture(scope="module")
def cluster(
    engine: str, request: pytest.FixtureRequest, server_environment: Mapping[str, str]
) -> Iterator[EmbeddedCluster]:
    """Three primaries and three replicas, shared by the trials of a file; each leaves it whole."""
    settings = {
        # A shard that is gone takes no other with it: what clients of the others see is our doing.
        "cluster-require-full-coverage": "no",
        **getattr(request.module, "CLUSTER_SETTINGS", {}),
    }
    patience_ms = getattr(request.module, "NODE_TIMEOUT_MS", 1500)
    with EmbeddedCluster(
        engine,
        node_timeout_ms=patience_ms,
        settings=settings,
        environment=server_environment,
    ) as running:
        yield running


@pytest.fixture
def try_fault(engine: str, cluster: EmbeddedCluster) -> Iterator[Try]:
    """Try a fault on the shared cluster and assert that nobody was served worse than must be."""
    with ExitStack() as stack:

        def attempt(fault: Fault, front: ProxyProcess | None = None) -> None:
            heal(cluster)  # if the trial before ended halfway
            cluster.flush()
            front = stack.enter_context(
                front or ProxyProcess(cluster.addresses, settings=fault.proxy)
            )
            outcome = Trial(fault, cluster, front, TURNS).run()
            if RESULTS:
                save_outcome(Path(RESULTS), fault.name, engine, outcome)
            assert shortcomings(fault, outcome) == []
            assert front.tracebacks() == ""

        yield attempt
