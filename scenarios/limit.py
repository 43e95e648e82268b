"""What 1/f noise must cost: the part of L_all beyond photons and reads (L_pr), by the true covariance of all pixels.

Levels of the lines of the read-out (of equal segments, where lines are long) have the covariance of the simulator's
process over lines, groups and outputs; every usable pixel tells of them, lit or not, reference pixels too, beside a
free scale of the light of each dispersion element and order (validate/metrics/line_noise.py). What is
known otherwise is known as L_pr knows it: the shape of the light in each dispersion element and order, the background
and the dark current; so no background is marginalised, with or without 1/f. Left out, so that the limit stays at or
below that of METRICS: structure within a segment, the stream that alternates between even and odd pixels (it cancels in
apertures), what neighbouring integrations tell, and telegraph noise, EMI and cosmic-ray losses.
"""

import numpy as np
from jaxtyping import Float, Int

from uptheramp.calibrate.kernels.readout import oriented
from uptheramp.calibrate.state import Photometry
from uptheramp.scenarios.judge import calibration, order_numbers, pixel_weights, typical_groups
from uptheramp.scenarios.reduced import Reduced
from uptheramp.simulate.detector.one_over_f import Layout, Pink, level_covariance
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps.render import Constants
from uptheramp.simulate.truth import Truth
from uptheramp.validate.metrics.levels_posterior import Drift
from uptheramp.validate.metrics.limits import group_times, usable_differences
from uptheramp.validate.metrics.line_noise import Pixels, added_covariance

LONGEST = 64  # samples of a segment of a line


def pink_covariance(
    reduced: Reduced, observation: Observation, constants: Constants, truth: Truth
) -> Float[np.ndarray, "channel channel"]:
    """Covariance that 1/f noise adds to one integration of the channels, relative to their light."""
    if "one_over_f" not in observation.effects or observation.ngroups < 2:
        return np.zeros((len(reduced.binning.weights),) * 2)
    process: Pink = constants.own["one_over_f"]
    shares = pixel_weights(reduced) * ~reduced.lost
    element, light, own, weights = _image(reduced, observation, truth, shares)
    groups = typical_groups(reduced) & (~reduced.lost | (np.asarray(constants.maps.light) == 0))
    usable = usable_differences(groups)
    taken = usable.any(0)
    pixels = Pixels(
        rate_e_per_s=truth.rate_e_per_s[taken].astype(float),
        read_noise_e=truth.read_noise_e[taken].astype(float),
        usable=usable[:, taken],
        level=levels(process.layout)[taken],
        element=element[taken],
        light=light[:, taken],
        share=shares[:, taken],
    )
    times = group_times(observation.readout, truth.facts["frame_time_s"])
    added = added_covariance(pixels, times, drift(process, observation), weights)
    total = np.stack([np.bincount(element.ravel(), x.ravel(), weights.shape[-1]) for x in shares * own])
    relative = 1 / (weights * total).sum((1, 2))
    return added * relative[:, None] * relative


def _image(
    reduced: Reduced, observation: Observation, truth: Truth, shares: Float[np.ndarray, "spectrum y x"]
) -> tuple[Int[np.ndarray, "y x"], np.ndarray, np.ndarray, Float[np.ndarray, "channel spectrum element"]]:
    """Dispersion element of each pixel, the light of all orders, that of the spectra, and weights in the channels."""
    shape, all_light = truth.rate_e_per_s.shape, truth.order_e_per_s.astype(float)
    if isinstance(reduced.spectra, Photometry):
        star = all_light.sum(0, keepdims=True)
        return np.zeros(shape, int), star, star, np.ones((1, 1, 1))
    orders = observation.mode.orders
    number = {order.number: k for k, order in enumerate(orders)}
    which = [number[n] for n in order_numbers(reduced).tolist()] if len(orders) > 1 else [0]
    element = np.indices(shape)[1 if observation.mode.dispersion_axis == 1 else 0]
    weights = reduced.binning.weights * calibration(reduced)
    return element, all_light, all_light[which], weights.reshape(len(weights), len(shares), -1)


def levels(plan: Layout) -> Int[np.ndarray, "y x"]:
    """Number of the level that each pixel sees, as in `Drift`."""
    pixel = np.arange(plan.outputs * plan.kept)
    output, sample = (pixel % plan.outputs, pixel // plan.outputs) if plan.interleaved else divmod(pixel, plan.kept)
    segments = segments_of(plan)
    cell = np.arange(plan.lines)[:, None] * segments + sample * segments // plan.kept
    number = cell * plan.outputs + output
    image = np.empty(number.shape if abs(plan.fast_axis) == 1 else number.shape[::-1], int)
    oriented(image, plan.fast_axis, plan.slow_axis)[:] = number
    return image


def segments_of(plan: Layout) -> int:
    """Equal parts of a line with a level each, the fewest that are no longer than LONGEST."""
    return next(n for n in range(1, plan.kept + 1) if plan.kept % n == 0 and plan.kept // n <= LONGEST)


def drift(process: Pink, observation: Observation) -> Drift:
    """The levels of the simulator: a stream that all outputs share and one for each, e-."""
    plan = process.layout
    variance = dict(zip(plan.streams, np.asarray(process.amplitude_e, float) ** 2, strict=True))
    common, independent = (variance.get(name, 0.0) for name in ("common", "independent"))
    lags = level_covariance(plan, observation.readout, segments_of(plan))
    return Drift(common + independent * np.eye(plan.outputs), lags)
