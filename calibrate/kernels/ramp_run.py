"""The official slopes (`ramp_ols.py`) of ramps that are one segment, the same in all pixels of an image.

Most ramps have no flags but those of groups that the whole image lacks. Weights then depend on the pixel by its
signal-to-noise ratio alone, and one look at each group is enough.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from uptheramp.calibrate.kernels import planes, ramp_ols

ASKED = 4096  # pixels that are asked which groups the image has; where they err, ramps are only fitted the long way


class Run(NamedTuple):
    """The first group of the segment and how many groups it has."""

    first: Int[Array, ""]
    length: Int[Array, ""]


def shared(good: Bool[Array, "group y x"]) -> Run:
    """The run of groups that the image has."""
    pixels = good.reshape(len(good), -1)
    some = pixels[:, :: max(1, pixels.shape[1] // ASKED)].any(1)
    return Run(jnp.argmax(some), some.sum())


def departs(run: Run, good: Bool[Array, "group y x"], jump: Bool[Array, "group y x"]) -> Bool[Array, "y x"]:
    """Whether a ramp is something else than that run of two or more good groups."""
    number = jnp.arange(len(good))
    member = (number >= run.first) & (number < run.first + run.length)
    other = planes.rows((good != member[:, None, None]) | jump)
    return planes.fold(jnp.logical_or, jnp.full(good.shape[1:], run.length < 2), other)


def fit(
    run: Run, data: Float[Array, "group ..."], gain: Float[Array, "..."], read_noise_e: Float[Array, "..."]
) -> ramp_ols.Fit:
    """What `ramp_ols.fit` gives of such ramps."""
    length = jnp.maximum(run.length, 2).astype(data.dtype)
    middle = 0.5 * (length - 1)
    lever = (jnp.arange(len(data)) - run.first).astype(data.dtype) - middle
    arm = jnp.abs(lever) / middle
    weighs = (arm > 0) & (arm <= 1)
    first, last = (jnp.take(data, k, axis=0, mode="clip") for k in (run.first, run.first + run.length - 1))
    snr = jax.lax.stop_gradient(ramp_ols.signal_to_noise((last - first) * gain, read_noise_e))

    powers = [jnp.where(weighs, power, 0) for power in ramp_ols.powers(jnp.where(weighs, arm, 1))]
    plain = weighs.astype(data.dtype)

    def add(moment: Array, value: Array, lever: Array, plain: Array, *powers: Array) -> Array:
        return moment + ramp_ols.chosen_power(plain, powers, snr) * lever * jnp.where(plain > 0, value - first, 0)

    moment = planes.fold(add, jnp.zeros_like(first), *map(planes.rows, (data, lever, plain, *powers)))
    # of all pixels that have the same power the sum of the weights is the same
    spread = ramp_ols.chosen_power((plain * lever**2).sum(), [(p * lever**2).sum() for p in powers], snr)
    read, poisson = (length**3 - length) / 12, length - 1
    zero, yes = jnp.zeros_like(first), jnp.ones(first.shape, bool)
    return ramp_ols.Fit(moment / spread * read / read, zero + read, zero + poisson, yes, ~yes)
