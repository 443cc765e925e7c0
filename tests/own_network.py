"""Networks of the test's own: every port is free, and nothing outside can be reached.

Strategy: a network namespace for the thread of the test; processes that it starts are in
it too. Only loopback is there, with all of 127.0.0.0/8, until a bridge is made, to which
machines with an address of their own are plugged in. Needs root.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

import pytest

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def own_network() -> Iterator[None]:
    """Move the calling thread into a fresh network, and back; skip where that is forbidden."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(CLONE_NEWNET):
            pytest.skip(f"no network namespaces: {os.strerror(ctypes.get_errno())}")
        try:
            _ip("link", "set", "lo", "up")
            yield
        finally:
            if _libc.setns(before, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "cannot return to the machine's network")
    finally:
        os.close(before)


class Bridge:
    """What machines of one subnet are plugged into; we have its first address."""

    def __init__(self, subnet: IPv4Network) -> None:
        """Make it in the network that we are in."""
        self._subnet = subnet
        self._plugs = 0
        _ip("link", "add", "bridge", "type", "bridge")
        _ip("address", "add", f"{subnet[1]}/{subnet.prefixlen}", "dev", "bridge")
        _ip("link", "set", "bridge", "up")

    @contextmanager
    def machine(self, address: str) -> Iterator[int]:
        """Yield a process that has a network of its own with this address."""
        self._plugs += 1
        plug = f"plug{self._plugs}"
        ready = "ip link set lo up && echo ready && exec cat"  # until we end, however we end
        holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", ready],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == b"ready\n"
            inside = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
            peer = ("peer", "name", "eth0", "netns", str(holder.pid))
            _ip("link", "add", plug, "type", "veth", *peer)
            _ip("link", "set", plug, "master", "bridge", "up")
            place = f"{address}/{self._subnet.prefixlen}"
            _ip("address", "add", place, "dev", "eth0", inside=inside)
            _ip("link", "set", "eth0", "up", inside=inside)
            yield holder.pid
        finally:
            holder.kill()
            holder.wait()
            holder.stdin.close()
            holder.stdout.close()


def _ip(*words: str, inside: tuple[str, ...] = ()) -> None:
    done = subprocess.run([*inside, "ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
