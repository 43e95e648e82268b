"""How the disperser stands: what a turn of the pupil wheel and the tilt of monochromatic images do to the orders."""

from dataclasses import dataclass, replace

import numpy as np

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve, Mode, Order


@dataclass(frozen=True)
class Alignment:
    """`pupil_wheel_deg`: turn from the position for which the table's traces hold; `tilt`: factor on its tilts."""

    pupil_wheel_deg: float = 0.0
    tilt: float = 0.0  # in flight the images stand upright


def aligned(mode: Mode, alignment: Alignment) -> Mode:
    """Return the mode with its orders turned about their pivots, and tilted.

    A point (x, y) of a trace goes to pivot + R(turn) (x - pivot); wavelengths stay with the points.

    Raises
    ------
    InputError
        For a turn or tilt of a mode that has none.
    """
    turns = alignment.pupil_wheel_deg != 0
    if turns and not all(order.pivot_px for order in mode.orders or (None,)):  # pyright: ignore
        raise InputError(f"mode {mode.name} has no pupil wheel that turns its spectrum; leave pupil_wheel_deg at 0")
    if alignment.tilt and not any(order.tilt_deg for order in mode.orders):
        raise InputError(f"mode {mode.name} has no tilt in its table; leave tilt at 0")
    orders = (_turned(o, alignment.pupil_wheel_deg) if turns else o for o in mode.orders)
    return replace(mode, orders=tuple(replace(o, tilt_deg=_scaled(o.tilt_deg, alignment.tilt)) for o in orders))


def _turned(order: Order, degrees: float) -> Order:
    assert order.pivot_px is not None
    (px, py), angle = order.pivot_px, np.radians(degrees)
    x, y = np.array(order.trace_px.x), np.array(order.trace_px.y)
    moved_x = px + (x - px) * np.cos(angle) - (y - py) * np.sin(angle)
    moved_y = py + (x - px) * np.sin(angle) + (y - py) * np.cos(angle)
    # wavelengths move along with the trace
    at = np.array(order.wavelength_um.x)
    along = at + np.interp(at, x, moved_x - x)
    return replace(
        order,
        trace_px=Curve(tuple(moved_x), tuple(moved_y)),
        wavelength_um=Curve(tuple(along), order.wavelength_um.y),
    )


def _scaled(curve: Curve | None, factor: float) -> Curve | None:
    return curve and Curve(curve.x, tuple(factor * y for y in curve.y))
