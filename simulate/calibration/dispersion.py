"""Wavelengths of slitless spectra as the official SPECWCS models have them, each from the mode's own table.

The tables of the instrument are the truth (a wavelength along the dispersion, the same all across it); what is made
here is their transcription: a polynomial for the NIRCam grisms, rows for the MIRI prism, images for SOSS.
"""

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.instruments.core import Order
from uptheramp.calibrate.references.carried import Carried
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import trace
from uptheramp.simulate.ramps.geometry import reference_px

GRISM_DEGREE = 4
SOSS_ORDERS = (1, 2, 3)
DETECTOR_PX = 2048
ROW_SAMPLES = 20  # of the MIRI table in a row: the official pipeline smooths it to a sum of squares of 0.002 um2 in all
CORNER_PX = 4.0  # half width of the boxes in which the MIRI table was measured


def lit_px(order: Order, along: int) -> Float[np.ndarray, "lit"]:
    """Pixels along the dispersion, 0-based in the window, at which the order's table gives a wavelength."""
    position = np.arange(along, dtype=float)
    return position[trace.covered(order, position)]


def grism_specwcs(observation: Observation) -> Carried:
    """NIRCam: dx = d0 + (d1 - d0) t from the field point, wavelength = polynomial(t); the inverse by a fit.

    The official pipeline counts dx from XREF_SCI as it stands in the header (1-based) to the 0-based pixel.
    """
    import astropy.units as u
    from astropy.modeling.models import Polynomial1D

    def polynomial(coefficients: np.ndarray) -> Polynomial1D:
        return Polynomial1D(len(coefficients) - 1, **{f"c{n}": float(c) for n, c in enumerate(coefficients)})

    o, order = observation, observation.mode.orders[0]
    x = lit_px(order, o.subarray.size[0])
    dx = x + o.subarray.start[0] - 1 - (reference_px(o.mode)[0] + 1)
    t = (dx - dx[0]) / (dx[-1] - dx[0])
    lam = trace.wavelength(order, x)
    forward = np.polynomial.Polynomial.fit(t, lam, GRISM_DEGREE, domain=[-1, 1]).coef
    backward = np.polynomial.Polynomial.fit(lam, t, GRISM_DEGREE).convert().coef
    span = dx[-1] - dx[0]
    flat = polynomial(np.zeros(2))
    models = {
        "displ": [polynomial(forward)],
        "dispx": [polynomial(np.array([dx[0], span]))],
        "dispy": [flat],
        "invdispl": [polynomial(backward)],
        "invdispx": [polynomial(np.array([-dx[0] / span, 1 / span]))],
        "invdispy": [flat],
        "orders": [order.number],
    }
    return Carried("NIRCAMGrismModel", models, {"meta.input_units": u.micron, "meta.output_units": u.pix})


def grism_wavelengthrange(observation: Observation) -> Carried:
    """NIRCam: the useful range of the filter."""
    import astropy.units as u

    mode, number = observation.mode, observation.mode.orders[0].number
    ranges = {
        "wrange": [[number, mode.pupil, mode.filter, *mode.useful_range_um]],
        "order": [number],
        "extract_orders": [[mode.filter, [number]]],
        "wrange_selector": [mode.filter],
        "wunits": u.micron,
    }
    return Carried("WavelengthrangeModel", ranges)


def prism_specwcs(observation: Observation) -> Carried:
    """MIRI: trace and wavelength in each row, relative to the reference point (1-based, full frame), top row first."""
    o, order = observation, observation.mode.orders[0]
    rows = lit_px(order, o.subarray.size[1])
    y = np.linspace(rows[-1], rows[0], (len(rows) - 1) * ROW_SAMPLES + 1)
    x = np.interp(y, order.trace_px.x, order.trace_px.y)
    reference_x, reference_y = reference_px(o.mode)
    dx, dy, lam = x - reference_x, y - reference_y, trace.wavelength(order, y)
    corners = {"x0": dx - CORNER_PX, "y0": dy + 0.5, "x1": dx + CORNER_PX, "y1": dy + 0.5}
    corners |= {"x2": dx + CORNER_PX, "y2": dy - 0.5, "x3": dx - CORNER_PX, "y3": dy - 0.5}
    columns = {"x_center": dx, "y_center": dy, "wavelength": lam, **corners}
    table = np.rec.fromarrays(list(columns.values()), dtype=[(name, "f8") for name in columns])
    point = {"x_ref_slitless": reference_x + o.subarray.start[0], "y_ref_slitless": reference_y + o.subarray.start[1]}
    # the fixed slit is another mode; its point must be there and is not used
    return Carried(
        "MiriLRSSpecwcsModel", {"wavetable": np.asarray(table), "x_ref": 1.0, "y_ref": 1.0, **point}, ending="fits"
    )


def soss_specwcs(observation: Observation) -> Carried:
    """SOSS: the wavelength of each order in each detector column; NaN where an order does not fall."""
    from astropy.modeling.models import Tabular2D

    column = np.arange(DETECTOR_PX, dtype=float)
    orders = {order.number: order for order in observation.mode.orders}

    def table(number: int) -> Tabular2D:
        lam = np.full(DETECTOR_PX, np.nan)
        if number in orders:
            lit = trace.covered(orders[number], column)
            lam[lit] = trace.wavelength(orders[number], column[lit])
        rows = np.array([0.0, DETECTOR_PX - 1])
        return Tabular2D(
            points=(rows, column), lookup_table=np.stack([lam, lam]), bounds_error=False, fill_value=np.nan
        )

    return Carried("", {number: table(number) for number in SOSS_ORDERS})
