"""Lines like ``SET string value [NX|XX] (EX seconds)`` become generators of requests.

Strategy: a tiny language, so that the families of commands stand in the tests as
Redis's own documentation writes them:

- a word in capitals, a number or a sign stands for itself;
- a word in small letters is looked up among the terminals;
- ``[x]`` may be left out, ``(x y)`` groups, ``a|b`` is one of them, ``x+`` is x one
  to four times. ``|`` binds weaker than a sequence.

Cost: a line is compiled once, at import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Words = tuple[bytes, ...]

_TOKEN = re.compile(r"[][()|+]|[^][()|+\s]+")
_MOST_REPEATS = 4


def compile_line(
    line: str, terminals: Mapping[str, SearchStrategy[bytes]]
) -> SearchStrategy[Words]:
    """Return a generator of the argument lists that a line allows.

    Raises:
        SyntaxError: The line is not in the language, or names an unknown terminal.
    """
    tokens = _TOKEN.findall(line)
    made, rest = _alternatives(tokens, terminals)
    if rest:
        raise SyntaxError(f"{rest[0]!r} closes nothing in {line!r}")
    return made


def _alternatives(
    tokens: list[str], terminals: Mapping[str, SearchStrategy[bytes]]
) -> tuple[SearchStrategy[Words], list[str]]:
    choices = []
    while True:
        choice, tokens = _sequence(tokens, terminals)
        choices.append(choice)
        if not tokens or tokens[0] != "|":
            return (choices[0] if len(choices) == 1 else st.one_of(choices)), tokens
        tokens = tokens[1:]


def _sequence(
    tokens: list[str], terminals: Mapping[str, SearchStrategy[bytes]]
) -> tuple[SearchStrategy[Words], list[str]]:
    parts: list[SearchStrategy[Words]] = []
    while tokens and tokens[0] not in ("|", ")", "]"):
        token, tokens = tokens[0], tokens[1:]
        if token in ("(", "["):
            part, tokens = _alternatives(tokens, terminals)
            if tokens[:1] != [")" if token == "(" else "]"]:
                raise SyntaxError(f"{token!r} is not closed")
            tokens = tokens[1:]
            if token == "[":
                part = st.one_of(st.just(()), part)
        elif token.islower():
            if token not in terminals:
                raise SyntaxError(f"{token!r} is no terminal")
            part = terminals[token].map(_one_word)
        else:
            part = st.just((token.encode(),))
        if tokens[:1] == ["+"]:
            part, tokens = st.lists(part, min_size=1, max_size=_MOST_REPEATS).map(_join), tokens[1:]
        parts.append(part)
    return (parts[0] if len(parts) == 1 else st.tuples(*parts).map(_join)), tokens


def _one_word(word: bytes) -> Words:
    return (word,)


def _join(parts: list[Words] | tuple[Words, ...]) -> Words:
    return tuple(word for part in parts for word in part)
