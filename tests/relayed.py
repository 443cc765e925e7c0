"""The relay as the tests see it: started, told what to do, and between a proxy and its nodes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.cluster.topology import Address
from proxy.embedded import lease_ports

PROGRAM = Path(__file__).with_name("relay.py")


class Relay:
    """A context manager: the process, and which of its ports leads to which node."""

    def __init__(self, nodes: Sequence[Address]) -> None:
        self._nodes = tuple(nodes)
        self._cleanup = ExitStack()
        self._ports: dict[Address, int] = {}

    def __enter__(self) -> Self:
        lease = self._cleanup.enter_context(lease_ports(len(self._nodes)))
        self._ports = dict(zip(self._nodes, lease.ports, strict=True))
        pairs = [f"{port}:{node.port}" for node, port in self._ports.items()]
        self._process = self._cleanup.enter_context(
            subprocess.Popen(
                [sys.executable, PROGRAM, *pairs],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self._cleanup.callback(self._process.kill)
        self._await_done()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    @property
    def seeds(self) -> list[Address]:
        """Where the proxy finds the nodes."""
        return [Address("127.0.0.1", port) for port in self._ports.values()]

    @property
    def address_map(self) -> str:
        """The setting that sends the proxy here."""
        return ",".join(f"{node}=127.0.0.1:{port}" for node, port in self._ports.items())

    def tell(self, word: str, node: Address, *numbers: float) -> None:
        """Have something befall the connections to a node; ``relay.py`` has the words."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, (word, self._ports[node], *numbers))) + "\n")
        self._process.stdin.flush()
        self._await_done()

    def _await_done(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line == "done\n", f"the relay said {line!r}"
