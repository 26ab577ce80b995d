"""What road users, traffic lights and signs look like: a few boxes each.

Role: tables only. A shape is a tuple of parts in its owner's frame (x forward, y left, z up from the ground).
Road users' boxes are in shares of their length, width and height; those of lights and signs are in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

from scenes.render import palette
from scenes.render.palette import Colour

Span = tuple[float, float]
FIXED, TAIL, LAMP = 0, 1, 2


@dataclass(frozen=True)
class Part:
    """A box from low to high along each axis. sides, top: its colours; None means the owner's paint; back:
    colour of the face against the heading where it differs. role: FIXED, TAIL (brake light) or LAMP (a lamp
    of a traffic light; `lamp` is 0 red, 1 yellow, 2 green)."""

    x: Span
    y: Span
    z: Span
    sides: Colour | None = None
    top: Colour | None = None
    back: Colour | None = None
    role: int = FIXED
    lamp: int = 0


def _solid(x: Span, y: Span, z: Span, colour: Colour) -> Part:
    return Part(x, y, z, sides=colour, top=colour)


def _lights(z: Span) -> tuple[Part, ...]:
    """Brake lights behind and headlamps ahead, one of each on both sides."""
    off, head = palette.TAIL_LAMP_OFF, palette.HEADLAMP
    sides: tuple[Span, Span] = ((0.22, 0.47), (-0.47, -0.22))
    tail = tuple(Part((-0.515, -0.48), y, z, sides=off, top=off, role=TAIL) for y in sides)
    return tail + tuple(_solid((0.48, 0.51), y, z, head) for y in sides)


CAR = (
    _solid((-0.46, 0.46), (-0.47, 0.47), (0.0, 0.3), palette.DARK),
    Part((-0.5, 0.5), (-0.5, 0.5), (0.16, 0.58)),
    Part((-0.4, 0.2), (-0.43, 0.43), (0.58, 1.0), sides=palette.GLASS),
    *_lights((0.36, 0.54)),
)
TRUCK = (
    _solid((-0.48, 0.48), (-0.46, 0.46), (0.0, 0.2), palette.DARK),
    _solid((-0.5, 0.27), (-0.5, 0.5), (0.18, 1.0), palette.CARGO_BOX),
    Part((0.3, 0.5), (-0.48, 0.48), (0.12, 0.52)),
    Part((0.3, 0.48), (-0.47, 0.47), (0.52, 0.8), sides=palette.GLASS),
    *_lights((0.2, 0.3)),
)
PEDESTRIAN = (
    _solid((-0.3, 0.3), (-0.36, 0.36), (0.0, 0.48), palette.DARK),
    Part((-0.4, 0.4), (-0.5, 0.5), (0.48, 0.85)),
    _solid((-0.25, 0.25), (-0.25, 0.25), (0.86, 1.0), palette.SKIN),
)
CYCLIST = (
    _solid((-0.5, 0.5), (-0.08, 0.08), (0.0, 0.4), palette.DARK),
    _solid((-0.12, 0.1), (-0.3, 0.3), (0.3, 0.56), palette.DARK),
    Part((-0.18, 0.16), (-0.5, 0.5), (0.56, 0.87)),
    _solid((-0.02, 0.12), (-0.18, 0.18), (0.87, 1.0), palette.SKIN),
)
CONE = (
    _solid((-0.5, 0.5), (-0.5, 0.5), (0.0, 0.1), palette.CONE_ORANGE),
    _solid((-0.36, 0.36), (-0.36, 0.36), (0.1, 0.45), palette.CONE_ORANGE),
    _solid((-0.26, 0.26), (-0.26, 0.26), (0.45, 0.68), palette.SIGN_WHITE),
    _solid((-0.17, 0.17), (-0.17, 0.17), (0.68, 1.0), palette.CONE_ORANGE),
)
ROAD_USERS: dict[str, tuple[Part, ...]] = {
    "car": CAR,
    "truck": TRUCK,
    "pedestrian": PEDESTRIAN,
    "cyclist": CYCLIST,
    "cone": CONE,
}


def _post(top: float) -> Part:
    return _solid((-0.06, 0.06), (-0.06, 0.06), (0.0, top), palette.POLE)


def _lamp(index: int) -> Part:
    low, dark = 5.0 - 0.64 * index, palette.LAMPS_DARK[index]
    z = (low, low + 0.56)
    return Part((-0.16, -0.12), (-0.3, 0.3), z, sides=dark, top=dark, role=LAMP, lamp=index)


HUNG_SIGNAL = (
    _solid((-0.12, 0.12), (-0.4, 0.4), (3.6, 5.6), palette.HOUSING),
    *(_lamp(index) for index in range(3)),
)
"""A traffic-light head over the road, lamps facing against its yaw. 0.8 m x 2.0 m: about twice a real head,
so that its state is legible at 96 pixels."""
SIGNAL = (_post(3.6), *HUNG_SIGNAL)


def _sign(plate: Colour, band: Colour, bottom: float, top: float) -> tuple[Part, ...]:
    """A plate on a post that faces against its yaw, with a band across; its far side is bare metal."""
    middle = 0.5 * (bottom + top)
    return (
        _post(bottom),
        Part((-0.03, 0.03), (-0.45, 0.45), (bottom, top), sides=palette.POLE, top=palette.POLE, back=plate),
        _solid((-0.05, -0.03), (-0.3, 0.3), (middle - 0.12, middle + 0.12), band),
    )


SIGNS: dict[str, tuple[Part, ...]] = {
    "stop": _sign(palette.STOP_RED, palette.SIGN_WHITE, 1.9, 2.8),
    "speed_limit": _sign(palette.SIGN_WHITE, palette.DARK, 1.8, 2.9),
}
"""Plates are 0.9 m wide, the size that the MUTCD gives a stop sign on a multi-lane road."""
