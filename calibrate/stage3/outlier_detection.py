"""Flag pixels that jump away from their own running median in time."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.kernels.rolling import median, rolling_median
from uptheramp.calibrate.stage2.usable import usable
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step

WIDTH = 25


class OutlierDetectionParams(eqx.Module):
    """`snr`: deviation in standard errors beyond which a pixel is an outlier (first of the official pair).

    `rolling_window_width`: integrations in the running median; the declared halo serves up to the default.
    """

    snr: float = 5.0
    rolling_window_width: int = eqx.field(static=True, default=WIDTH)


@step(cite="jwst 3.0.0 outlier_detection (tso)", halo=WIDTH // 2)
def outlier_detection(state: Rates, refs: None, params: OutlierDetectionParams) -> tuple[Rates, None]:
    """Flag OUTLIER | DO_NOT_USE where `|data - running median| > snr * err`.

    Near the ends of the exposure the nearest full window stands; where the window is not shorter than the exposure, one
    median serves all integrations. Unlike the official step, whose median is NaN wherever a window holds a NaN and then
    flags nothing there, the median ignores pixels that are not usable.
    """
    good = usable(state)
    data = jax.lax.stop_gradient(jnp.where(good, state.data, jnp.nan))
    centre = _centre(data, params.rolling_window_width)
    residual = jnp.abs(zeroed(data, good) - zeroed(centre, good))
    error = jnp.sqrt(
        sum(zeroed(jax.lax.stop_gradient(v), good) for v in (state.var_poisson, state.var_rnoise, state.var_flat))
    )
    found = good & jnp.isfinite(centre) & (residual > params.snr * error)
    mark = jnp.where(found, flags.OUTLIER | flags.DO_NOT_USE, 0).astype(state.dq.dtype)
    return replace(state, dq=state.dq | mark), None


def _centre(data: Float[Array, "integration y x"], width: int) -> Float[Array, "integration y x"]:
    """Running median, constant near the ends of what is not padding (integrations without a usable pixel)."""
    count = data.shape[0]
    if not 1 < width < count:
        return jnp.broadcast_to(median(data), data.shape)
    present = jnp.any(jnp.isfinite(data), (1, 2))
    first, last = jnp.argmax(present), count - 1 - jnp.argmax(present[::-1])
    before = width // 2
    lowest = first + before
    nearest = jnp.clip(jnp.arange(count), lowest, jnp.maximum(lowest, last - (width - 1 - before)))
    return rolling_median(data, width)[jnp.minimum(nearest, count - 1)]
