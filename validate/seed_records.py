"""The figures of one seed, as the store keeps them: plain numbers, whose distribution over seeds is what is judged."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from uptheramp.validate.metrics import depth as d
from uptheramp.validate.metrics import equivalence as e
from uptheramp.validate.metrics import intervals as i
from uptheramp.validate.record import Record

PPM = 1e6


def depth_records(
    wavelength_um: Float[ndarray, "bin"],
    depth: Float[ndarray, "bin"],
    covariance: Float[ndarray, "bin bin"],
    truth: Float[ndarray, "bin"],
    residuals: int | None = None,
    twin: Float[ndarray, "bin"] | None = None,
) -> tuple[Record, ...]:
    """Errors of one recovered depth spectrum, projected and squared, over the bins that are finite; ppm.

    `twin` is what the noise-free twin recovered: its errors are the algorithms' own.
    """
    use = np.isfinite(depth + truth + covariance.diagonal()) & (covariance.diagonal() > 0)
    records = [_plain("bins_lost", float(np.sum(~use)), "", "Bins without a finite depth, error or truth.")]
    if not use.any():
        return tuple(records)
    c, error, x = covariance[use][:, use], (depth - truth)[use], wavelength_um[use]
    stack = c[None]
    directions = {"mean_bias": (e.mean_weights(stack), "Weighted mean over bins of D^ - D.")}
    if len(x) > 1:
        rise = "Rise of D^ - D over the mode's wavelengths (slope x range)."
        directions["slope_bias"] = (e.slope_weights(stack, x), rise)
    for name, (weights, definition) in directions.items():
        claimed = e.projected_variance(stack, weights) ** 0.5
        records.append(_plain(name, float(error @ weights) * PPM, "ppm", definition, claimed * PPM))
        if twin is not None and np.isfinite(twin[use]).all():
            own = float((twin - truth)[use] @ weights) * PPM
            records.append(_plain(f"{name}_algorithmic", own, "ppm", f"The same of the noise-free twin: {definition}"))
    expected, _ = i.pull_moments(residuals)
    z = d.pulls(depth[None, use], stack, truth[None, use])
    pull = d.chi_square(z) / expected
    what = "Mean square whitened pull z^T z / B over its expectation, z = L^-1 (D^ - D): 1 where errors are right."
    rms, claimed_rms = float(np.sqrt(np.mean(error**2))), float(np.sqrt(np.mean(c.diagonal())))
    return (
        *records,
        _plain("pull_variance", pull, "", what, (2.0 / len(x)) ** 0.5),
        _plain("depth_rms", rms * PPM, "ppm", "Root mean square over bins of D^ - D."),
        _plain("depth_error", claimed_rms * PPM, "ppm", "Root mean square over bins of the error that is claimed."),
    )


def _plain(name: str, value: float, unit: str, definition: str, error: float | None = None) -> Record:
    return Record(name=name, value=value, unit=unit, definition=definition, standard_error=error)
