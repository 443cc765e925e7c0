"""Requests as they go over the wire, and generators of whole dialogues of them.

Strategy: a dialogue picks one to three families, so that the same keys are used
again and again, and sometimes spoils a request: a word too few or too many, an
odd word in some place, another case.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from hypothesis.vendor.pretty import RepresentationPrinter

from differential.families import FAMILIES, OPENING
from differential.grammar import Words, compile_line
from differential.vocabulary import LIBRARY, ODD_WORDS, STORED_SCRIPTS, TAGS, terminals_of
from proxy.resp.encode import encode_command

SHOWN_BYTES = 400
# Beside what ends the quotes or the line: servers wait for a line end before a NUL, and
# Valkey 9.1 loses 0xff. As \x00 and \xff in double quotes they are read by all.
NOT_IN_QUOTES = frozenset(b"'\\\n\0\xff")
INLINE_BYTES = 16 * 1024  # well below a server's limit, which is another test's business


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client."""

    args: Words
    is_inline: bool = False

    @property
    def wire(self) -> bytes:
        """The bytes that are sent."""
        return inline_line(self.args) if self.is_inline else encode_command(*self.args)

    def __repr__(self) -> str:
        return f"{'inline ' * self.is_inline}{shown(b' '.join(self.args))}"

    def _repr_pretty_(self, printer: RepresentationPrinter, is_cycle: bool) -> None:
        """Have hypothesis print it in one line too."""
        printer.text(repr(self))


def shown(data: bytes) -> str:
    """Return bytes for people: the whole, or both ends of it."""
    if len(data) <= SHOWN_BYTES:
        return repr(data)
    half = SHOWN_BYTES // 2
    return f"{data[:half]!r} ...{len(data) - 2 * half} bytes... {data[-half:]!r}"


def inline_line(args: Words) -> bytes:
    """Return a line that a server splits into ``args``: plain words, and both kinds of quotes."""
    words = []
    for place, arg in enumerate(args):
        if arg.isalnum():
            words.append(arg)
        elif place % 2 and not set(arg) & NOT_IN_QUOTES:
            words.append(b"'%b'" % arg)
        else:
            words.append(b'"%b"' % b"".join(b"\\x%02x" % byte for byte in arg))
    return b" ".join(words) + b"\r\n"


def is_determined(args: Words) -> bool:
    """Return whether the request has the same outcome on two servers with the same data."""
    match args[0].upper():
        case b"SPOP":
            # Which members are removed is chance, unless all of them are.
            return args[2:] == (b"1000",)
        case b"HSCAN" | b"SSCAN" | b"ZSCAN":
            # Where a cursor leads that the server has not given is chance.
            return args[2:3] == (b"0",) or args[2:3] == (b"abc",)
        case b"FUNCTION":
            # Valkey 9.1 answers FUNCTION LIST with bytes that are no RESP, if it finds a line end.
            return not any(b"\n" in arg for arg in args[2:]) or args[1].upper() != b"LIST"
        case _:
            return True


def spoiled(request: SearchStrategy[Words]) -> SearchStrategy[Words]:
    """Return a generator of the same requests, some of them wrong in one place."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> Words:
        args = draw(request)
        how = draw(st.integers(0, 39))
        if how == 1:
            return args[:-1] or args
        if how == 2:
            return (*args, draw(st.sampled_from(ODD_WORDS)))
        if how in (3, 4) and len(args) > 1:
            place = draw(st.integers(1, len(args) - 1))
            return (*args[:place], draw(st.sampled_from(ODD_WORDS)), *args[place + 1 :])
        if how == 5:
            return (args[0].swapcase(), *args[1:])
        return args

    return draw_one()


def _family(lines: str, tag: bytes) -> SearchStrategy[Words]:
    terminals = terminals_of(tag)
    one = st.one_of([compile_line(line, terminals) for line in lines.strip().splitlines()])
    return spoiled(one).filter(is_determined)


_FAMILIES: dict[tuple[str, bytes], SearchStrategy[Words]] = {
    (name, tag): _family(lines, tag) for name, lines in FAMILIES.items() for tag in TAGS
}


@st.composite
def dialogues(draw: st.DrawFn) -> list[Request]:
    """Generate the requests of one client: about thirty, sometimes few, sometimes more."""
    names = draw(st.lists(st.sampled_from(list(FAMILIES)), min_size=1, max_size=3, unique=True))
    tags = draw(st.lists(st.sampled_from(TAGS), min_size=1, max_size=2, unique=True))
    line = st.one_of(*(_FAMILIES[name, tag] for name in names for tag in tags))
    # Lists of lists, because hypothesis makes short lists: six elements are its average.
    lines = draw(
        st.lists(
            st.lists(st.tuples(line, st.integers(0, 9)), min_size=1, max_size=12),
            min_size=1,
            max_size=12,
        )
    )
    return [
        Request(args, is_inline=number == 9 and sum(map(len, args)) < INLINE_BYTES)
        for group in lines
        for args, number in group
    ]


def opening() -> list[Request]:
    """Return requests that put something into one key of each kind and tag; scripts too."""
    lines = [
        line.replace("TAG:", tag.decode()).encode().split()
        for tag in TAGS
        for line in OPENING.strip().splitlines()
    ]
    lines += [[b"SCRIPT", b"LOAD", script] for script in STORED_SCRIPTS]
    lines += [[b"FUNCTION", b"LOAD", LIBRARY]]
    return [Request(tuple(line)) for line in lines]
