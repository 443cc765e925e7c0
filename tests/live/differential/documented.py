"""Calls of every command a server has, made from the server's own COMMAND DOCS.

So a command of a newer server is called here without being named anywhere. A
call has the right words in the right places; whether they make sense together
is left to the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from differential.grammar import Words
from differential.wire import Frame

WORD_OF_TYPE = {
    b"key": b"{a}key",
    b"integer": b"1",
    b"double": b"0.5",
    b"pattern": b"*",
    b"unix-time": b"4102444800",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument as the server describes it."""

    name: bytes
    type: bytes
    token: bytes
    flags: frozenset[bytes]
    parts: tuple[Argument, ...]
    """Of a block: in this order. Of a oneof: the choices."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command or subcommand."""

    name: Words
    arguments: tuple[Argument, ...]
    is_container: bool

    def call(self, *, with_options: bool) -> Words:
        """Return a call with only what must be there, or with every option."""
        return (*self.name, *_words(self.arguments, with_options=with_options))


def described_commands(docs: Frame) -> Iterator[Command]:
    """Yield every command and subcommand of a RESP2 reply to COMMAND DOCS."""
    for name, entry in _pairs(docs):
        fields = dict(_pairs(entry))
        subcommands = fields.get(b"subcommands")
        yield Command(
            name=tuple(name.split(b"|")),
            arguments=_arguments(fields.get(b"arguments")),
            is_container=subcommands is not None,
        )
        if subcommands is not None:
            yield from described_commands(subcommands)


def _pairs(frame: Frame) -> list[tuple[bytes, Frame]]:
    items = frame.items or ()
    return [(name.text, value) for name, value in zip(items[::2], items[1::2], strict=True)]


def _arguments(frame: Frame | None) -> tuple[Argument, ...]:
    return tuple(_argument(dict(_pairs(item))) for item in (frame.items if frame else None) or ())


def _argument(fields: dict[bytes, Frame]) -> Argument:
    flags = fields.get(b"flags")
    token = fields.get(b"token")
    return Argument(
        name=fields[b"name"].text,
        type=fields[b"type"].text,
        token=token.text if token else b"",
        flags=frozenset(flag.text for flag in (flags.items if flags else None) or ()),
        parts=_arguments(fields.get(b"arguments")),
    )


def _words(arguments: Iterable[Argument], *, with_options: bool) -> Iterator[bytes]:
    for argument in arguments:
        if b"optional" in argument.flags and not with_options:
            continue
        if argument.token:
            yield argument.token
        match argument.type:
            case b"pure-token":
                pass
            case b"oneof":
                # "*" is XADD's id of the moment, which no two servers have in common.
                choices = [part for part in argument.parts if part.token != b"*"]
                yield from _words(choices[:1], with_options=with_options)
            case b"block":
                yield from _words(argument.parts, with_options=with_options)
            case b"integer" if b"seconds" in argument.name:
                yield b"100000"  # no key may expire while it is looked at
            case other:
                yield WORD_OF_TYPE.get(other, b"{a}word")
