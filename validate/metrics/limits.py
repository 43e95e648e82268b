"""The best that the photons and the reads allow: the GLS bound of a slope, and the limits of a light curve."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from uptheramp.calibrate.instruments.core import Readout


@dataclass(frozen=True)
class GroupTimes:
    """Per group: mean time of its reads and the effective time tau of their Poisson variance, s from the reset."""

    mean_s: Float[ndarray, "group"]
    tau_s: Float[ndarray, "group"]
    reads: int


def group_times(readout: Readout, frame_time_s: float) -> GroupTimes:
    """Find the times of the groups of a MULTIACCUM ramp.

    Read k (1..N) of group i ends at (i (N + gap) + k) frame times;
    tau = (1/N^2) sum_k (2N + 1 - 2k) t_k, Var(G_i) = a tau_i + sigma^2/N, Cov(G_i, G_j>i) = a mean_i (Brandt 2024).
    """
    n = readout.nframes
    first = np.arange(readout.ngroups)[:, None] * readout.frames_per_group
    k = np.arange(1, n + 1)
    t = (first + k) * frame_time_s
    return GroupTimes(t.mean(axis=1), (t * (2 * n + 1 - 2 * k)).sum(axis=1) / n**2, n)


def usable_differences(good_groups: Bool[ndarray, "group *pixel"]) -> Bool[ndarray, "difference *pixel"]:
    """Mark a group difference as usable where both of its groups are."""
    return good_groups[1:] & good_groups[:-1]


def slope_variance(
    rate_e_per_s: Float[ndarray, "*pixel"],
    read_noise_e: Float[ndarray, "*pixel"],
    times: GroupTimes,
    usable: Bool[ndarray, "difference *pixel"],
) -> Float[ndarray, "*pixel"]:
    """Variance (e-/s)^2 of the GLS slope, 1 / (1^T C^-1 1), C the true covariance of the scaled group differences.

    For d_i = (G_i+1 - G_i)/dt_i, true rate a, single-read noise sigma, N reads a group (Brandt 2024):
    C_ii = [2 sigma^2/N + a (tau_i + tau_i+1 - 2 mean_i)] / dt_i^2,
    C_i,i+1 = [-sigma^2/N + a (mean_i+1 - tau_i+1)] / (dt_i dt_i+1); tridiagonal, solved by elimination. Differences
    that are not usable are left out; a pixel without any has infinite variance.
    """
    a, noise = np.broadcast_arrays(np.asarray(rate_e_per_s, float), np.asarray(read_noise_e, float) ** 2 / times.reads)
    a = np.maximum(a, 0.0)
    dt = np.diff(times.mean_s)
    tau, mean = times.tau_s, times.mean_s
    information = np.zeros(a.shape)
    pivot, carried, before = np.ones(a.shape), np.zeros(a.shape), np.zeros(a.shape, bool)
    for i in range(len(dt)):
        here = np.broadcast_to(usable[i], a.shape)
        diagonal = (2.0 * noise + a * (tau[i] + tau[i + 1] - 2.0 * mean[i])) / dt[i] ** 2
        off = (a * (mean[i] - tau[i]) - noise) / (dt[i - 1] * dt[i]) if i else np.zeros(a.shape)
        link = np.where(before & here, off / pivot, 0.0)
        carried = np.where(here, 1.0 - link * carried, 0.0)  # forward elimination of C x = 1
        pivot = np.where(here, diagonal - link * off, 1.0)
        information = information + carried**2 / pivot
        before = here
    with np.errstate(divide="ignore"):
        return 1.0 / information


def light_curve_limit(
    rate: Float[ndarray, "pixel"],
    variance: Float[ndarray, "pixel"],
    weights: Float[ndarray, "pixel"],
    extra_variance: float = 0.0,
) -> float:
    """Relative standard deviation of one point of a light curve: sqrt(sum w^2 var + extra) / sum w rate.

    With `slope_variance` of exactly the pixels and groups taken this is L_pr (Poisson and read noise); with the
    variance of the weighted sum that 1/f, telegraph noise, EMI and cosmic-ray losses add, `extra_variance`, L_all.
    Pixels of weight zero do not count, whatever their variance. NaN without light.
    """
    taken = weights != 0.0
    w, v = weights[taken], variance[taken]
    light = np.sum(w * rate[taken])
    return float(np.sqrt(np.sum(w**2 * v) + extra_variance) / light) if light != 0.0 else float("nan")
