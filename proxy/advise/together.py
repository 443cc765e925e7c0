"""Which keys are used together, and how much each kind of key is used.

Strategy: keys are folded into patterns (``patterns.py``). A *group* is the set of patterns
whose keys occurred in one command, script or transaction, with how often, how often that
was a problem, and which *link* held: a place in each pattern at which all keys had the
same value, ``user:17`` and ``user:17:cart`` both 17. From links come hash tags.

For patterns of groups the values at each place are counted as well, to know how
much of the traffic one of them would bring to a slot.

Limits: ``PATTERN_LIMIT`` patterns and ``GROUP_LIMIT`` groups; of one occurrence the first
``KEYS_LOOKED_AT`` keys and ``PATTERNS_OF_GROUP`` patterns. What is beyond is counted.

Cost: about 4 us a key, 20 us for an occurrence of two keys (CPython 3.11, CI machine).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from proxy.advise.counting import Heavy
from proxy.advise.patterns import Folder, Pattern, Shape, is_variable
from proxy.cluster.slots import SLOT_COUNT, key_slot

PATTERN_LIMIT = 4096
GROUP_LIMIT = 2048
KEYS_LOOKED_AT = 64
PATTERNS_OF_GROUP = 16
LINKS_OF_GROUP = 8
LINKS_OF_OCCURRENCE = 4
VALUES_COUNTED = 32  # of one place: whatever has 1/32 of a pattern's traffic is found
WATCHED_PATTERNS = 512  # whose values are counted; 512 * 6 * 32 values are about 10 MB
WATCHED_WORDS = 6  # of one pattern

Link = tuple[int, ...]
"""For each pattern of a group, the number of the word that is equal in all keys."""


@dataclass(slots=True)
class Tally:
    """How often something occurred."""

    count: int = 0
    broken_cluster: int = 0
    """Of these, how often a plain cluster client would have had an error."""
    broken_slotway: int = 0
    """Of these, how often slotway would not have done it either."""
    pinnable: int = 0
    """Of the last, how often a pin would have helped."""

    def add(self, other: Tally) -> None:
        """Count all that another one has."""
        self.count += other.count
        self.broken_cluster += other.broken_cluster
        self.broken_slotway += other.broken_slotway
        self.pinnable += other.pinnable


@dataclass(slots=True)
class Group:
    """Patterns that occurred together."""

    patterns: tuple[Pattern, ...]
    tally: Tally = field(default_factory=Tally)
    links: dict[Link, Tally] = field(default_factory=dict)
    commands: dict[str, int] = field(default_factory=dict)

    def add_link(self, link: Link, tally: Tally) -> None:
        """Count a link, if it is known or there is room for it."""
        if link in self.links or len(self.links) < LINKS_OF_GROUP:
            self.links.setdefault(link, Tally()).add(tally)


@dataclass(slots=True)
class Use:
    """How much the keys of one pattern are used."""

    count: int = 0
    values: dict[int, Heavy] | None = None
    """By the number of the word; None: it never occurred with another key."""

    def share_of(self, word: int) -> dict[bytes, int]:
        """Return how many uses each value of a word has at least, by estimate.

        Counting begins when a pattern first occurs with another; the rest is taken
        to be as what was counted.
        """
        heavy = (self.values or {}).get(word)
        if heavy is None or not heavy.total:
            return {}
        return {
            value: count * self.count // heavy.total for value, count in heavy.certain().items()
        }


class Together:
    """Notes every use of keys.

    Attributes:
        uses: By pattern.
        total: Uses of keys in all.
        slots: Uses by slot, as the keys are named now.
        other_uses: Uses of keys for whose pattern there was no room.
        other_groups: Occurrences for whose group there was no room.
        cut: Occurrences with more keys or patterns than are looked at.
    """

    def __init__(self) -> None:
        self._folder = Folder()
        self._groups: dict[tuple[Pattern, ...], Group] = {}
        self._watched_patterns = 0
        self.uses: dict[Pattern, Use] = {}
        self.total = 0
        self.slots = [0] * SLOT_COUNT
        self.other_uses = 0
        self.other_groups = 0
        self.cut = 0

    def note(self, keys: Sequence[bytes], command: str, tally: Tally) -> None:
        """Note the keys of one command, script or transaction.

        Args:
            keys: As often as they were used.
            command: What they occurred in.
            tally: Once, and for whom their being in several slots breaks it.
        """
        self.total += len(keys)
        different = list(dict.fromkeys(keys))
        shapes = {}
        for key in different[:KEYS_LOOKED_AT]:
            shapes[key] = self._folder.fold(key)
        is_group = len(different) > 1
        if is_group and len(different) > KEYS_LOOKED_AT:
            self.cut += 1
        for key in keys:
            self.slots[key_slot(key)] += 1
            shape = shapes.get(key)
            if shape is None:
                self.other_uses += 1
            else:
                self._use(shape, is_group=is_group)
        if is_group:
            self._group(list(shapes.values()), command, tally)

    def _use(self, shape: Shape, *, is_group: bool) -> None:
        use = self.uses.get(shape.pattern)
        if use is None:
            if len(self.uses) >= PATTERN_LIMIT:
                self.other_uses += 1
                return
            use = self.uses[shape.pattern] = Use()
        use.count += 1
        if use.values is None:
            if not is_group or self._watched_patterns >= WATCHED_PATTERNS:
                return
            self._watched_patterns += 1
            use.values = {}
        for word in range(min(len(shape.values), WATCHED_WORDS)):
            if is_variable(shape.pattern[2 * word]):
                use.values.setdefault(word, Heavy(VALUES_COUNTED)).add(shape.values[word])

    def _group(self, shapes: list[Shape], command: str, tally: Tally) -> None:
        by_pattern: dict[Pattern, list[Shape]] = {}
        for shape in shapes:
            by_pattern.setdefault(shape.pattern, []).append(shape)
        if len(by_pattern) > PATTERNS_OF_GROUP:
            self.cut += 1
        patterns = tuple(sorted(by_pattern)[:PATTERNS_OF_GROUP])
        group = self._groups.get(patterns)
        if group is None:
            if len(self._groups) >= GROUP_LIMIT:
                self.other_groups += 1
                return
            group = self._groups[patterns] = Group(patterns)
        group.tally.add(tally)
        if command in group.commands or len(group.commands) < LINKS_OF_GROUP:
            group.commands[command] = group.commands.get(command, 0) + 1
        for link in _links([by_pattern[pattern] for pattern in patterns]):
            group.add_link(link, tally)

    # ---- at the end --------------------------------------------------------------------

    def settle(self) -> None:
        """Fold all patterns again with what has been learnt since they were noted."""
        uses, self.uses = self.uses, {}
        for pattern, use in uses.items():
            known = self.uses.setdefault(self._folder.fold_again(pattern), Use())
            known.count += use.count
            for word, heavy in (use.values or {}).items():
                known.values = known.values or {}
                known.values.setdefault(word, Heavy(VALUES_COUNTED)).merge(heavy)
        groups, self._groups = self._groups, {}
        for group in groups.values():
            self._add_folded(group)

    def groups(self) -> list[Group]:
        """Return all groups, the most frequent problems first, then what occurs most."""
        return sorted(
            self._groups.values(),
            key=lambda group: (-group.tally.broken_cluster, -group.tally.count, group.patterns),
        )

    def _add_folded(self, group: Group) -> None:
        folded = [self._folder.fold_again(pattern) for pattern in group.patterns]
        patterns = tuple(sorted(set(folded)))
        known = self._groups.setdefault(patterns, Group(patterns))
        known.tally.add(group.tally)
        for command, count in group.commands.items():
            known.commands[command] = known.commands.get(command, 0) + count
        for link, tally in group.links.items():
            words: dict[Pattern, set[int]] = {}
            for pattern, word in zip(folded, link, strict=True):
                words.setdefault(pattern, set()).add(word)
            if all(len(each) == 1 for each in words.values()):
                known.add_link(tuple(min(words[pattern]) for pattern in patterns), tally)


def _links(shapes_by_pattern: Iterable[list[Shape]]) -> list[Link]:
    """Return the links that hold for these keys, those of variable words first."""
    places: list[dict[bytes, int]] = []
    for shapes in shapes_by_pattern:
        first, *others = shapes
        here: dict[bytes, int] = {}
        for word, value in enumerate(first.values):
            is_shared = all(shape.values[word : word + 1] == (value,) for shape in others)
            # Of a value that comes twice, the place that varies says more.
            is_better = value not in here or is_variable(first.pattern[2 * word])
            if value and is_shared and is_better:
                here[value] = word
        places.append(here)
    shared = set(places[0]).intersection(*places[1:])
    links = [(tuple(here[value] for here in places), value) for value in sorted(shared)]
    # A word such as "user" is equal in all keys, too: it comes after what varies.
    links.sort(key=lambda found: (found[1].isalpha(), -len(found[1])))
    return [link for link, _ in links[:LINKS_OF_OCCURRENCE]]
