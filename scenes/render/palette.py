"""Colours of the drawn world and the rule that paints a road user.

Invariant: the paint of a road user depends on a hash of (paint key, id) alone, never on its role, so that
colour tells the policy nothing about who matters.
"""

from __future__ import annotations

import zlib

import numpy as np

Colour = tuple[int, int, int]

GRASS: Colour = (92, 122, 66)
ASPHALT: Colour = (84, 84, 88)
MARKING: Colour = (228, 228, 222)
KERB: Colour = (168, 166, 160)
SKY_ZENITH: Colour = (96, 146, 208)
HORIZON: Colour = (196, 210, 222)

DARK: Colour = (24, 24, 28)
GLASS: Colour = (46, 58, 70)
HEADLAMP: Colour = (232, 232, 210)
TAIL_LAMP_OFF: Colour = (112, 22, 22)
TAIL_LAMP_ON: Colour = (255, 36, 24)
POLE: Colour = (120, 122, 126)
HOUSING: Colour = (30, 32, 30)
STOP_RED: Colour = (196, 22, 30)
SIGN_WHITE: Colour = (242, 242, 240)
CARGO_BOX: Colour = (206, 204, 196)
SKIN: Colour = (206, 160, 130)
CONE_ORANGE: Colour = (255, 112, 12)

LAMPS_LIT: tuple[Colour, ...] = ((255, 30, 24), (255, 196, 20), (30, 255, 110))
LAMPS_DARK: tuple[Colour, ...] = ((58, 14, 14), (58, 46, 12), (12, 52, 26))

CAR_PAINTS: tuple[Colour, ...] = (
    (226, 228, 230),
    (172, 176, 180),
    (96, 100, 106),
    (34, 36, 40),
    (34, 66, 130),
    (70, 120, 176),
    (128, 34, 40),
    (34, 86, 66),
    (186, 168, 130),
    (104, 74, 52),
)
CLOTHES: tuple[Colour, ...] = (
    (226, 220, 60),
    (208, 64, 110),
    (64, 168, 208),
    (236, 236, 236),
    (150, 84, 190),
    (240, 150, 60),
    (60, 70, 150),
    (120, 30, 40),
)


def paint(key: str, instance: str, choices: tuple[Colour, ...]) -> Colour:
    """The colour of `instance` among `choices`, fixed by CRC-32 of "key/instance"."""
    return choices[zlib.crc32(f"{key}/{instance}".encode()) % len(choices)]


def grain(cells: int, level: int) -> np.ndarray:
    """[cells] int8 grain that gives the ground a texture to see motion by: up to ±6 grey levels at level 0,
    half as much at each coarser one; the same in every process."""
    return np.random.default_rng(20251).integers(-6, 7, size=cells, dtype=np.int8) >> np.int8(level)
