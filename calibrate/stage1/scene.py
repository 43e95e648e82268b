"""Where light falls on the detector, from draft rates: what steps that need unlit pixels learn."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import background, histogram
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1.ramp_fit import RampFitParams, RampFitRefs, ramp_fit
from uptheramp.calibrate.state import Ramps

SIGMA_LOWER = 3.0  # below which a pixel of the draft rates is bad


def draft(
    state: Ramps, gain: Gain, readnoise: ReadNoise, dark: Dark | None
) -> tuple[Float[Array, "integration y x"], Float[Array, "y x"]]:
    """Rates by the official fit with its defaults (0 where there is none), and their mean (NaN where there is none)."""
    rates, _ = ramp_fit(jax.lax.stop_gradient(state), RampFitRefs(gain, readnoise, dark, None), RampFitParams())
    known = jnp.isfinite(rates.data) & (rates.var_rnoise > 0)
    weight = jnp.where(known, 1 / jnp.where(known, rates.var_rnoise, 1), 0)
    rate, total = jnp.where(known, rates.data, 0), weight.sum(0)
    return rate, jnp.where(total > 0, (rate * weight).sum(0) / jnp.where(total > 0, total, 1), jnp.nan)


def unlit(rate: Float[Array, "y x"], n_sigma: float | Array, by_histogram: bool = False) -> Bool[Array, "y x"]:
    """Pixels that show the background alone: no more than `n_sigma` deviations above it (0: all that have a rate).

    Level and deviation of the background are those of its clipped values, or of a Gaussian in their histogram.
    """
    known = jnp.isfinite(rate) & (rate != 0)
    r, kept = background.ranked(rate, known)
    if by_histogram:
        centre, spread = histogram.gaussian(r, kept)
        kept = background.between(r, kept, centre - SIGMA_LOWER * spread, centre + n_sigma * spread)
    else:
        kept = background.background(r, kept, SIGMA_LOWER, n_sigma, lower_half=False)
    return jnp.where(jnp.asarray(n_sigma) > 0, known & background.admitted(rate, r, kept), known)
