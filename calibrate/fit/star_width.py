"""How wide a star's image is: a Gaussian integrated over the pixels of a box, fitted at a given centre."""

import jax
import jax.numpy as jnp
from jax.scipy.special import erf
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.fit.least_squares import Evaluation, from_bounded, minimise, to_bounded
from uptheramp.calibrate.kernels.centroid import first_pixel

SIGMA_OF_FWHM = 0.42466090014400953  # 1 / (2 sqrt(2 ln 2))
ACCURACY = 1e-3  # of the light of a box: what counts as one unit of the residuals


def gaussian_fit(
    image: Float[Array, "integration y x"],
    good: Bool[Array, "integration y x"],
    centre: Float[Array, "integration 2"],
    width: int,
) -> Float[Array, "integration 3"]:
    """Fit sigma along x, along y (px) and flux to the good pixels of the box around each centre; NaN without one.

    Least squares of `flux G(x) G(y)`, G the normal distribution integrated over a pixel, all pixels weighted alike; the
    FWHM lies between 0 and the box's width and starts at half of it. Not differentiated.
    """
    known = jnp.isfinite(centre).all(-1)
    centre = jnp.where(known[:, None], centre, 0)
    pixel = first_pixel(centre, width).astype(int)[:, None, :] + jnp.arange(width)[None, :, None]
    column, row = pixel[..., 0][:, None, :], pixel[..., 1][:, :, None]
    inside = (column >= 0) & (column < image.shape[2]) & (row >= 0) & (row < image.shape[1])
    where = jnp.arange(len(image))[:, None, None], row, column  # clamped at the edges, where `inside` rules them out
    box = inside & good[where]
    light = jnp.where(box, image[where], 0).astype(float)
    held = jax.lax.stop_gradient((light, box, (centre - pixel[:, 0]).astype(float)))
    found = jax.vmap(_fit)(*held)
    return jnp.where(known[:, None], found, jnp.nan).astype(image.dtype)


def _fit(light: Array, box: Array, centre: Array) -> Float[Array, "3"]:
    width = len(light)
    total = jnp.sum(light)
    total = jnp.where(total > 0, total, 1)
    limits = jnp.zeros(2), jnp.full(2, float(width))

    def unpack(free: Array) -> tuple[Array, Array]:
        return to_bounded(free[:2], *limits) * SIGMA_OF_FWHM, free[2] * total

    def residuals(free: Array) -> Array:
        sigma, flux = unpack(free)
        model = flux * _line(width, centre[0], sigma[0]) * _line(width, centre[1], sigma[1])[:, None]
        return (jnp.where(box, model - light, 0) / (ACCURACY * total)).ravel()

    def evaluate(free: Array) -> Evaluation:
        return Evaluation(residuals(free), jax.jacfwd(residuals)(free), ())

    start = jnp.append(from_bounded(jnp.full(2, width / 2), *limits), 1.0)
    end = minimise(evaluate, start)
    sigma, flux = unpack(end.x)
    return jnp.where(end.converged, jnp.append(sigma, flux), jnp.nan)


def _line(pixels: int, middle: Array, sigma: Array) -> Float[Array, "pixel"]:
    edges = jnp.arange(pixels + 1) - 0.5
    return jnp.diff(erf((edges - middle) / (jnp.sqrt(2.0) * jnp.maximum(sigma, 1e-3)))) / 2
