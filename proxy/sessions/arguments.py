"""Read arguments the way a server reads them: words, integers, printable names.

Strategy: pure functions from argument bytes to a value, or None where a server
refuses; the caller knows which error text belongs there.
"""

from __future__ import annotations

import re

from proxy.dataplane.tables import Command
from proxy.resp import replies

# string2ll: no sign but "-", no leading zero, no blank, no "-0".
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def parse_integer(argument: bytes) -> int | None:
    """Return the 64-bit signed integer that ``argument`` is, or None."""
    if _INTEGER.fullmatch(argument) is None:
        return None
    number = int(argument)
    return number if INT64_MIN <= number <= INT64_MAX else None


def is_printable_name(argument: bytes) -> bool:
    """Return whether a server takes this as a connection's name: ``!`` to ``~``, or empty."""
    return all(0x21 <= byte <= 0x7E for byte in argument)


def miscounted(command: Command, args: list[bytes]) -> bytes:
    """Say what a server says to too few or too many arguments, or to a last key cut short."""
    is_cut_short = command.spec.takes(len(args))
    if is_cut_short and any(keys.is_keynum for keys in command.spec.key_specs):
        return replies.syntax_error()
    return replies.wrong_arity(command.name)
