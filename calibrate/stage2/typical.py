"""The variance that an exposure's integrations have in common: what extractions weigh pixels by."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import order
from uptheramp.calibrate.state import Rates

LEAST = 1e-3  # of the middle variance


def typical_variance(
    sample: Rates, good: Bool[Array, "integration y x"], axis: int | None = None
) -> Float[Array, "y x"]:
    """Median over the sample's good integrations of the Poisson and read-noise variance, at least LEAST of the middle.

    Weights that every integration shares do not favour pixels that happen to be faint in it. The middle is that of the
    image, or of each line along `axis`.
    """
    variance = sample.var_poisson + sample.var_rnoise
    good &= jnp.isfinite(variance)
    middle = order.median(variance, good)
    known = jnp.isfinite(middle) & (middle > 0)
    floor = LEAST * jnp.nanmedian(jnp.where(known, middle, jnp.nan), axis, keepdims=axis is not None)
    floor = jnp.where(jnp.isfinite(floor), floor, 1)
    return jnp.where(known, jnp.maximum(middle, floor), floor).astype(sample.data.dtype)
