"""Tell the service manager that started us how we are (``sd_notify(3)``); nobody else.

Strategy: a datagram of assignments to the Unix socket that ``NOTIFY_SOCKET`` names. Where
there is none, as in a shell or a container, nothing is done.

Cost: a system call for each change of state, and two for each watchdog interval.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import trio

log = structlog.get_logger()

READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(*assignments: str) -> None:
    """Send assignments like ``READY=1`` in one message. What goes wrong is only logged."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    if place.startswith("@"):  # a name without a file
        place = "\0" + place[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto("\n".join(assignments).encode(), place)
    except OSError as problem:
        log.warning("service manager not told", problem=str(problem))


@contextmanager
def reloading() -> Iterator[None]:
    """Let the service manager know for how long the settings are being read again."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        yield
    finally:
        notify(READY)


async def keep_alive() -> None:
    """Send signs of life as often as the service manager wants them; return if it wants none.

    They come from trio's loop, so a process that no longer gets round to anything is restarted.
    """
    interval_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    while interval_us:
        notify("WATCHDOG=1")
        await trio.sleep(interval_us / 2e6)
