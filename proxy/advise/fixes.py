"""From keys that are used together to hash tags and pins that would put them together.

Strategy: two ways, both told with what they would fix and what they would cost.

*A hash tag around what the keys share* (``{user:17}``, ``{user:17}:cart``): the keys of one
user are together, users spread over the slots. The application has to name its keys so.
Chosen greedily, the most frequent problem first; a pattern can have only one tag.

*A pin*: all keys that begin with a prefix are in one slot. Nothing changes in the
application, everything about these keys works, and one shard carries them all.

Pure; runs once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from proxy.advise.patterns import Pattern, is_variable, literal_head, text_of
from proxy.advise.together import Group, Link, Tally, Together, Use

HOT_SHARE = 0.2  # chosen: more than this in one slot and one shard is the limit of all
FIX_LIMIT = 10  # of each kind that are told
_SEPARATORS = b":/.|"


@dataclass(frozen=True, slots=True)
class Fix:
    """One way to put keys together."""

    is_pin: bool
    patterns: tuple[bytes, ...]
    """What the keys look like now."""
    names: tuple[bytes, ...]
    """Hash tag: what they would look like, in the same order. Pin: the prefixes."""
    tag: bytes
    """Pin: its tag. Hash tag: empty."""
    fixed_cluster: int
    """Commands and transactions that a plain cluster client could then do; it knows no pins."""
    fixed_slotway: int
    """Those that slotway could then do, and cannot now."""
    hottest_share: float
    """Of all uses of keys, how many would be of one slot, at least."""
    hottest_value: bytes
    """Hash tag: whose slot that is. Pin: empty, it is the pin's."""

    @property
    def is_hot(self) -> bool:
        """Whether one slot would carry too much."""
        return self.hottest_share > HOT_SHARE


def find_fixes(together: Together) -> list[Fix]:
    """Return hash tags, then pins, each the one that fixes most first.

    Args:
        together: What was noted, settled.
    """
    groups = together.groups()
    tags = list(_tag_fixes([group for group in groups if group.tally.broken_cluster], together))
    # Behind slotway nobody needs a pin for what is split anyway.
    pins = list(_pin_fixes([group for group in groups if group.tally.pinnable], together))
    return [*_best(tags), *_best(pins)]


def _best(fixes: Iterable[Fix]) -> list[Fix]:
    order = sorted(fixes, key=lambda fix: (-fix.fixed_slotway, -fix.fixed_cluster, fix.patterns))
    return order[:FIX_LIMIT]


# ---- hash tags ---------------------------------------------------------------------------


def _tag_fixes(problems: list[Group], together: Together) -> Iterator[Fix]:
    chosen: dict[Pattern, int] = {}
    fixed: list[tuple[Group, Tally]] = []
    for group in problems:
        best = _best_link(group, chosen)
        if best is None:
            continue
        link, tally = best
        chosen.update(zip(group.patterns, link, strict=True))
        fixed.append((group, tally))
    for patterns in _components(group.patterns for group, _ in fixed):
        gain = Tally()
        for group, tally in fixed:
            if group.patterns[0] in patterns:
                gain.add(tally)
        yield _tag_fix(sorted(patterns), chosen, gain, together)


def _best_link(group: Group, chosen: dict[Pattern, int]) -> tuple[Link, Tally] | None:
    """Return the link that fixes most, and agrees with the tags that are chosen already."""
    best: tuple[Link, Tally] | None = None
    for link, tally in group.links.items():
        pairs = list(zip(group.patterns, link, strict=True))
        varies = all(is_variable(pattern[2 * word]) for pattern, word in pairs)
        agrees = all(chosen.get(pattern, word) == word for pattern, word in pairs)
        if not (varies and agrees and tally.broken_cluster):
            continue
        if best is None or tally.broken_cluster > best[1].broken_cluster:
            best = link, tally
    return best


