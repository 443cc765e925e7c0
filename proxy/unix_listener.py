"""A Unix socket for clients: made where nobody else listens, and removed at the end.

Strategy: the path of a socket outlives its process. One that nobody listens on any more is
removed; one that somebody does, or anything that is no socket, is left alone and told by
name. Its rights are those of the settings from its first moment on, and nobody can connect
before its group is right, for it does not listen yet. At the end it is removed only if the
path is still the socket that was made here.
"""

from __future__ import annotations

import grp
import os
import socket
import stat
from typing import Self

from proxy.config import Listen
from proxy.errors import ConfigError

KEY = "listen.unix_socket"


class UnixListener(socket.socket):
    """A listening Unix socket whose path goes when it is closed."""

    _made: tuple[int, int] | None = None

    @classmethod
    def open(cls, listen: Listen) -> Self:
        """Return a socket that listens at ``listen.unix_socket``.

        Raises:
            ConfigError: Somebody else listens there, or it cannot be made.
        """
        path = listen.unix_socket
        _make_way(path)
        group = _group_id(listen.unix_socket_group) if listen.unix_socket_group else -1
        listener = cls(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o777 & ~int(listen.unix_socket_mode, 8))
        try:
            listener.setblocking(False)
            listener.bind(path)
            listener.own()
            if group >= 0:
                os.chown(path, -1, group)
            listener.listen(listen.backlog)
        except OSError as problem:
            listener.close()
            raise ConfigError(
                key=KEY,
                given=repr(path),
                allowed=f"a path for a socket ({problem.strerror or problem})",
            ) from None
        finally:
            os.umask(before)
        return listener

    @property
    def is_made_here(self) -> bool:
        """Whether the path goes with this socket."""
        return self._made is not None

    def own(self) -> None:
        """Have the path removed with this socket."""
        self._made = _identity(self.getsockname())

    def disown(self) -> None:
        """Leave the path where it is: another process serves it now."""
        self._made = None

    def close(self) -> None:
        """Close it, and remove its path if that is still this socket's."""
        if self._made is not None and self.fileno() >= 0:
            path = self.getsockname()
            if _identity(path) == self._made:
                os.unlink(path)
            self._made = None
        super().close()


def _make_way(path: str) -> None:
    """Remove a socket that nobody listens on any more.

    Raises:
        ConfigError: There is something else.
    """
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return  # nothing is there, or bind will tell
    if not is_socket:
        raise ConfigError(key=KEY, given=repr(path), allowed="a path where there is no file")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # so many wait there to be accepted
        except OSError as problem:
            raise ConfigError(
                key=KEY, given=repr(path), allowed=f"a path for a socket ({problem.strerror})"
            ) from None
    raise ConfigError(key=KEY, given=repr(path), allowed="a path where no other process listens")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):  # the latter: a name that is no path
        return None
    return found.st_dev, found.st_ino


def _group_id(name: str) -> int:
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(
            key="listen.unix_socket_group", given=repr(name), allowed="a group of this machine"
        ) from None
