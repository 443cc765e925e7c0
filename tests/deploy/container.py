"""Run an image as Docker would, without Docker: namespaces, no rights, a read-only root.

Strategy: util-linux makes the namespaces (processes, mounts, IPC, host name) and gives the
rights away; the image's own command is process 1 in there. The network is the one of the
test, or of a machine of ``own_network.py``: a port is published by being listened on, and
names stand in /etc/hosts.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from proxy.embedded import wait_for
from proxy.embedded.leash import Leash

DEADLINE_S = 20.0

# $1: the root; $2: ro or rw; $3: a file of mounts, "from to"; the rest is run.
_ENTER = """set -e
root=$1 mode=$2 mounts=$3; shift 3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
while read -r source target; do
    mkdir -p "$root${target%/*}"
    if [ -d "$source" ]; then mkdir -p "$root$target"; else touch "$root$target"; fi
    mount --bind "$source" "$root$target"
done < "$mounts"
mount -o "remount,bind,$mode" "$root"
exec chroot "$root" "$@"
"""
_DEVICES = {f"/dev/{name}": Path("/dev") / name for name in ("null", "zero", "urandom")}
_NO_RIGHTS = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--clear-groups")
_NAMESPACES = ("--mount", "--pid", "--ipc", "--uts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run in an image, and how.

    Attributes:
        user: Number of the user and of its group, "10001:10001".
        mounts: Path in there to what is seen there.
    """

    command: Sequence[str]
    environment: Sequence[str]
    user: str
    read_only: bool = False
    mounts: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunLine:
    """The words of a ``docker run``, those that we know; another one is an error."""

    image: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[int, int] = field(default_factory=dict)
    read_only: bool = False

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line of a document."""
        parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
        parser.add_argument("-p", "--publish", action="append", default=[])
        parser.add_argument("-e", "--env", action="append", default=[])
        parser.add_argument("--read-only", action="store_true")
        parser.add_argument("words", nargs="+")
        words = shlex.split(line)
        assert words[:2] == ["docker", "run"], line
        given = parser.parse_args(words[2:])
        return cls(
            image=given.words[0],
            command=tuple(given.words[1:]),
            environment=dict(variable.split("=", 1) for variable in given.env),
            ports={int(a): int(b) for a, b in (port.split(":")[-2:] for port in given.publish)},
            read_only=given.read_only,
        )

    def plan(self, image: Mapping[str, Any]) -> Plan:
        """Return what comes of it for an image with these settings."""
        return Plan(
            command=[*image["Entrypoint"], *(self.command or image["Cmd"])],
            environment=[*image["Env"], *map("=".join, self.environment.items())],
            user=image["User"],
            read_only=self.read_only,
        )


class Container:
    """A running image; a context manager that starts and, if need be, kills it.

    Attributes:
        log: What it has written.
    """

    def __init__(
        self,
        root: Path,
        plan: Plan,
        *,
        names: Mapping[str, str],
        directory: Path,
        network_of: int | None = None,
    ) -> None:
        """Describe it; nothing runs yet.

        Args:
            root: The image's files.
            plan: What is to run.
            names: Host name to address.
            directory: Its own, for the log and the like.
            network_of: The process whose network it is to have; None: ours.
        """
        self.log = directory / "container.log"
        self._plan = plan
        hosts, mounts = directory / "hosts", directory / "mounts"
        lines = [f"{address} {name}\n" for name, address in names.items()]
        hosts.write_text("127.0.0.1 localhost\n" + "".join(lines))
        seen = {**_DEVICES, "/etc/hosts": hosts, **plan.mounts}
        mounts.write_text("".join(f"{source} {target}\n" for target, source in seen.items()))
        enter = ["nsenter", f"--net=/proc/{network_of}/ns/net"] if network_of else []
        self._command: list[str | Path] = [
            *enter,
            *("unshare", *_NAMESPACES, "--fork", "--propagation", "private"),
            *("sh", "-c", _ENTER, "sh", root, "ro" if plan.read_only else "rw", mounts),
            *self._as_user(plan.command),
        ]
        self._leash = Leash()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = self._leash.start(self._command, log=self.log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        # Process 1 first: with it everything in there has ended, and its port is free.
        with suppress(ProcessLookupError):
            os.kill(self.pid or self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._leash.release()

    @property
    def pid(self) -> int:
        """The process id, as seen from here, of what is process 1 in there; 0 if not yet."""
        assert self._process is not None
        with suppress(FileNotFoundError, IndexError):
            unshare = self._process.pid
            return int(Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()[0])
        return 0

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one more command in there, as ``docker exec`` and HEALTHCHECK do."""
        return subprocess.run(
            [
                *("nsenter", "--target", str(self.pid), *_NAMESPACES, "--net"),
                *("--root", "--wd=/", *self._as_user(command)),
            ],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def wait_until(self, *command: str) -> None:
        """Run a command in there until it succeeds."""
        said = "it has not begun"

        def succeeds() -> bool:
            nonlocal said
            assert self._process is not None
            assert self._process.poll() is None, f"it ended\n{self.log.read_text()}"
            if not self.pid or not Path(f"/proc/{self.pid}/root/proc/1").exists():
                return False
            done = self.run(*command)
            said = done.stdout + done.stderr
            return done.returncode == 0

        wait_for(succeeds, DEADLINE_S, lambda: f"{command}: {said}\n{self.log.read_text()}")

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """Wait until it ends by itself; return its exit code."""
        assert self._process is not None
        return self._process.wait(deadline_s)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to process 1, as ``docker stop`` does, and return its exit code."""
        os.kill(self.pid, number)
        return self.wait()

    def _as_user(self, command: Sequence[str]) -> list[str]:
        user, _, group = self._plan.user.partition(":")
        ids = [f"--reuid={user}", f"--regid={group}"]
        return ["setpriv", *ids, *_NO_RIGHTS, "env", "-i", *self._plan.environment, *command]
