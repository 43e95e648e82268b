"""The limits on the scatter of spectral channels and of white light, from the true images of an exposure."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from uptheramp.calibrate.instruments.core import Readout
from uptheramp.validate.metrics.limits import group_times, light_curve_limit, slope_variance, usable_differences


def pixel_variance(
    rate_e_per_s: Float[ndarray, "y x"],
    read_noise_e: Float[ndarray, "y x"],
    readout: Readout,
    frame_time_s: float,
    good_groups: Bool[ndarray, "group y x"],
) -> Float[ndarray, "y x"]:
    """GLS bound on the variance of each pixel's slope, (e-/s)^2, for the groups that were used.

    `rate_e_per_s` is the true rate (background and dark included), `read_noise_e` that of a single read.
    """
    times = group_times(readout, frame_time_s)
    return slope_variance(rate_e_per_s, read_noise_e, times, usable_differences(good_groups))


def channel_limits(
    source_e_per_s: Float[ndarray, "y x"],
    variance: Float[ndarray, "y x"],
    aperture: Float[ndarray, "y x"],
    weights: Float[ndarray, "pixel"],
    bins: Sequence[Int[ndarray, "member"]],
    *,
    dispersion_axis: int,
    extra_variance: Float[ndarray, "bin"] | None = None,
) -> Float[ndarray, "bin"]:
    """Relative standard deviation of one integration of each channel: sqrt(sum w^2 var + extra) / sum w source.

    The weight of a pixel is its share of the aperture (0..1) times the weight of its dispersion element in the bin;
    `source` is what the light curve keeps (background removed), `variance` comes from `pixel_variance`. L_pr without,
    L_all with `extra_variance`, the variance (e-/s)^2 of the weighted sum by 1/f, telegraph noise, EMI, cosmic-ray
    losses and background subtraction. One bin of all dispersion elements is white light.
    """
    turn = np.transpose if dispersion_axis == 1 else np.asarray  # rows: elements along the dispersion
    source, variance, share = turn(source_e_per_s), turn(variance), turn(aperture)
    extra = np.zeros(len(bins)) if extra_variance is None else extra_variance
    return np.array(
        [
            light_curve_limit(
                source[b].ravel(),
                variance[b].ravel(),
                (share[b] * np.asarray(weights)[b][:, None]).ravel(),
                float(more),
            )
            for b, more in zip(bins, extra, strict=True)
        ]
    )
