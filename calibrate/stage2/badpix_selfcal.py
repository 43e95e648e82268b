"""Bad pixels that an exposure shows by itself."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import aperture, order
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.usable import usable
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step

IMAGES = ("minimum", "median")


class Found(eqx.Module):
    """Pixels that stand out from their neighbours along the dispersion."""

    bad: Bool[Array, "y x"]


class BadpixSelfcalRefs(eqx.Module):
    """What badpix_selfcal takes from the library; `found` is learned."""

    extract1d: Extract1d
    found: Found | None


class BadpixSelfcalParams(eqx.Module):
    """Fractions of pixels to flag as too low and too high, and the length of the median filter (px, made odd).

    `image` says what is looked at: the "minimum" of the integrations of a sample, as the official step takes that of
    exposures, or their "median".
    """

    flagfrac_lower: float = 0.001
    flagfrac_upper: float = 0.001
    kernel_size: int = eqx.field(static=True, default=15)
    image: str = eqx.field(static=True, default="minimum")

    def __check_init__(self):
        if self.image not in IMAGES:
            raise InputError(f"badpix_selfcal.image={self.image}: give one of {', '.join(IMAGES)}")
        if self.kernel_size < 1:
            raise InputError(f"badpix_selfcal.kernel_size={self.kernel_size}: give 1 or more pixels")


def learn_bad(sample: Rates, refs: BadpixSelfcalRefs, params: BadpixSelfcalParams) -> Found:
    """Compare one image of the sample with its running median along the dispersion."""
    good = usable(sample)
    data = jax.lax.stop_gradient(sample.data)
    seen = good.any(0)
    image = order.median(data, good) if params.image == "median" else jnp.where(good, data, jnp.inf).min(0)
    axis = -1 if aperture.across_axis(refs.extract1d.dispersion_axis) == -2 else -2
    left = jnp.where(seen, image - smooth(jnp.where(seen, image, jnp.nan), axis, params.kernel_size), jnp.nan)
    left = left.astype(jnp.float64)
    low, high = (jnp.nanquantile(left, q) for q in (params.flagfrac_lower, 1 - params.flagfrac_upper))
    return Found((left < low) | (left > high))


def smooth(image: Float[Array, "y x"], axis: int, length: int) -> Float[Array, "y x"]:
    """Running median of what is finite along an axis; beyond the ends there are zeros, as officially."""
    reach, size = length // 2, image.shape[axis]
    padded = jnp.pad(image, [(reach, reach) if k == axis + 2 else (0, 0) for k in range(2)])
    moved = jnp.stack([jax.lax.slice_in_dim(padded, k, k + size, axis=axis + 2) for k in range(2 * reach + 1)])
    return order.median(moved, jnp.isfinite(moved))


@step(cite="jwst 3.0.0 badpix_selfcal", learned="found", learn=learn_bad)
def badpix_selfcal(state: Rates, refs: BadpixSelfcalRefs, params: BadpixSelfcalParams) -> tuple[Rates, None]:
    """Flag what was found DO_NOT_USE | OTHER_BAD_PIXEL in every integration.

    The official step knows no time series and needs other exposures; here the integrations are what it compares.
    """
    if refs.found is None:
        return state, None
    mark = jnp.where(refs.found.bad, flags.DO_NOT_USE | flags.OTHER_BAD_PIXEL, 0).astype(state.dq.dtype)
    return replace(state, dq=state.dq | mark), None
