"""The whole table of depth recovery for one mode, with verdicts: from many seeds, or honestly from one."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from uptheramp.calibrate.errors import InputError
from uptheramp.validate import depth_records as r
from uptheramp.validate.ensemble import Ensemble, only, usable_bins
from uptheramp.validate.light_curve_records import STATISTICS as LIGHT_CURVE_STATISTICS
from uptheramp.validate.metrics import depth as d
from uptheramp.validate.metrics import equivalence as e
from uptheramp.validate.metrics import intervals as i
from uptheramp.validate.record import Record, overall

PPM = 1e6


@dataclass(frozen=True)
class PerBin:
    """By bin, in ppm: the parts of the bias (NaN where the twin is not known), errors, what is excluded, RMSE."""

    wavelength_um: Float[ndarray, "bin"]
    bias_ppm: Float[ndarray, "bin"]
    bias_error_ppm: Float[ndarray, "bin"]
    algorithmic_ppm: Float[ndarray, "bin"]
    noise_induced_ppm: Float[ndarray, "bin"]
    noise_induced_error_ppm: Float[ndarray, "bin"]
    excluded_ppm: Float[ndarray, "bin"]
    rmse_ppm: Float[ndarray, "bin"]


@dataclass(frozen=True)
class Recovery:
    """The verdict on one mode, the records behind it, and the table by bin."""

    mode: str
    seeds: int
    verdict: str
    records: tuple[Record, ...]
    per_bin: PerBin


def _per_bin(x: Ensemble) -> PerBin:
    parts = d.bias_parts(x.depth, x.truth, x.twin)
    errors = np.broadcast_to(x.depth - x.truth, x.depth.shape)
    claimed = np.sqrt(x.covariance.mean(axis=0).diagonal() / len(errors))
    error = parts.total.standard_error if len(errors) > 1 else claimed
    unknown = np.full(errors.shape[1], np.nan)
    return PerBin(
        wavelength_um=x.wavelength_um,
        bias_ppm=parts.total.value * PPM,
        bias_error_ppm=error * PPM,
        algorithmic_ppm=unknown if parts.algorithmic is None else parts.algorithmic.value * PPM,
        noise_induced_ppm=unknown if parts.noise_induced is None else parts.noise_induced.value * PPM,
        noise_induced_error_ppm=unknown if parts.noise_induced is None else parts.noise_induced.standard_error * PPM,
        excluded_ppm=d.smallest_excluded_bias(parts.total.value, error) * PPM,
        rmse_ppm=np.sqrt(d.mean_square_error(errors)) * PPM,
    )


def alpha_for(modes: int) -> float:
    """Chance of a false alarm of each test on `modes` modes: the depth and light-curve statistics share 1 %."""
    return i.family_alpha((len(r.STATISTICS) + len(LIGHT_CURVE_STATISTICS)) * modes)


def judge(x: Ensemble, modes: int = 1) -> Recovery:
    """Judge one of `modes` modes that are judged together.

    Passing: every statistic inside the 99 % interval of a perfect pipeline, corrected for the number of modes and
    statistics (`alpha_for`), and equivalence of the mean bias and of its slope. One statistic outside fails; where S
    is too small to tell, the verdict is "not decided".
    """
    use = usable_bins(x)
    if not use.any():
        raise InputError(f"{x.mode}: no wavelength bin has a finite depth, error and truth; nothing can be judged")
    x = only(x, use)
    errors = np.broadcast_to(x.depth - x.truth, x.depth.shape)
    alpha = alpha_for(modes)
    z = d.pulls(x.depth, x.covariance, x.truth)
    records = [
        r.chi_square(x, z, alpha),
        r.coverage(x, errors, "coverage_68", 1.0, alpha),
        r.coverage(x, errors, "coverage_95", 2.0, alpha),
        *r.worst_bin(x, errors, alpha),
        r.mean_square_error(x, errors, alpha),
        *r.projection(x, errors, "mean_bias", "Weighted mean over bins", e.mean_weights(x.covariance), alpha),
    ]
    if errors.shape[1] > 1:
        slope = e.slope_weights(x.covariance, x.wavelength_um)
        records += r.projection(
            x, errors, "slope_bias", "Rise over the mode's wavelengths (slope x range)", slope, alpha
        )
    if x.twin is not None:
        records += r.twin_records(x, x.twin)
    if not use.all():
        records.append(r.bins_left_out(use))
    return Recovery(x.mode, len(errors), overall(tuple(records)), tuple(records), _per_bin(x))
