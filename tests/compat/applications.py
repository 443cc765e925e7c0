"""What the tests of applications share: settings, and an application's own processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pytest

from proxy.cluster.topology import Address
from proxy.embedded.leash import Leash

APPS = Path(__file__).parent / "apps"
NODE = Path(__file__).parent / "node"
RUBY = Path(__file__).parent / "ruby"
STOP_DEADLINE_S = 10.0

PACKAGES = (
    *("arq", "celery", "django_redis", "dramatiq", "flask_limiter", "huey", "pottery", "rq"),
    "walrus",
)

T = TypeVar("T")

# For applications that use MULTI as a batch over keys of any slot.
SPLIT = {"commands.transactions": "split"}

Serve = Callable[..., Address]
"""Takes settings by ``table.key``; see the fixture ``serve``."""


class Workers:
    """Processes that run beside a test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._leash: Leash
        self._cleanup = ExitStack()
        self._count = 0

    def start(self, *command: str | Path, **environment: str) -> Path:
        """Start a program; return where its output is written."""
        self._count += 1
        log = self.directory / f"worker-{self._count}.log"
        process = self._leash.start(command, log=log, env=self._environment(environment))
        self._cleanup.callback(_stop, process)
        return log

    def start_python(self, *arguments: str | Path, **environment: str) -> Path:
        """Start ``python`` with these arguments; ``apps/`` can be imported."""
        return self.start(sys.executable, *arguments, **environment)

    def run(self, *command: str | Path, within_s: float = 60.0, **environment: str) -> str:
        """Run a program to its end and return what it printed; it must succeed."""
        done = subprocess.run(
            command,
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def run_node(self, script: str, **environment: str) -> str:
        """Run a script of ``node/`` to its end, if Node.js and its packages are there."""
        return self.run(find_node(), NODE / script, **environment)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(APPS), **more}

    def __enter__(self) -> Self:
        self._leash = self._cleanup.enter_context(Leash())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()


def finish(work: Coroutine[object, object, T], within_s: float = 60.0) -> T:
    """Run an asyncio application's coroutine to its end, which must come in time."""
    return asyncio.run(asyncio.wait_for(work, within_s))


def find_node() -> str:
    """Return the program ``node``, or skip the test with the reason."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    if not (NODE / "node_modules").is_dir():
        pytest.skip(f"run: npm ci --prefix {NODE}")
    return node


def find_sidekiq() -> tuple[str, str]:
    """Return the programs ``ruby`` and ``sidekiq``, or skip the test with the reason."""
    ruby, sidekiq = shutil.which("ruby"), shutil.which("sidekiq")
    if ruby is None or sidekiq is None:
        pytest.skip("Sidekiq is not installed: Debian has it in ruby-sidekiq")
    return ruby, sidekiq


def missing() -> Iterator[str]:
    """Say what cannot be tested here, and what to do about it."""
    packages = [name for name in PACKAGES if find_spec(name) is None]
    if packages:
        yield f"{', '.join(packages)}: pip install --constraint constraints.txt -e '.[compat]'"
    for program in ("redis-cli", "redis-benchmark"):
        if shutil.which(program) is None:
            yield f"{program}: Debian has it in redis-tools"
    if shutil.which("sidekiq") is None:
        yield "Sidekiq: Debian has it in ruby-sidekiq"
    if shutil.which("node") is None:
        yield "ioredis, node-redis, BullMQ: Node.js is not installed"
    elif not (NODE / "node_modules").is_dir():
        yield "ioredis, node-redis, BullMQ: npm ci --prefix tests/compat/node"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
