"""Where a star is: the centre of mass of its image in a box."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import order


def first_pixel(middle: Float[Array, "..."], width: int) -> Float[Array, "..."]:
    """Where a box of pixels around `middle` begins, as `astropy.nddata.overlap_slices` places it."""
    return jnp.ceil(middle - width / 2)


def within(size: int, middle: Float[Array, "*batch"], width: int) -> Bool[Array, "*batch size"]:
    """Pixels of an axis in a box around `middle`."""
    first = first_pixel(middle, width)[..., None]
    pixel = jnp.arange(size)
    return (pixel >= first) & (pixel < first + width)


def centre_of_mass(
    image: Float[Array, "*batch y x"], good: Bool[Array, "*batch y x"], near: Float[Array, "*batch 2"], width: int
) -> Float[Array, "*batch 2"]:
    """Centre (x, y) of the light of good pixels in the box around `near`; NaN where that is nowhere in the image."""
    height, length = image.shape[-2:]
    box = within(height, near[..., 1], width)[..., :, None] & within(length, near[..., 0], width)[..., None, :]
    light = jnp.where(good & box, image, 0)
    total = jnp.sum(light, (-2, -1))
    known = jnp.abs(total) > 0
    share = jnp.where(known, 1, 0) / jnp.where(known, total, 1)
    x = jnp.sum(light * jnp.arange(length), (-2, -1)) * share
    y = jnp.sum(light * jnp.arange(height)[:, None], (-2, -1)) * share
    inside = known & (x >= 0) & (x < length) & (y >= 0) & (y < height)
    return jnp.where(inside[..., None], jnp.stack([x, y], -1), jnp.nan)


def level_outside(
    image: Float[Array, "integration y x"],
    good: Bool[Array, "integration y x"],
    near: Float[Array, "2"],
    radius: Float[Array, ""],
) -> Float[Array, "integration 1 1"]:
    """Median of the good pixels at least `radius` from `near`, in each image; 0 where there are none."""
    y, x = jnp.indices(image.shape[-2:])
    outside = good & ((x - near[0]) ** 2 + (y - near[1]) ** 2 >= radius**2)
    pixels = [a.reshape(len(image), -1).T for a in (image, outside)]
    return jnp.nan_to_num(order.median(*pixels))[:, None, None]
