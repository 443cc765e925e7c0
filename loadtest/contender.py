"""One process under measurement: how it is found, started, asked for right answers, and ended.

Every process is on a leash: it cannot outlive compare.py, and Ctrl-C reaches
compare.py alone, which ends the others in order.
"""

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from answers import WrongAnswer, check_answers

from proxy.cluster.topology import Address
from proxy.embedded.errors import EmbeddedError
from proxy.embedded.leash import Leash
from proxy.embedded.ports import PortLease, lease_ports

READY_LIMIT_S = 20.0
_READY_STEP_S = 0.05
_STOP_LIMIT_S = 5.0


class ContenderFailed(Exception):
    """A contender did not start or gives wrong answers; the text has its log's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """What stands behind the proxies."""

    cluster: Sequence[Address]
    standalone: Address
    standalone_pid: int


class Contender(ABC):
    """One process under measurement. ``start`` gives ``port`` and ``pid``; ``stop`` ends it."""

    name: ClassVar[str]
    is_proxy: ClassVar[bool] = True
    is_optional: ClassVar[bool] = False
    """It is left out where it is not installed, if nobody has named it."""
    port: int
    pid: int

    def __init__(self, backends: Backends, directory: Path, leash: Leash) -> None:
        """Describe the process; nothing runs yet.

        Args:
            backends: What to connect to.
            directory: For configuration and logs.
            leash: What the process dies with.
        """
        self.backends = backends
        self.directory = directory
        self.leash = leash

    @classmethod
    @abstractmethod
    def find_missing(cls) -> str | None:
        """Return what is not installed and how to install it, or None."""

    @classmethod
    @abstractmethod
    def describe_version(cls) -> str:
        """Return name and version, for the report."""

    @abstractmethod
    def launch(self) -> None:
        """Start the process and set ``port`` and ``pid``."""

    @abstractmethod
    def stop(self) -> None:
        """End the process; does nothing if it is not running."""

    @abstractmethod
    def is_running(self) -> bool:
        """Whether the process is there."""

    @abstractmethod
    def read_log(self) -> str:
        """Return what the process has said so far."""

    def start(self) -> None:
        """Start the process and wait until its answers are right.

        Raises:
            ContenderFailed: It ended, or gave no right answers in ``READY_LIMIT_S``.
        """
        self.launch()
        deadline = time.monotonic() + READY_LIMIT_S
        while True:
            try:
                check_answers(self.port)
            except (EmbeddedError, WrongAnswer) as error:
                # Envoy listens before it knows the cluster, and says "no upstream host".
                if time.monotonic() > deadline or not self.is_running():
                    end = self.read_log()[-800:]
                    raise ContenderFailed(f"{self.name}: {error}\n{end}") from error
                time.sleep(_READY_STEP_S)
            else:
                return


class ConfiguredProcess(Contender):
    """What other people's proxies share: ports, a file or flags, a command line, a log."""

    _lease: PortLease | None = None
    _process: subprocess.Popen[bytes] | None = None
    log: Path

    @abstractmethod
    def write_command(self, ports: Sequence[int]) -> list[str]:
        """Write the configuration, if there is one, and return the command line.

        Args:
            ports: The one to listen on for clients, and one for whatever else.
        """

    def launch(self) -> None:
        """Lease ports, write the configuration, start the process."""
        self._lease = lease_ports(2)
        self.port = self._lease.ports[0]
        self.log = self.directory / f"{self.name}-{self.port}.log"
        command = self.write_command(self._lease.ports)
        self._process = self.leash.start(command, log=self.log)
        self.pid = self._process.pid

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after ``_STOP_LIMIT_S``."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._lease is not None:
            self._lease.release()

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def read_log(self) -> str:
        """Return what the process has said so far."""
        return self.log.read_text(errors="replace")