def _tag_fix(
    patterns: list[Pattern], chosen: dict[Pattern, int], gain: Tally, together: Together
) -> Fix:
    heads = {pattern[: 2 * chosen[pattern] + 1] for pattern in patterns}
    # One variable, and the same words before it everywhere: all of that can be the tag.
    is_common = len(heads) == 1 and sum(map(is_variable, next(iter(heads)))) == 1
    names = tuple(_tagged(pattern, chosen[pattern], whole=is_common) for pattern in patterns)
    counts: dict[bytes, int] = {}
    for pattern in patterns:
        use = together.uses.get(pattern, Use())
        for value, count in use.share_of(chosen[pattern]).items():
            counts[value] = counts.get(value, 0) + count
    hottest = max(counts, key=counts.__getitem__, default=b"")
    return Fix(
        is_pin=False,
        patterns=tuple(map(text_of, patterns)),
        names=names,
        tag=b"",
        fixed_cluster=gain.broken_cluster,
        fixed_slotway=gain.broken_slotway,
        hottest_share=counts.get(hottest, 0) / max(together.total, 1),
        hottest_value=hottest,
    )


def _tagged(pattern: Pattern, word: int, *, whole: bool) -> bytes:
    """Return a pattern with a hash tag around one of its words, or up to it; it had no other."""
    bare = [b"" if part in (b"{", b"}") else part for part in pattern]
    place = 2 * word
    if whole:
        before, tagged, star, after = b"", b"".join(bare[:place]), bare[place], b""
        tagged += star
    else:
        # The last star is the one whose value was compared.
        head, _, after = bare[place].rpartition(b"*")
        before, tagged = b"".join(bare[:place]) + head, b"*"
    return before + b"{" + tagged + b"}" + after + b"".join(bare[place + 1 :])


# ---- pins --------------------------------------------------------------------------------


def _pin_fixes(problems: list[Group], together: Together) -> Iterator[Fix]:
    for patterns in _components(group.patterns for group in problems):
        gain = Tally()
        for group in problems:
            if group.patterns[0] in patterns:
                gain.add(group.tally)
        prefixes = _prefixes(patterns)
        share = sum(
            use.count
            for pattern, use in together.uses.items()
            if any(literal_head(pattern).startswith(prefix) for prefix in prefixes)
        )
        yield Fix(
            is_pin=True,
            patterns=tuple(text_of(pattern) for pattern in sorted(patterns)),
            names=tuple(prefixes),
            tag=_tag_of(prefixes),
            fixed_cluster=0,
            fixed_slotway=gain.pinnable,
            hottest_share=share / max(together.total, 1),
            hottest_value=b"",
        )


def _prefixes(patterns: Iterable[Pattern]) -> list[bytes]:
    """Return the prefixes of pins that hold for all keys of these patterns."""
    heads = sorted({literal_head(pattern) for pattern in patterns})
    common = heads[0]
    while not all(head.startswith(common) for head in heads):
        common = common[:-1]
    while len(heads) > 1 and common and common[-1] not in _SEPARATORS:
        common = common[:-1]
    if common:
        return [common]
    # Of two prefixes that overlap, the shorter says it all.
    return [
        head
        for head in heads
        if not any(head.startswith(other) and head != other for other in heads)
    ]


def _tag_of(prefixes: list[bytes]) -> bytes:
    """Return a word for the tag: the beginning of the first prefix."""
    word = prefixes[0].strip(_SEPARATORS + b"{}_-")
    for byte in _SEPARATORS + b"{}":
        word = word.split(bytes([byte]))[0]
    return word or b"all"


def _components(groups: Iterable[tuple[Pattern, ...]]) -> list[set[Pattern]]:
    """Return the patterns that hang together, directly or by others."""
    component_of: dict[Pattern, set[Pattern]] = {}
    for patterns in groups:
        merged: set[Pattern] = set(patterns)
        for pattern in patterns:
            merged |= component_of.get(pattern, set())
        for pattern in merged:
            component_of[pattern] = merged
    return [component for pattern, component in component_of.items() if pattern == min(component)]
