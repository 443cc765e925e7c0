"""Child processes and files that cannot outlive us, even if we are killed with SIGKILL.

Strategy: all children of one leash are in one process group, led by a shell
that does nothing but read a pipe of which we hold the other end. When we end,
however we end, the kernel closes the pipe, the read returns, and the shell
removes the directory of the leash and kills the group. Being a group of its
own also keeps the Ctrl-C of the terminal from the children: whoever started
them ends them in order.

PR_SET_PDEATHSIG would do without the shell, but it fires when the *thread* that
started the child ends, and tests restart nodes from threads.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

# Deaf to everything but KILL: when we die while a child is stopped, the kernel
# sends the whole group SIGHUP, which would end the shell before it has killed
# anybody, and SIGCONT, which would let the child go on without it.
_WARDEN_SCRIPT = """trap '' HUP INT TERM; read _; rm -rf -- "$1"; kill -s KILL 0"""


class Leash:
    """A process group and a directory that go with us, or at ``release``.

    Attributes:
        directory: Fresh and empty, for the children's files.
    """

    def __init__(self) -> None:
        """Start the shell that holds the leash."""
        self.directory = Path(tempfile.mkdtemp(prefix="slotway-"))
        self._warden: subprocess.Popen[bytes] | None = subprocess.Popen(
            ["/bin/sh", "-c", _WARDEN_SCRIPT, "slotway-warden", self.directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def start(
        self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` on this leash; what it prints is appended to ``log``.

        Args:
            command: Program and arguments.
            log: Created if it is missing.
            env: The whole environment; None passes ours on.

        Raises:
            RuntimeError: The leash has been released.
            OSError: The program cannot be started.
        """
        if self._warden is None:
            raise RuntimeError("this leash has been released")
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                process_group=self._warden.pid,
            )

    def release(self) -> None:
        """Kill everything still on the leash and remove its directory. May be called again.

        Whoever called ``start`` still has to ``wait`` for its process.
        """
        warden, self._warden = self._warden, None
        if warden is not None:
            assert warden.stdin is not None
            warden.stdin.close()
            warden.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
