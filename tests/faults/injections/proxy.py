"""What befalls the proxy itself: it is killed, it has no descriptors left."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trial import FAULT_DEADLINE_S, Scene

from proxy.embedded import wait_for

SPARE = 3
STRANGERS = 30
RESTARTS = 2


@contextmanager
def killed_and_restarted(scene: Scene) -> Iterator[None]:
    """Kill the proxy (SIGKILL) and start it again, twice; its clients connect again."""
    for _ in range(RESTARTS):
        os.kill(scene.proxy.pid, signal.SIGKILL)
        scene.proxy.wait()
        scene.proxy.start()
        scene.crowd.wait_for_progress(2)
    yield


@contextmanager
def without_descriptors(scene: Scene) -> Iterator[None]:
    """Leave the proxy hardly a descriptor, and have strangers ask for more."""
    pid = scene.proxy.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    limit = max(_descriptors(pid)) + SPARE
    place = (scene.proxy.address.host, scene.proxy.address.port)
    with ExitStack() as stack:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limits[1]))
        for _ in range(STRANGERS):
            stack.enter_context(socket.create_connection(place))
        wait_for(
            lambda: _descriptors(pid) >= set(range(limit)), FAULT_DEADLINE_S, "all to be taken"
        )
        yield
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def _descriptors(pid: int) -> set[int]:
    return {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
