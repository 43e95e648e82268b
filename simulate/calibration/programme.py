"""The measurements of a calibration programme, as averages over many exposures with the noise those leave.

Sizes: 100 darks of one integration each, as long as the exposure's, 100 flat ramps of 40 reads to the full well for the
non-linearity, 50 flat-field exposures of half the well, 60 pairs of reads for the read noise. Averages of so many draws
are normal.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from uptheramp.simulate.ramps.render import Constants

DARKS = 100
FLAT_RAMPS, FLAT_READS = 100, 40
FLATS, FLAT_FILL = 50, 0.5
NOISE_PAIRS = 60
GAIN_ERROR = 0.005  # of each output's photon-transfer curve


@dataclass(frozen=True)
class FlatRamp:
    """A ramp under constant light from empty to full well, averaged: signal (e-, bias removed) at each read.

    `signal` is NaN for pixels that see no light.
    """

    time: Float[np.ndarray, "read"]  # in units of the time to fill the well
    signal: Float[np.ndarray, "read y x"]


def flat_ramp(constants: Constants, rng: np.random.Generator | None) -> FlatRamp:
    """Return flat ramps averaged over FLAT_RAMPS exposures; without noise where `rng` is None."""
    maps = constants.maps
    time = np.arange(1, FLAT_READS + 1) / FLAT_READS
    well = float(maps.well_e)
    charge = np.broadcast_to(time[:, None, None] * well, (FLAT_READS, *maps.gain.shape))
    if rng is not None:
        step = well / FLAT_READS / FLAT_RAMPS
        charge = charge + np.cumsum(rng.standard_normal(charge.shape) * np.sqrt(step), axis=0)
    signal = np.asarray(maps.charge_physics(charge, np.asarray(maps.deficit_scale, float)), float)
    if rng is not None:
        signal = signal + rng.standard_normal(signal.shape) * maps.read_noise_e / np.sqrt(FLAT_RAMPS)
    return FlatRamp(time, np.where(maps.light > 0, signal, np.nan))


def averaged_dark(
    constants: Constants, group_mean_s: np.ndarray, rng: np.random.Generator | None
) -> Float[np.ndarray, "group y x"]:
    """Return the mean dark ramp, DN with the bias removed: dark current x time since reset, and its noise."""
    maps = constants.maps
    steps = np.diff(group_mean_s, prepend=0.0)[:, None, None] * maps.dark_e_per_s
    if rng is None:
        return np.cumsum(steps, axis=0) / maps.gain
    charge = np.cumsum(steps + rng.standard_normal(steps.shape) * np.sqrt(steps / DARKS), axis=0)
    frames = constants.recipe.readout.nframes
    return (charge + rng.standard_normal(steps.shape) * maps.read_noise_e / np.sqrt(DARKS * frames)) / maps.gain


def averaged_bias(constants: Constants, rng: np.random.Generator | None) -> Float[np.ndarray, "y x"]:
    """Return the mean level after reset, DN; kTC and read noise averaged over the darks."""
    maps = constants.maps
    if rng is None:
        return np.asarray(maps.bias_dn, float)
    noise = np.hypot(maps.read_noise_e, maps.ktc_e) / np.sqrt(DARKS)
    return maps.bias_dn + rng.standard_normal(noise.shape) * noise / maps.gain


def averaged_flat(constants: Constants, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat field and its standard error (photon noise of FLATS exposures).

    It is measured in DN, so it holds the gains of the outputs over their mean as well as the response.
    """
    gain = np.asarray(constants.maps.gain, float)
    response = np.asarray(constants.maps.flat, float)
    if rng is not None:
        error = np.sqrt(response / (FLATS * FLAT_FILL * float(constants.maps.well_e)))
        response = response + rng.standard_normal(response.shape) * error
    else:
        error = np.zeros_like(response)
    in_dn = gain.mean() / gain
    return response * in_dn, error * in_dn
