"""A proxy and its successors, each of which takes the place of the one before."""

from __future__ import annotations

import ctypes
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from admin_client import DEADLINE_S, Admin

from proxy.embedded import wait_for

PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37


@contextmanager
def adopting() -> Iterator[None]:
    """Make whoever loses its parent our child meanwhile, so that we hear how it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = ctypes.c_int()
    assert libc.prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0) == 0
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        assert libc.prctl(PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0) == 0


class Line:
    """A proxy and its successors, one after another."""

    def __init__(self, admin: Admin) -> None:
        self.admin = admin
        self.proxy = admin.proxy
        self.pid = admin.proxy.pid
        self.is_over = False
        self.codes: list[int] = []

    def said(self, words: str) -> list[str]:
        """Return the lines of the log that have these words."""
        return [line for line in self.proxy.log.read_text().splitlines() if words in line]

    def begin(self) -> None:
        """Have the proxy of now start a successor."""
        os.kill(self.pid, signal.SIGUSR2)

    def hand_over(self) -> None:
        """Have the proxy of now start a successor, and see it end."""
        self.begin()
        self.follow()

    def follow(self) -> None:
        """See the proxy of now end because a successor serves."""
        successor = wait_for(
            lambda: re.findall(r"\] handed over .*process=(\d+)", self.proxy.log.read_text())[
                len(self.codes) :
            ],
            DEADLINE_S,
            lambda: "a handover\n" + self.proxy.log.read_text()[-3000:],
        )[0]
        self.codes.append(self.wait())
        self.pid = int(successor)

    def wait(self) -> int:
        """Return the exit code of the proxy of now, when it has ended."""
        if not self.codes:
            return self.proxy.wait()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def end(self) -> int:
        """End the proxy of now; return its exit code."""
        self.is_over = True
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()


@contextmanager
def line_of(admin: Admin) -> Iterator[Line]:
    """Let a proxy have successors; the last one ends with the block."""
    line = Line(admin)
    with adopting():
        try:
            yield line
        finally:
            if not line.is_over:
                line.end()
