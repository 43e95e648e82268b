"""Where the trace of the first order of SOSS lies in each integration.

As kernels/trace_motion.py, of what the solve by column leaves: the profile's derivatives are freed once, on the pixels'
typical weights, of all that the solve may change, so that an integration costs two sums over its columns.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.interpolate import CubicSpline

from uptheramp.calibrate.kernels import columns, trace_motion


class Moving(eqx.Module):
    """How the light of the first order changes where the trace moves across the dispersion or widens.

    `maps` are the derivatives of its profile, without what the shapes can stand in for, times the pixels' weights;
    `information` the sums over a column of their products.
    """

    maps: Float[Array, "quantity y x"]
    information: Float[Array, "quantity quantity x"]


def learn(
    profile: Float[Array, "y x"],
    trace_px: Float[Array, "x"],
    shapes: Float[Array, "shape y x"],
    weight: Float[Array, "y x"],
) -> Moving:
    """Derivatives of a profile P about its trace c: -P' by position, -(P + (y - c) P') by relative width.

    P' is the slope of a natural cubic spline through the pixels of a column.
    """
    slope = jnp.einsum("ij,jx->ix", jnp.asarray(_slopes(len(profile)), profile.dtype), profile)
    distance = jnp.arange(len(profile), dtype=profile.dtype)[:, None] - jnp.where(jnp.isfinite(trace_px), trace_px, 0)
    lit = profile > 0
    derivatives = jnp.stack([jnp.where(lit, -d, 0) for d in (slope, profile + distance * slope)])
    whole = weight[None]
    inverse = columns.inverse(columns.gram(shapes, whole))[0]
    alike = jnp.einsum("klx,lqx->kqx", inverse, columns.crossed(shapes, derivatives, whole)[0])
    freed = derivatives - jnp.einsum("kyx,kqx->qyx", shapes, alike)
    return Moving(freed * weight, columns.gram(freed, whole)[0])


class Sums(NamedTuple):
    """What the pixels of a column tell of the quantities: products of their maps with the shapes, and with the data."""

    shapes: list[Float[Array, "n shape x"]]  # of each quantity
    data: Float[Array, "n quantity x"]


def of_tile(
    maps: Float[Array, "quantity y x"],
    shapes: Float[Array, "shape y x"],
    image: Float[Array, "n y x"],
    seen: Float[Array, "n y x"],
) -> Sums:
    """Sums over the rows of a tile (`kernels/tiles.py`) of images that are 0 where they are not seen."""
    return Sums([columns.added(seen, one * shapes) for one in maps], columns.added(image, maps))


def measure(
    moving: Moving, sums: Sums, amounts: Float[Array, "n shape x"]
) -> tuple[Float[Array, "n 3"], Float[Array, "n 3"]]:
    """`Spectra.trace` and its standard errors, from sums and the amounts of the shapes in them, the order's first.

    Bad pixels are left out: what these would have told is missing, so a motion comes out too small by their share.
    """
    left = sums.data - columns.applied(jnp.stack(sums.shapes, 1), amounts)
    kept = jnp.broadcast_to(moving.information, (len(left), *moving.information.shape))
    return trace_motion.solve(jnp.maximum(amounts[:, 0], 0), left, kept)


def _slopes(pixels: int) -> Float[np.ndarray, "pixel pixel"]:
    """Slope at each pixel of the spline through values at all of them, by value."""
    at = np.arange(pixels)
    return CubicSpline(at, np.eye(pixels), bc_type="natural")(at, 1)
