"""Grism spectra without a slit: SPECWCS gives trace and wavelength as functions of a parameter t along the trace.

    x - x_0 = dispx(t),  wavelength = displ(t)

with (x_0, y_0) where the star would stand without the grism (XREF_SCI, YREF_SCI). Each function is a polynomial in t,
or a list of polynomials in (x_0, y_0) that are its coefficients. Wavelengths depend on the column alone. DISTORTION and
FILTEROFFSET only lead on to the sky.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.optics import trees
from uptheramp.calibrate.references.optics.light import Light, barycentric, needed

REFTYPES = ("specwcs",)
ORDER = 1
SAMPLES = 40  # of t, between which the official transform draws straight lines where a trace has no inverse


def light(paths: Mapping[str, Path], meta: ExposureMeta) -> Light:
    """Wavelengths of the first order, as jwst 3.0.0 assign_wcs (nircam.tsgrism); it cuts no box out.

    Raises
    ------
    InputError
        For a file that is no such model, or a header without the reference point.
    """
    path = paths["specwcs"]
    displ, dispx, orders = trees.read(path, "displ", "dispx", "orders")
    (inverse,) = _inverse(path)
    if ORDER not in list(orders) or len(displ) != len(orders):  # the models of the Hartmann sensor go by stripe
        raise InputError(f"{path}: no dispersion model of order {ORDER}; give a SPECWCS of a long-wavelength grism")
    which = list(orders).index(ORDER)
    # the official transform takes the 1-based reference point from 0-based pixels, and the files are made for that
    x_ref, y_ref = needed(meta, "x_ref", "XREF_SCI"), needed(meta, "y_ref", "YREF_SCI")
    distance = np.arange(meta.x_size) + meta.x_start - 1 - x_ref
    t = inverse[which](distance) if inverse else _invert(dispx[which], x_ref, y_ref, distance)
    wavelength = _at(displ[which], x_ref, y_ref, t) * barycentric(meta)
    return Light(np.broadcast_to(wavelength, meta.shape).copy())


def _inverse(path: Path) -> list[Any]:
    """The inverse trace models, which newer files no longer hold."""
    try:
        return trees.read(path, "invdispx")
    except InputError:
        return [None]


def _at(model: Any, x: float, y: float, t: Float[np.ndarray, "x"]) -> Float[np.ndarray, "x"]:
    """A function of t whose coefficients may depend on the reference point."""
    parts = list(model) if trees.is_list(model) else [model]
    if parts[0].n_inputs == 1:
        return parts[0](t)
    return np.sum([part(x, y) * t**power for power, part in enumerate(parts)], axis=0)


def _invert(model: Any, x: float, y: float, distance: Float[np.ndarray, "x"]) -> Float[np.ndarray, "x"]:
    """The t of each distance along the trace; NaN beyond its ends, where the official transform repeats the end."""
    first = model[0] if trees.is_list(model) else model
    if first.n_inputs == 1 and first.degree == 1:
        return (distance - first.c0.value) / first.c1.value
    t = np.linspace(0, 1, SAMPLES)
    along = _at(model, x, y, t)
    rising = np.argsort(along)
    return np.interp(distance, along[rising], t[rising], left=np.nan, right=np.nan)
