"""``--mix cache=8,queue=2``: which kinds of users there are, and how many of each."""

from collections.abc import Mapping


def parse_mix(text: str, known: Mapping[str, int]) -> dict[str, int]:
    """Return the chosen kinds with their weights.

    Args:
        text: Names separated by commas, each with ``=weight`` or without;
            ``all`` takes every kind.
        known: Each kind's own weight.

    Raises:
        ValueError: A name that is not known or comes twice, or a weight that is not a whole
            number above 0.
    """
    if text.strip() == "all":
        return dict(known)
    chosen: dict[str, int] = {}
    for word in text.split(","):
        name, sign, number = (part.strip() for part in word.partition("="))
        if name not in known:
            raise ValueError(f"{name!r} is not one of all, {', '.join(known)}")
        if name in chosen:
            raise ValueError(f"{name!r} comes twice")
        if sign and not (number.isascii() and number.isdigit() and int(number) > 0):
            raise ValueError(f"{name}: the weight {number!r} is not a whole number above 0")
        chosen[name] = int(number) if sign else known[name]
    return chosen
