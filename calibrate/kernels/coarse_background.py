"""A smooth background: the clipped medians of boxes, smoothed by a median filter and joined by a spline.

Source: Bertin & Arnouts 1996, A&AS 117, 393; the numbers are those of the official clean_flicker_noise, which uses
`Background2D` of photutils.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.ndimage import zoom

from uptheramp.calibrate.kernels import background, order

LARGEST_BOX = 32
LEAST_SHARE = 0.9  # of the pixels of a box must be left for it to count
NEIGHBOURS = 10  # boxes that a lost one is the mean of, weighted by the inverse of their distance
FILTER = 5  # boxes across
SPLINE_ORDER = 3


def default_box(shape: tuple[int, int]) -> tuple[int, int]:
    """The largest sides up to LARGEST_BOX that divide the image."""
    height, width = (max(d for d in range(1, LARGEST_BOX + 1) if side % d == 0) for side in shape)
    return height, width


def model(image: Float[Array, "y x"], mask: Bool[Array, "y x"], box: tuple[int, int]) -> Float[Array, "y x"]:
    """Background of an image from the pixels that the mask admits; their median where every box is lost."""
    shape = image.shape
    pad = [(0, -side % length) for side, length in zip(shape, box, strict=True)]
    cells = tuple((side + more) // length for side, (_, more), length in zip(shape, pad, box, strict=True))

    def by_box(x: Array) -> Array:
        cut = jnp.pad(x, pad).reshape(cells[0], box[0], cells[1], box[1])
        return jnp.moveaxis(cut, 2, 1).reshape(math.prod(cells), *box)

    def level(pixels: tuple[Array, Array]) -> tuple[Array, Array]:
        ranked, kept = background.ranked(*pixels)
        left = background.clip(ranked, kept)
        return background.median(ranked, left), left.high - left.low > LEAST_SHARE * math.prod(box)

    levels, good = jax.lax.map(level, (by_box(image), by_box(mask)))
    levels = _filtered(_filled(levels, good, cells).reshape(cells))
    smooth = _spline(cells[0], box[0]) @ levels @ _spline(cells[1], box[1]).T
    smooth = jnp.clip(smooth[: shape[0], : shape[1]], levels.min(), levels.max())
    flat = background.median(*background.ranked(image, mask))
    return jnp.where(good.any(), smooth, flat).astype(image.dtype)


def _filled(levels: Float[Array, "cell"], good: Bool[Array, "cell"], cells: tuple[int, int]) -> Float[Array, "cell"]:
    """Levels where those that are lost stand for their nearest neighbours."""
    place = np.stack(np.unravel_index(np.arange(math.prod(cells)), cells), 1)
    distance = np.linalg.norm(place[:, None] - place, axis=-1)
    reach = jnp.where(good, distance, jnp.inf)
    nearest = jnp.argsort(reach, axis=1, stable=True)[:, :NEIGHBOURS]
    found = jnp.take_along_axis(reach, nearest, 1)
    weight = jnp.where(jnp.isfinite(found) & ~good[:, None], 1 / jnp.maximum(found, 1), 0)
    total = jnp.where(good, 1, weight.sum(1))
    mean = (weight * jnp.where(good, levels, 0)[nearest]).sum(1) / jnp.where(total > 0, total, 1)
    return jnp.where(good, levels, mean)


def _filtered(levels: Float[Array, "y x"]) -> Float[Array, "y x"]:
    """Median over FILTER by FILTER cells, as many of them as there are."""
    height, width = levels.shape
    reach = FILTER // 2
    padded = jnp.pad(levels, reach, constant_values=jnp.nan)
    shifted = [padded[j : j + height, i : i + width] for j in range(FILTER) for i in range(FILTER)]
    stack = jnp.stack(shifted)
    return order.median(stack, jnp.isfinite(stack))


def _spline(cells: int, length: int) -> np.ndarray:
    """Matrix (pixel, cell) of the interpolating cubic spline, with cells as the centres of their boxes."""
    spline = np.empty((cells * length, cells))
    for cell, alone in enumerate(np.eye(cells)):
        spline[:, cell] = zoom(alone, length, order=SPLINE_ORDER, mode="reflect", grid_mode=True)
    return spline
