"""Everything that shines through the optics: the target as the mode shows it, and the other stars of the field."""

from dataclasses import replace
from functools import partial

from uptheramp.calibrate.instruments import lookup
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import dispersed, imaged
from uptheramp.simulate.scene.field import FieldStar
from uptheramp.simulate.scene.system import light_curve_of, steady

Source = dispersed.Spectrum | imaged.PointSource


def of_target(observation: Observation) -> tuple[Source, ...]:
    """Return the orders of the observation's star, or its image."""
    o, curve = observation, partial(light_curve_of, observation)
    if o.mode.image is not None:
        return (imaged.point_source(o, o.mode.image, o.star, curve),)
    return tuple(dispersed.spectrum(o, order, o.star, curve) for order in o.mode.orders)


def of_field(observation: Observation) -> tuple[Source, ...]:
    """Return the orders or images of the other stars; spectra that miss the window are left out."""
    return tuple(source for other in observation.field_stars for source in _other(observation, other))


def _other(o: Observation, other: FieldStar) -> tuple[Source, ...]:
    x, y = other.offset_px
    if o.mode.image is not None:
        centre = o.mode.image.centre_px
        image = replace(o.mode.image, centre_px=(centre[0] + x, centre[1] + y))
        return (imaged.point_source(o, image, other.star, steady),)
    along, across = (x, y) if o.mode.dispersion_axis == 1 else (y, x)
    size = o.shape[::-1] if o.mode.dispersion_axis == 1 else o.shape
    orders = (lookup.moved(order, along, across) for order in o.mode.orders)
    seen = (order for order in orders if lookup.meets(order.trace_px, *size))
    return tuple(dispersed.spectrum(o, order, other.star, steady) for order in seen)
