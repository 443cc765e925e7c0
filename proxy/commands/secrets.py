"""Which arguments of a request nobody may read later: passwords, and what may hold one.

Strategy: hidden are whole arguments, by place or by the word before them, as in Redis's
slow log and MONITOR. Of a command that no server knows all are: nobody can say what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.commands.spec import CommandSpec

HIDDEN = b"(redacted)"

HIDDEN_FROM: dict[bytes, int] = {
    b"auth": 1,
    b"acl|setuser": 2,
    b"acl|deluser": 2,
    b"acl|getuser": 2,
    b"proxy|config": 4,
    b"proxy|explain": 3,
}
"""Commands whose arguments are hidden from this one on."""
WORDS_BEFORE: dict[bytes, dict[bytes, int]] = {
    b"hello": {b"AUTH": 2},
    b"migrate": {b"AUTH": 1, b"AUTH2": 2},
}
"""Commands where so many arguments after a word are hidden."""
EVERY_VALUE: frozenset[bytes] = frozenset({b"config|set", b"module|loadex"})
"""Commands of names and values, of which every value is hidden."""

HAVE_SECRETS = frozenset(HIDDEN_FROM) | frozenset(WORDS_BEFORE) | EVERY_VALUE
"""All commands that ``hide_secrets`` has something to do for."""


def has_secrets(spec: CommandSpec) -> bool:
    """Say whether requests with this row may hold a secret."""
    # A container's own row is for subcommands that do not exist: a slip of the pen, perhaps.
    return spec.is_container or spec.name in HAVE_SECRETS


def hide_secrets(spec: CommandSpec | None, args: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the arguments with ``HIDDEN`` in place of those that are secret.

    Args:
        spec: The row of the request; None if there is none.
        args: The request, or its beginning.
    """
    if spec is None:
        return _hide_from(1, args)
    if spec.name in HIDDEN_FROM:
        return _hide_from(HIDDEN_FROM[spec.name], args)
    if spec.name in WORDS_BEFORE:
        return _hide_after(WORDS_BEFORE[spec.name], args)
    if spec.name in EVERY_VALUE:
        return tuple(HIDDEN if at > 2 and at % 2 else arg for at, arg in enumerate(args))
    if spec.is_container:
        return _hide_from(2, args)
    return tuple(args)


def _hide_from(first: int, args: Sequence[bytes]) -> tuple[bytes, ...]:
    return (*args[:first], *[HIDDEN] * len(args[first:]))


def _hide_after(words: dict[bytes, int], args: Sequence[bytes]) -> tuple[bytes, ...]:
    shown = []
    hidden = 0
    for arg in args:
        shown.append(HIDDEN if hidden else arg)
        hidden = hidden - 1 if hidden else words.get(arg.upper(), 0)
    return tuple(shown)
