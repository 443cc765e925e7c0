"""What every test can ask for: an engine, and a line that says which engines are here.

Generated tests try the same cases in every run, unless ``HYPOTHESIS_PROFILE`` says to
look for new ones (``make fuzz``).
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_here import engine_here
from hypothesis import settings

from proxy.embedded import ENGINES, EngineMissing, engine_label
from proxy.embedded.engines import SERVERS_VARIABLE

# The same cases in every run, and no deadline: how long one takes is the machine's business.
settings.register_profile("steady", derandomize=True, deadline=None)
if "HYPOTHESIS_PROFILE" not in os.environ:
    settings.load_profile("steady")


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Run the test once for each engine, skipping those that are not on this machine."""
    return engine_here(request.param)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let somebody name the servers: ``--server build/valkey-7.2/src/valkey-server``."""
    parser.addoption(
        "--server",
        action="append",
        metavar="PROGRAM",
        help="run on this redis-server or valkey-server and no other engine; once for each engine",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell everybody which servers were named, also the programs that tests start."""
    # A shell starts what it puts in the background (and nohup what it is given) deaf to these,
    # and so would be every program that a test starts and ends by them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.option.loadscopereorder = False  # pytest-xdist's own order; see below
    if named := config.getoption("--server"):
        os.environ[SERVERS_VARIABLE] = os.pathsep.join(str(Path(path).absolute()) for path in named)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files run side by side, have those begin first that take long.

    By the mark ``takes``, then by how many tests a file has. pytest-xdist would go by the
    latter alone, and the end of a run would be the one worker that builds an image.
    """
    if not hasattr(config, "workerinput"):
        return
    counts = Counter(item.path for item in items)

    def lasts(item: pytest.Item) -> tuple[float, int]:
        mark = item.get_closest_marker("takes")
        return -(mark.args[0] if mark else 0.0), -counts[item.path]

    items.sort(key=lasts)


def pytest_report_header() -> str:
    """Name the engines of this run, and how to get the others."""
    return "engines: " + "; ".join(_engine_lines())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say again at the end what was left out, for the skips themselves are only dots."""
    for line in _engine_lines(only_missing=True):
        terminalreporter.write_line(f"skipped {line}", yellow=True)


def _engine_lines(*, only_missing: bool = False) -> Iterator[str]:
    for name in ENGINES:
        try:
            label = engine_label(name)
        except EngineMissing as problem:
            yield f"everything on {problem}"
        else:
            if not only_missing:
                yield label
