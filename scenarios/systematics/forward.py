"""The simulator as a model: mean and covariance of group differences under an even lamp, DN.

Of the sensor only its table is known: gain, read noise and well are the table's everywhere, and the effects named are
the only ones. What differs from pixel to pixel is to be found. Pixels that do not mix are windows of 1 x 1, mapped.
"""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from uptheramp.calibrate.instruments.core import Readout
from uptheramp.simulate.detector import nonlinearity
from uptheramp.simulate.detector.maps import Maps
from uptheramp.simulate.effect import Params
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import chain, covariance, lamp, multiaccum, render
from uptheramp.simulate.ramps.render import Constants, Recipe


def nominal(observation: Observation, effects: tuple[str, ...], shape: tuple[int, int] = (1, 1)) -> Constants:
    """Constants of a sensor that is what its table says, in a window of `shape` pixels that see light, in the dark."""
    o, chip = replace(observation, settings={}), observation.detector
    on = tuple(name for name in chain.EFFECTS if name in effects and chain.EFFECTS[name].exists(chip))
    ones, off = np.ones(shape), np.zeros(shape, bool)
    sensor = Maps(
        flat=ones,
        dark_e_per_s=0 * ones,
        gain=chip.gain_e_per_dn * ones,
        bias_dn=0 * ones,
        read_noise_e=chip.read_noise_e * ones,
        ktc_e=np.asarray(chip.ktc_e),
        well_e=np.asarray(chip.full_well_e),
        deficit_scale=ones,
        charge_physics=nonlinearity.physics(chip.nonlinearity, chip.full_well_e),
        light=ones,
        hot=off,
        dead=off,
    )
    return Constants(
        spectra=(lamp.Lamp(0 * ones),),
        field=(),
        background=0 * ones,
        maps=sensor,
        params=Params(np.float64(o.subarray.frame_time_s), np.float64(o.cadence_s), np.float64(1)),
        own=chain.constants(o, sensor, on),
        recipe=Recipe(o.readout, o.reads_per_integration, on),
    )


def under(constants: Constants, rate_e_per_s: Float[Array, "y x"]) -> Constants:
    """Return the same sensor under a lamp."""
    return eqx.tree_at(lambda c: c.spectra[0].rate, constants, rate_e_per_s)


def differences(
    constants: Constants, first_group: int, integration: Int[Array, ""] | int = 0
) -> Float[Array, "difference y x"]:
    """Mean differences of neighbouring groups, from `first_group` (from 0) on."""
    groups, _ = render.mean_integration(constants, jnp.asarray(integration), constants.recipe.effects, {})
    return jnp.diff(groups[first_group:], axis=0)


def spread(constants: Constants, first_group: int) -> Float[Array, "difference difference y x"]:
    """Covariance of all those differences with each other: every pair of reads, through the chain and MULTIACCUM.

    cov(D_a, D_b) = sum_ij w_ai w_bj C(i, j); 1/f noise and the curvature of the chain reach beyond neighbours.
    """
    c, readout = constants, constants.recipe.readout
    pointing = render.expected_pointing(c)
    reads = covariance.of_reads(
        pointing, lambda p: render.illumination(c, p), c.maps, c.params, c.own, c.recipe.effects
    )
    parts = weights(readout, c.recipe.reads)[first_group:]
    used = np.flatnonzero(np.any(parts != 0, axis=0))
    i, j = (a.ravel() for a in np.meshgrid(used, used, indexing="ij"))
    upper = i <= j
    half = jax.lax.map(lambda pair: reads(*pair), (jnp.asarray(i[upper]), jnp.asarray(j[upper])))
    place = np.zeros((len(used), len(used)), int)
    place[np.triu_indices(len(used))] = np.arange(upper.sum())
    place = np.maximum(place, place.T)
    full = half[place]
    taken = np.diff(parts, axis=0)[:, used]
    total = jnp.einsum("ai,ijyx,bj->abyx", taken, full, taken)
    n = len(taken)
    cut = multiaccum.truncation_variance(readout) * (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))
    return total + cut[:, :, None, None]


def weights(readout: Readout, reads: int) -> Float[np.ndarray, "group read"]:
    """Part of each read in each group."""
    out = np.zeros((readout.ngroups, reads))
    for group in range(readout.ngroups):
        start = group * readout.frames_per_group
        out[group, start : start + readout.nframes] = 1 / readout.frame_divisor
    return out


def with_physics(constants: Constants, physics) -> Constants:
    """Return the same sensor with another law of charge and signal."""
    return replace(constants, maps=replace(constants.maps, charge_physics=physics))
