"""One ordinary server that is no cluster: what the proxy is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from proxy.cluster.topology import Address
from proxy.embedded.engines import find_engine
from proxy.embedded.leash import Leash
from proxy.embedded.node import RedisNode
from proxy.embedded.ports import lease_ports


class StandaloneServer:
    """A server on a leased port; a context manager that starts and stops it."""

    def __init__(
        self, engine: str = "valkey", *, settings: Mapping[str, str] | None = None
    ) -> None:
        """Describe the server; nothing runs yet.

        Args:
            engine: One of ``ENGINES``.
            settings: Server configuration.

        Raises:
            EngineMissing: The engine is not on this machine.
        """
        self._binary = find_engine(engine)
        self._settings = dict(settings or {})
        self._cleanup = ExitStack()
        self._node: RedisNode | None = None

    @property
    def node(self) -> RedisNode:
        """The process; only after ``start``."""
        assert self._node is not None, "start() comes first"
        return self._node

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.node.address

    @property
    def port(self) -> int:
        """The port of ``address``."""
        return self.node.port

    def start(self) -> Self:
        """Start the server and wait until it answers; ends what it began if that fails."""
        try:
            lease = self._cleanup.enter_context(lease_ports(1))
            leash = self._cleanup.enter_context(Leash())
            self._node = RedisNode(
                binary=self._binary,
                port=lease.ports[0],
                directory=leash.directory,
                leash=leash,
                settings=self._settings,
            )
            self._cleanup.callback(self._node.kill)
            self._node.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and remove its directory. May be called again."""
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
