"""What the calibration believes of the optics: the observation with its wavelengths and traces as they were measured.

`oracle` believes the truth. `estimated` measures LINES lines spread along the order, each to LINE_ERROR_PX, and draws a
straight line through their displacements, along and across the dispersion. `wrong` displaces everything further, as
`wrong.py` says. All references of the optics are made from what is believed, so they agree with each other and not with
the light.
"""

from dataclasses import replace

import numpy as np

from uptheramp.calibrate.instruments.core import Curve, Order
from uptheramp.simulate.calibration.wrong import ACROSS_PX, ALONG_PX
from uptheramp.simulate.observation import Observation

LINES = 30
LINE_ERROR_PX = 0.05  # centroid of one line; guess


def believed(observation: Observation, rng: np.random.Generator | None, *, wrong: bool = False) -> Observation:
    """Return the observation as the calibration knows it; without `rng` it knows the truth."""
    if rng is None:
        return observation
    orders = tuple(_measured(order, rng, wrong) for order in observation.mode.orders)
    return replace(observation, mode=replace(observation.mode, orders=orders))


def _measured(order: Order, rng: np.random.Generator, wrong: bool) -> Order:
    along, across = _displacement(order, rng), _displacement(order, rng)
    wavelength, trace = order.wavelength_um, order.trace_px
    x = np.asarray(wavelength.x) + along(np.asarray(wavelength.x)) + wrong * ALONG_PX
    y = np.asarray(trace.y) + across(np.asarray(trace.x)) + wrong * ACROSS_PX
    return replace(
        order, wavelength_um=Curve(tuple(x.tolist()), wavelength.y), trace_px=Curve(trace.x, tuple(y.tolist()))
    )


def _displacement(order: Order, rng: np.random.Generator) -> np.polynomial.Polynomial:
    """Straight line through the errors of the lines' positions."""
    position = np.linspace(order.wavelength_um.x[0], order.wavelength_um.x[-1], LINES)
    return np.polynomial.Polynomial.fit(position, LINE_ERROR_PX * rng.standard_normal(LINES), 1)
