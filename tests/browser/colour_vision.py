"""How colours look to people who see fewer of them, and how far two colours are apart.

Strategy: the matrices of Viénot, Brettel and Mollon (1999) for protanopia and deuteranopia and
their like for tritanopia, in linear RGB; distances in CIELAB (CIE76).
"""

from __future__ import annotations

import math

Colour = tuple[float, float, float]
Matrix = tuple[Colour, Colour, Colour]

CONFUSIONS: dict[str, Matrix] = {
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.11238, 0.88762, 0), (0.11238, 0.88762, 0), (0.00401, -0.00401, 1)),
    "deuteranopia": ((0.29275, 0.70725, 0), (0.29275, 0.70725, 0), (-0.02234, 0.02234, 1)),
    "tritanopia": (
        (1.01277, 0.13548, -0.14826),
        (-0.01243, 0.86812, 0.14431),
        (0.07589, 0.80500, 0.11911),
    ),
}
_TO_XYZ: Matrix = (
    (0.4124, 0.3576, 0.1805),
    (0.2126, 0.7152, 0.0722),
    (0.0193, 0.1192, 0.9505),
)
_WHITE: Colour = (0.9505, 1.0, 1.089)


def seen_by(vision: str, colour: Colour) -> Colour:
    """Return linear RGB, 0 to 1, as somebody with that vision sees an sRGB colour."""
    linear = tuple(
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
    )
    red, green, blue = (min(1.0, max(0.0, _times(row, linear))) for row in CONFUSIONS[vision])
    return red, green, blue


def difference(one: Colour, other: Colour) -> float:
    """Return how far two colours in linear RGB are apart, in CIELAB."""
    return math.dist(_lab(one), _lab(other))


def _lab(linear: Colour) -> Colour:
    x, y, z = (
        _root(_times(row, linear) / white) for row, white in zip(_TO_XYZ, _WHITE, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _times(row: Colour, colour: Colour) -> float:
    return sum(one * other for one, other in zip(row, colour, strict=True))


def _root(share: float) -> float:
    return share ** (1 / 3) if share > 216 / 24389 else (24389 / 27 * share + 16) / 116
