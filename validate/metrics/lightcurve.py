"""Recovery of a light curve: scatter against its limit, red noise, mid-transit time."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy import stats

SECONDS_PER_DAY = 86400.0


def detrended_rms(
    time: Float[ndarray, "time"], flux: Float[ndarray, "time"], out: Bool[ndarray, "time"], degree: int = 1
) -> tuple[float, int]:
    """Relative out-of-transit rms about a polynomial fitted to those points, and its degrees of freedom n - degree - 1.

    rms = sqrt(sum r^2 / (n - degree - 1)) / mean level; points that are not finite are left out.
    """
    use = out & np.isfinite(flux)
    x = (time[use] - time[use].mean()) / max(np.ptp(time[use]), 1e-30)
    level = float(np.mean(flux[use]))
    residual = flux[use] / level - np.polyval(np.polyfit(x, flux[use] / level, degree), x)
    freedom = int(use.sum()) - degree - 1
    return float(np.sqrt(np.sum(residual**2) / freedom)), freedom


def scatter_ratio(rms: float, limit: float, freedom: int) -> tuple[float, float]:
    """Out-of-transit, detrended rms over a limit (L_pr or L_all), with standard error ratio / sqrt(2 n)."""
    ratio = rms / limit
    return ratio, ratio / (2.0 * freedom) ** 0.5


def scatter_interval(freedom: int, alpha: float) -> tuple[float, float]:
    """Interval of the scatter ratio at the limit: square roots of chi-square quantiles over n."""
    low, high = np.sqrt(stats.chi2.ppf([alpha / 2.0, 1.0 - alpha / 2.0], freedom) / freedom)
    return float(low), float(high)


def binned_rms(residuals: Float[ndarray, "time"], points: int) -> tuple[float, int]:
    """Rms of the means of M consecutive bins of `points` residuals (a last, unfilled bin is dropped), and M."""
    bins = len(residuals) // points
    means = residuals[: bins * points].reshape(bins, points).mean(axis=1)
    return float(np.sqrt(np.mean(means**2))), bins


def beta(residuals: Float[ndarray, "time"], points: int) -> float:
    """Red noise beta(N) = rms_N / [rms_1 N^-1/2 (M/(M-1))^1/2], M bins of N points; NaN with fewer than two bins.

    Taken at N = T14/4 and T14 in integrations. Residuals that are not finite are left out before binning.
    """
    finite = residuals[np.isfinite(residuals)]
    rms_n, bins = binned_rms(finite, points)
    if bins < 2:
        return float("nan")
    rms_1 = float(np.sqrt(np.mean(finite**2)))
    return rms_n / (rms_1 * points**-0.5 * (bins / (bins - 1.0)) ** 0.5)


def beta_interval(integrations: int, points: int, alpha: float) -> tuple[float, float] | None:
    """Interval of beta(N) for white residuals; None with fewer than two bins, which test nothing.

    The mean square of M bin means has M degrees of freedom of the n in rms_1: beta^2 = (n / M) x (M - 1) / N x a
    Beta(M/2, (n - M)/2) variate. A fitted baseline and transit take some of the M away, so only the upper limit is
    used as a test; the lower one is 0.
    """
    bins = integrations // points
    if bins < 2:
        return None
    share = stats.beta.ppf(1.0 - alpha, bins / 2.0, (integrations - bins) / 2.0)
    return 0.0, float(np.sqrt(share * integrations / bins * (bins - 1.0) / bins))


def mid_transit_difference_s(recovered_d: float, truth_d: float) -> float:
    """Recovered minus true mid-transit time, s; both in days of one time scale, at the mean time of the groups used."""
    if abs(recovered_d - truth_d) > 1e5:
        raise ValueError(
            f"epochs {recovered_d} and {truth_d} differ by more than 1e5 d: they are not in one time scale"
        )
    return (recovered_d - truth_d) * SECONDS_PER_DAY
