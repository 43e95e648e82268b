"""Records of depth recovery: each statistic with its definition, the interval of a perfect pipeline, its verdict."""

from math import ceil

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from uptheramp.validate.ensemble import Ensemble
from uptheramp.validate.metrics import depth as d
from uptheramp.validate.metrics import equivalence as e
from uptheramp.validate.metrics import intervals as i
from uptheramp.validate.metrics.control_variates import antithetic
from uptheramp.validate.record import NOT_DECIDED, PASS, Record, judged

PPM = 1e6
STATISTICS = ("chi_square", "coverage_68", "coverage_95", "worst_bin", "mean_square_error", "mean_bias", "slope_bias")
ERROR_RESOLUTION = 0.05  # a statistic of the errors decides once its interval is as narrow as 5 % in the errors


def _decided(value: float, low: float, high: float, resolved: bool) -> str:
    """Outside is a failure whatever the power; inside is a pass only where the interval is narrow enough to tell."""
    verdict = judged(value, low, high)
    return NOT_DECIDED if verdict == PASS and not resolved else verdict


def _needed(verdict: str, seeds: int, half_width: float, wanted: float) -> str:
    """Say, where it is open, with how many seeds the interval (it shrinks as S^-1/2) reaches the wanted half width."""
    return f" Decides with S = {ceil(seeds * (half_width / wanted) ** 2)} seeds." if verdict == NOT_DECIDED else ""


def chi_square(x: Ensemble, z: Float[ndarray, "seed bin"], alpha: float) -> Record:
    """Mean square whitened pull."""
    seeds, bins = z.shape
    mean, _ = i.pull_moments(x.residuals)
    low, high = i.chi_square_interval(seeds, bins, alpha, x.residuals)
    wanted, half = 2.0 * ERROR_RESOLUTION * mean, (high - low) / 2.0
    per_seed = (z**2).mean(axis=1)
    verdict = _decided(d.chi_square(z), low, high, half <= wanted)
    return Record(
        name="chi_square",
        value=d.chi_square(z),
        unit="",
        standard_error=float(per_seed.std(ddof=1) / seeds**0.5) if seeds > 1 else None,
        limit_low=low,
        limit_high=high,
        verdict=verdict,
        definition=f"Mean square pull sum z^T z / (S B), z = L^-1 (D^ - D); {mean:.3f} expected: are the errors right?"
        + _needed(verdict, seeds, half, wanted),
    )


def coverage(x: Ensemble, errors: Float[ndarray, "seed bin"], name: str, sigmas: float, alpha: float) -> Record:
    """Fraction of (seed, bin) whose interval of `sigmas` errors holds the truth."""
    seeds = len(errors)
    variances = np.stack([c.diagonal() for c in x.covariance])
    mean_c = x.covariance.mean(axis=0)
    correlation = mean_c / np.sqrt(np.outer(mean_c.diagonal(), mean_c.diagonal()))
    probability = i.coverage_probability(sigmas, x.residuals)
    low, high = i.coverage_interval(seeds * i.effective_trials(correlation, sigmas), probability, alpha)
    result = d.coverage(errors, np.sqrt(variances), sigmas)
    density = np.exp(-0.5 * sigmas**2) / np.sqrt(2.0 * np.pi)
    wanted, half = 2.0 * sigmas * density * ERROR_RESOLUTION, (high - low) / 2.0
    verdict = _decided(result.value, low, high, half <= wanted)
    return Record(
        name=name,
        value=result.value,
        unit="",
        standard_error=result.standard_error if seeds > 1 else None,
        limit_low=low,
        limit_high=high,
        verdict=verdict,
        definition=f"Fraction of (seed, bin) within {sigmas:g} errors of the truth; {probability:.4f} expected; "
        "its standard error by bootstrap over seeds." + _needed(verdict, seeds, half, wanted),
    )


def worst_bin(x: Ensemble, errors: Float[ndarray, "seed bin"], alpha: float) -> tuple[Record, Record]:
    """Largest |bias|, tested, and beside it the 95 % quantile of that maximum for a perfect pipeline."""
    mean = errors.mean(axis=0)
    usual = d.worst_bin(mean, x.covariance)
    strict = d.worst_bin(mean, x.covariance, 1.0 - alpha)
    where = f"at {x.wavelength_um[usual.bin]:.3f} um"
    tested = Record(
        name="worst_bin",
        value=usual.value * PPM,
        unit="ppm",
        limit_high=strict.quantile * PPM,
        verdict=_decided(usual.value, 0.0, strict.quantile, len(errors) > 1),
        definition=f"Largest |bias| of any bin ({where}); the limit is what a perfect pipeline keeps.",
    )
    beside = Record(
        name="worst_bin_quantile_95",
        value=usual.quantile * PPM,
        unit="ppm",
        definition="95 % quantile of the largest |bias| for a perfect pipeline with as many bins and seeds.",
    )
    return tested, beside


