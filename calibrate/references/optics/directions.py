"""Directions of light as cosines (x, y, z), in the frames before and behind the grating wheel."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Plane = Float[np.ndarray, "..."]
Cosines = tuple[Plane, Plane, Plane]


def of_slopes(x: Plane, y: Plane) -> Cosines:
    """Cosines of the direction (x, y, 1)."""
    length = np.sqrt(1 + x**2 + y**2)
    return x / length, y / length, 1 / length


def slopes(x: Plane, y: Plane, z: Plane) -> tuple[Plane, Plane]:
    """Slopes (x / z, y / z) of a direction."""
    return x / z, y / z


def forward(x: Plane, y: Plane) -> Cosines:
    """Complete two cosines of a unit vector that points forward."""
    return x, y, np.sqrt(1 - x**2 - y**2)


def _about_x(x: Plane, y: Plane, z: Plane, c: float, s: float) -> Cosines:
    return forward(x, y * c + z * s)


def _about_y(x: Plane, y: Plane, z: Plane, c: float, s: float) -> Cosines:
    return forward(x * c - z * s, y)


def _about_z(x: Plane, y: Plane, z: Plane, c: float, s: float) -> Cosines:
    return forward(x * c + y * s, y * c - x * s)


TURNS = (_about_x, _about_y, _about_z, _about_y)  # from the frame of camera and collimator to that of the disperser


def to_disperser(direction: Cosines, angles_deg: Sequence[float]) -> Cosines:
    """Turn by the four angles of the disperser's mounting, as the official Rotation3DToGWA."""
    for turn, angle in zip(TURNS, np.deg2rad(angles_deg), strict=True):
        direction = turn(*direction, np.cos(angle), np.sin(angle))
    return direction


def from_disperser(direction: Cosines, angles_deg: Sequence[float]) -> Cosines:
    """Turn back."""
    for turn, angle in zip(reversed(TURNS), np.deg2rad(angles_deg)[::-1], strict=True):
        direction = turn(*direction, np.cos(angle), -np.sin(angle))
    return direction
