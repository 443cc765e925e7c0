"""A service manager as far as a service sees it: the socket that it is told at."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_S = 20.0


@contextmanager
def told(path: Path) -> Iterator[Callable[[str], str]]:
    """Listen as a service manager; what is yielded waits for a line that begins so.

    It returns the whole message.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(DEADLINE_S)

        def wait_for_line(begin: str) -> str:
            while True:
                message = manager.recv(4096).decode()
                if any(line.startswith(begin) for line in message.splitlines()):
                    return message

        yield wait_for_line
