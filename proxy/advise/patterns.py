"""Fold keys into patterns: ``user:17:cart`` and ``user:4711:cart`` are ``user:*:cart``.

Strategy: a key is cut into words at ``: / . | { }``. Numbers, UUIDs, hexadecimal and other
opaque identifiers in a word become ``*``. What no expression can know (user names) is
learnt: a place at which more than ``WORD_LIMIT`` different words have been seen holds a
variable, and all its words are folded from then on but the few that are most of what was
seen there. Patterns that were noted before are folded again at the end.

Each word has a *value*: what ``*`` stands for, or the word itself. Folding never changes
how many words there are, so a place named by its number stays that place.

Cost: about 3 us a key of three words (CPython 3.11, CI machine); at most ``NODE_LIMIT``
words are remembered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORD_LIMIT = 50  # different words at one place; chosen: more than an application has entities
FIRST_WORD_LIMIT = 500  # the first word names the entity, and a monolith has many
NODE_LIMIT = 50_000  # words remembered in all; about 10 MB
FREQUENT = 3  # times as often as the usual word of a place: no value of a variable; chosen
MOST_WORDS = 12  # of a key; what is longer is one word more
KEY_LIMIT_BYTES = 200  # of a key; what is longer does not name an entity

_SEPARATORS = re.compile(rb"([:/.|{}])")
_VARIABLE = re.compile(
    rb"""
    [0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}         # a UUID
    | (?<![0-9A-Za-z])[0-9a-fA-F]{8,}(?![0-9A-Za-z])             # a hash
    | (?<![0-9A-Za-z])(?=[A-Za-z_=+-]*[0-9])(?=[0-9_=+-]*[A-Za-z])
      [0-9A-Za-z+=]{16,}(?![0-9A-Za-z])                          # a token, base64
    | [0-9]+(?:[-,][0-9]+)*                                      # a number, a date
    | \*+
    """,
    re.VERBOSE,
)

Pattern = tuple[bytes, ...]
"""Word, separator, word, ...: words with a ``*`` are variable. ``b"".join`` makes a text of it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A key, folded."""

    pattern: Pattern
    values: tuple[bytes, ...]
    """Of each word: what its (last) ``*`` stands for, or the word itself."""


class _Place:
    """What may follow a word: the words that were seen; with a variable, any other one too."""

    __slots__ = ("is_variable", "next", "visits")

    def __init__(self) -> None:
        self.next: dict[bytes, _Place] = {}
        self.is_variable = False
        self.visits = 0


class Folder:
    """Makes patterns of keys, and learns from them what is variable.

    Attributes:
        count: Words that are remembered.
    """

    def __init__(self) -> None:
        self._root = _Place()
        self.count = 0

    def fold(self, key: bytes) -> Shape:
        """Return the shape of a key."""
        parts = _SEPARATORS.split(key[:KEY_LIMIT_BYTES], maxsplit=MOST_WORDS)
        values = []
        place: _Place | None = self._root
        limit = FIRST_WORD_LIMIT
        for number in range(0, len(parts), 2):
            word = parts[number]
            folded, value = _fold_word(word)
            if place is not None and folded not in place.next:
                if not place.is_variable and len(place.next) >= limit:
                    self._make_variable(place)
                elif self.count >= NODE_LIMIT:
                    place.is_variable = True
            if word and (place is None or (place.is_variable and folded not in place.next)):
                folded, value = b"*", word
            parts[number] = folded
            values.append(value)
            place = self._next(place, folded)
            limit = WORD_LIMIT
        return Shape(tuple(parts), tuple(values))

    def _next(self, place: _Place | None, word: bytes) -> _Place | None:
        """Return what follows a word; None: there is no more room to remember it."""
        if place is None:
            return None
        following = place.next.get(word)
        if following is None:
            if self.count >= NODE_LIMIT:
                return None
            following = place.next[word] = _Place()
            self.count += 1
        following.visits += 1
        return following

    def fold_again(self, pattern: Pattern) -> Pattern:
        """Return an earlier pattern as it would be folded with all that is known now."""
        parts = list(pattern)
        place: _Place | None = self._root
        for number in range(0, len(parts), 2):
            if place is None:
                break
            if place.is_variable and parts[number] and parts[number] not in place.next:
                parts[number] = b"*"
            place = place.next.get(parts[number])
        return tuple(parts)

    def _make_variable(self, place: _Place) -> None:
        place.is_variable = True
        visits = sum(following.visits for following in place.next.values())
        # With as many words as fit, the usual one has 1/len of the visits.
        least = FREQUENT * visits / len(place.next)
        kept = {word: each for word, each in place.next.items() if each.visits >= least}
        self.count -= _size(place)
        place.next = kept
        self.count += _size(place)


def _size(place: _Place) -> int:
    """Return how many words follow a place, directly or not."""
    todo = [place]
    count = 0
    while todo:
        following = todo.pop().next.values()
        count += len(following)
        todo.extend(following)
    return count


def _fold_word(word: bytes) -> tuple[bytes, bytes]:
    """Return (the word with ``*`` for what varies, the value of its last ``*``)."""
    if len(word) < 8 and word.isalpha():
        return word, word  # nearly every word: too short for a hash
    found = None
    for found in _VARIABLE.finditer(word):  # noqa: B007 - the last one is wanted
        pass
    if found is None:
        return word, word
    return _VARIABLE.sub(b"*", word), found[0]


def is_variable(word: bytes) -> bool:
    """Return whether a word of a pattern stands for many."""
    return b"*" in word


def text_of(pattern: Pattern) -> bytes:
    """Return a pattern as it is written."""
    return b"".join(pattern)


def literal_head(pattern: Pattern) -> bytes:
    """Return what all keys of a pattern begin with; empty if it begins with a variable."""
    return text_of(pattern).partition(b"*")[0]
