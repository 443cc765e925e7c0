"""Write any bytes as text that no terminal takes for a command of its own.

Strategy: what a log has in it may be anything, also a name that a client has chosen to
colour somebody else's screen.

Cost: about 10 us; only what is shown is written.
"""

from __future__ import annotations

NAME_LIMIT = 80  # characters


def printable(data: bytes) -> str:
    """Return bytes as text on one line, what cannot be printed as an escape; a long one is cut."""
    text = data[: 4 * NAME_LIMIT].decode(errors="backslashreplace")
    text = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    if not text:
        return '""'
    return text if len(text) <= NAME_LIMIT else text[: NAME_LIMIT - 3] + "..."
