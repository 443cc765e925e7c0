"""Write keys, patterns and commands for people: keys are shown or hashed, values hidden.

Strategy: what is no key of a command may be a password or a person's data, so it is a
``?`` unless asked for. Names of commands and subcommands are no secret, and of a script its
SHA1 is what one looks for. With ``hide_keys`` each word of a key is hashed with a secret
that is made anew for each report: equal names stay equal within it, and nobody can try.

Cost: only examples are written, a few for each finding.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from itertools import groupby

from proxy.advise.conversation import CARRIERS, SCRIPTS, Call, Unit, sha1_of
from proxy.advise.printing import printable

ARGUMENT_LIMIT = 12  # of one command
ARGUMENTS_LOOKED_AT = 100
HIDDEN_LIMIT = 3  # values in a row that are written one by one
COMMAND_LIMIT = 6  # of one transaction

_WORDS = re.compile(rb"([:/.|{}*])")
_HIDDEN = "?"


class Wording:
    """How keys and commands are written.

    Args:
        hide_keys: Write a hash for each word of a key.
        show_values: Write all other arguments too.
    """

    def __init__(self, *, hide_keys: bool = False, show_values: bool = False) -> None:
        self._secret = secrets.token_bytes(16) if hide_keys else b""
        self._show_values = show_values

    def name(self, name: bytes) -> str:
        """Return a key, a pattern or a prefix."""
        if not self._secret:
            return printable(name)
        parts = _WORDS.split(name)
        parts[::2] = [self._hash(part) if part else b"" for part in parts[::2]]
        return b"".join(parts).decode()

    def value(self, value: bytes) -> str:
        """Return what a ``*`` stands for."""
        return self._hash(value).decode() if self._secret and value else printable(value)

    def unit(self, unit: Unit) -> str:
        """Return a command, or a transaction in one line."""
        if not unit.is_transaction:
            return self.call(unit.calls[0])
        words = [self.call(call) for call in unit.calls[:COMMAND_LIMIT]]
        left = len(unit.calls) - len(words)
        if left:
            words.append(f"({left} more)")
        if unit.watched:
            watched = [self.name(key) for key in unit.watched[:ARGUMENT_LIMIT]]
            words.insert(0, "MULTI")
            words.insert(0, f"WATCH {' '.join(watched)}")
        else:
            words.insert(0, "MULTI")
        return "; ".join([*words, "EXEC"])

    def call(self, call: Call) -> str:
        """Return a command with its keys."""
        keys = frozenset(call.places)
        looked_at = list(enumerate(call.args))[1 : ARGUMENTS_LOOKED_AT + 1]
        written = (self._argument(call, place, arg, place in keys) for place, arg in looked_at)
        words = []
        for is_hidden, run in groupby(written, key=lambda word: word == _HIDDEN):
            same = list(run)
            is_long = is_hidden and len(same) > HIDDEN_LIMIT
            words += [f"({len(same)} values)"] if is_long else same
        if len(words) > ARGUMENT_LIMIT or len(call.args) > ARGUMENTS_LOOKED_AT + 1:
            words[ARGUMENT_LIMIT:] = ["..."]
        words.insert(0, printable(call.args[0]).upper())
        if call.touched:
            touched = [self.name(key) for key in call.touched[:ARGUMENT_LIMIT]]
            words.append(f"-> touches {' '.join(touched)}")
        return " ".join(words)

    def _argument(self, call: Call, place: int, arg: bytes, is_key: bool) -> str:
        if is_key:
            return self.name(arg)
        if place == 1 and b"|" in call.name:
            return printable(arg).upper()
        if place == 1 and call.name in CARRIERS and not arg.startswith(b"sha1:"):
            return printable(sha1_of(arg))
        if place == 1 and call.name in SCRIPTS:
            return printable(arg)
        if place == 2 and call.name in SCRIPTS and arg.isdigit():
            return printable(arg)
        if place == 1 and call.name == b"select" and arg.isdigit():
            return printable(arg)
        return printable(arg) if self._show_values else _HIDDEN

    def _hash(self, word: bytes) -> bytes:
        if word.isdigit() and len(word) < 3:
            return word  # an index, not a name
        return b"#" + hashlib.blake2b(word, key=self._secret, digest_size=4).hexdigest().encode()