def mean_square_error(x: Ensemble, errors: Float[ndarray, "seed bin"], alpha: float) -> Record:
    """Bias^2 + variance averaged over bins, ppm^2."""
    mean, variance = d.mean_square_error_moments(x.covariance)
    inflation, spread = i.pull_moments(x.residuals)
    low, high = i.mean_square_interval(mean, variance * spread / (2.0 * inflation**2), alpha)
    value, half = float(d.mean_square_error(errors).mean()), (high - low) / 2.0
    verdict = _decided(value, low, high, half <= 2.0 * ERROR_RESOLUTION * mean)
    return Record(
        name="mean_square_error",
        value=value * PPM**2,
        unit="ppm^2",
        limit_low=low * PPM**2,
        limit_high=high * PPM**2,
        verdict=verdict,
        definition="Bias^2 + variance averaged over bins, against the mean claimed variance."
        + _needed(verdict, len(errors), half, 2.0 * ERROR_RESOLUTION * mean),
    )


def _pairs(x: Ensemble, errors: Float[ndarray, "seed bin"]) -> Float[ndarray, "pair bin"]:
    """Errors of the averages of antithetic pairs; the errors of the seeds where there are none."""
    if x.partner is None:
        return errors
    count = len(x.partner)
    truth = np.broadcast_to(x.truth, x.depth.shape)[:count]
    return antithetic(errors[:count], x.partner - truth)


def projection(
    x: Ensemble, errors: Float[ndarray, "seed bin"], name: str, what: str, weights: Float[ndarray, "bin"], alpha: float
) -> list[Record]:
    """Bias along one direction in bins (its mean, its slope), ppm: inside its interval, and small enough to ignore."""
    claimed = e.projected_variance(x.covariance, weights)
    low, high = i.normal_interval((claimed / len(errors)) ** 0.5, alpha)
    limit = e.equivalence_limit_ppm(x.ers_sigma_ppm)
    plain = e.equivalence(errors @ weights, claimed, limit / PPM, alpha)
    quiet = _pairs(x, errors)
    result = e.equivalence(quiet @ weights, claimed, limit / PPM, alpha)
    bias = Record(
        name=name,
        value=plain.value * PPM,
        unit="ppm",
        standard_error=plain.standard_error * PPM,
        limit_low=low * PPM,
        limit_high=high * PPM,
        verdict=_decided(plain.value, low, high, len(errors) > 1),
        definition=f"{what} of the bias D^ - D; the limits are what a perfect pipeline keeps.",
    )
    size = Record(
        name=f"{name}_equivalence",
        value=result.upper * PPM,
        unit="ppm",
        limit_high=limit,
        verdict=result.verdict,
        standard_error=result.standard_error * PPM,
        definition=f"Upper 95 % limit on |{name}|"
        + ("" if x.partner is None else f" ({result.value * PPM:.2f} ppm from {len(x.partner)} antithetic pairs)")
        + "; must be below 0.2 sigma of the ERS-size visit's R = 100 bin"
        + (" (not known here)" if x.ers_sigma_ppm is None else "")
        + " and below 30 ppm."
        + (f" Decides with S = {result.seeds_needed} seeds." if result.verdict == NOT_DECIDED else ""),
    )
    return [bias, size]


def bins_left_out(use: Bool[ndarray, "bin"]) -> Record:
    """Count the bins in which nothing usable was recovered."""
    return Record(
        name="bins_left_out",
        value=float(np.sum(~use)),
        unit="",
        definition="Bins without a finite depth, error or truth in every seed; no other figure counts them.",
    )


def twin_records(x: Ensemble, twin: Float[ndarray, "*seed bin"]) -> list[Record]:
    """Parts of the mean bias, ppm: what the algorithms do to a noise-free exposure, and what noise adds."""
    weights = e.mean_weights(x.covariance)
    algorithmic = d.bias(np.broadcast_to(twin - x.truth, x.depth.shape)).value
    noise = (x.depth - twin) @ weights
    return [
        Record(
            name="mean_bias_algorithmic",
            value=float(algorithmic @ weights) * PPM,
            unit="ppm",
            definition="Weighted mean over bins of D0 - D, D0 recovered from the noise-free twin.",
        ),
        Record(
            name="mean_bias_noise_induced",
            value=float(noise.mean()) * PPM,
            unit="ppm",
            standard_error=float(noise.std(ddof=1) / len(noise) ** 0.5 * PPM) if len(noise) > 1 else None,
            definition="Weighted mean over bins of D^ - D0.",
        ),
    ]
