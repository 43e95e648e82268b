"""The whole table of depth recovery for one mode, with verdicts: from many seeds, or honestly from one."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from uptheramp.validate.light_curve_records import STATISTICS as LIGHT_CURVE_STATISTICS
from uptheramp.validate.metrics import depth as d
from uptheramp.validate.metrics import equivalence as e
from uptheramp.validate.metrics import intervals as i
from uptheramp.validate.record import FAIL, NOT_DECIDED, PASS, Record, judged, overall

PPM = 1e6
STATISTICS = ("chi_square", "coverage_68", "coverage_95", "worst_bin", "mean_square_error", "mean_bias", "slope_bias")
ERROR_RESOLUTION = 0.05  # a statistic of the errors decides once its interval is as narrow as 5 % in the errors


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """What S seeds of one mode recovered; depths as fractions.

    `twin` is the noise-free twin's depth D0; `residuals` the degrees of freedom from which errors were estimated (None
    where they are known); `ers_sigma_ppm` the error of the ERS-size visit's R = 100 bin from L_all.
    """

    mode: str
    wavelength_um: Float[ndarray, "bin"]
    depth: Float[ndarray, "seed bin"]
    covariance: Float[ndarray, "seed bin bin"]
    truth: Float[ndarray, "*seed bin"]
    twin: Float[ndarray, "*seed bin"] | None = None
    residuals: int | None = None
    ers_sigma_ppm: float | None = None


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


def _decided(value: float, low: float, high: float, resolved: bool) -> str:
    """Outside is a failure whatever the power; inside is a pass only where the interval is narrow enough to tell."""
    verdict = judged(value, low, high)
    return NOT_DECIDED if verdict == PASS and not resolved else verdict


def _needed(seeds: int, half_width: float, wanted: float) -> str:
    """Say the number of seeds with which an interval that shrinks as S^-1/2 reaches the wanted half width, in words."""
    return f" Decides with S = {ceil(seeds * (half_width / wanted) ** 2)} seeds." if half_width > wanted else ""


def _chi_square(x: Ensemble, z: ndarray, alpha: float) -> Record:
    seeds, bins = z.shape
    mean, _ = i.pull_moments(x.residuals)
    low, high = i.chi_square_interval(seeds, bins, alpha, x.residuals)
    wanted, half = 2.0 * ERROR_RESOLUTION * mean, (high - low) / 2.0
    per_seed = (z**2).mean(axis=1)
    return Record(
        name="chi_square",
        value=d.chi_square(z),
        unit="",
        standard_error=float(per_seed.std(ddof=1) / seeds**0.5) if seeds > 1 else None,
        limit_low=low,
        limit_high=high,
        verdict=_decided(d.chi_square(z), low, high, half <= wanted),
        definition=f"Mean square pull sum z^T z / (S B), z = L^-1 (D^ - D); {mean:.3f} expected: are the errors right?"
        + _needed(seeds, half, wanted),
    )


def _coverage(x: Ensemble, errors: ndarray, name: str, sigmas: float, alpha: float) -> Record:
    seeds = len(errors)
    variances = np.stack([c.diagonal() for c in x.covariance])
    mean_c = x.covariance.mean(axis=0)
    correlation = mean_c / np.sqrt(np.outer(mean_c.diagonal(), mean_c.diagonal()))
    probability = i.coverage_probability(sigmas, x.residuals)
    low, high = i.coverage_interval(seeds * i.effective_trials(correlation, sigmas), probability, alpha)
    result = d.coverage(errors, np.sqrt(variances), sigmas)
    density = np.exp(-0.5 * sigmas**2) / np.sqrt(2.0 * np.pi)
    wanted, half = 2.0 * sigmas * density * ERROR_RESOLUTION, (high - low) / 2.0
    return Record(
        name=name,
        value=result.value,
        unit="",
        standard_error=result.standard_error if seeds > 1 else None,
        limit_low=low,
        limit_high=high,
        verdict=_decided(result.value, low, high, half <= wanted),
        definition=f"Fraction of (seed, bin) within {sigmas:g} errors of the truth; {probability:.4f} expected; "
        "its standard error by bootstrap over seeds." + _needed(seeds, half, wanted),
    )


def _worst_bin(x: Ensemble, errors: ndarray, alpha: float) -> tuple[Record, Record]:
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


def _mean_square_error(x: Ensemble, errors: ndarray, alpha: float) -> Record:
    mean, variance = d.mean_square_error_moments(x.covariance)
    inflation, spread = i.pull_moments(x.residuals)
    low, high = i.mean_square_interval(mean, variance * spread / (2.0 * inflation**2), alpha)
    value, half = float(d.mean_square_error(errors).mean()), (high - low) / 2.0
    return Record(
        name="mean_square_error",
        value=value * PPM**2,
        unit="ppm^2",
        limit_low=low * PPM**2,
        limit_high=high * PPM**2,
        verdict=_decided(value, low, high, half <= 2.0 * ERROR_RESOLUTION * mean),
        definition="Bias^2 + variance averaged over bins, against the mean claimed variance."
        + _needed(len(errors), half, 2.0 * ERROR_RESOLUTION * mean),
    )


def _projection(x: Ensemble, errors: ndarray, name: str, what: str, weights: ndarray, alpha: float) -> list[Record]:
    claimed = e.projected_variance(x.covariance, weights)
    low, high = i.normal_interval((claimed / len(errors)) ** 0.5, alpha)
    limit = e.equivalence_limit_ppm(x.ers_sigma_ppm)
    result = e.equivalence(errors @ weights, claimed, limit / PPM, alpha)
    bias = Record(
        name=name,
        value=result.value * PPM,
        unit="ppm",
        standard_error=result.standard_error * PPM,
        limit_low=low * PPM,
        limit_high=high * PPM,
        verdict=_decided(result.value, low, high, len(errors) > 1),
        definition=f"{what} of the bias D^ - D; the limits are what a perfect pipeline keeps.",
    )
    size = Record(
        name=f"{name}_equivalence",
        value=result.upper * PPM,
        unit="ppm",
        limit_high=limit,
        verdict=result.verdict,
        definition=f"Upper 95 % limit on |{name}|; must be below 0.2 sigma of the ERS-size visit's R = 100 bin"
        + (" (not known here)" if x.ers_sigma_ppm is None else "")
        + " and below 30 ppm."
        + (f" Decides with S = {result.seeds_needed} seeds." if result.verdict == NOT_DECIDED else ""),
    )
    return [bias, size]


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
    return i.family_alpha((len(STATISTICS) + len(LIGHT_CURVE_STATISTICS)) * modes)


def judge(x: Ensemble, modes: int = 1) -> Recovery:
    """Judge one of `modes` modes: every statistic in the 99 % interval of a perfect pipeline (Bonferroni over modes x
    statistics), and equivalence of the mean bias and of its slope; one failure fails, an open question decides nothing.
    """  # noqa: D205
    errors = np.broadcast_to(x.depth - x.truth, x.depth.shape)
    alpha = alpha_for(modes)
    z = d.pulls(x.depth, x.covariance, x.truth)
    records = [
        _chi_square(x, z, alpha),
        _coverage(x, errors, "coverage_68", 1.0, alpha),
        _coverage(x, errors, "coverage_95", 2.0, alpha),
        *_worst_bin(x, errors, alpha),
        _mean_square_error(x, errors, alpha),
        *_projection(x, errors, "mean_bias", "Weighted mean over bins", e.mean_weights(x.covariance), alpha),
    ]
    if errors.shape[1] > 1:
        slope = e.slope_weights(x.covariance, x.wavelength_um)
        records += _projection(
            x, errors, "slope_bias", "Rise over the mode's wavelengths (slope x range)", slope, alpha
        )
    if x.twin is not None:
        records += _twin_records(x)
    return Recovery(x.mode, len(errors), overall(tuple(records)), tuple(records), _per_bin(x))


def _twin_records(x: Ensemble) -> list[Record]:
    weights, parts = e.mean_weights(x.covariance), d.bias_parts(x.depth, x.truth, x.twin)
    noise = (x.depth - x.twin) @ weights
    return [
        Record(
            name="mean_bias_algorithmic",
            value=float(parts.algorithmic.value @ weights) * PPM,
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


def verdict_in_words(recovery: Recovery) -> str:
    """One sentence for a headline."""
    failed = [r.name for r in recovery.records if r.verdict == FAIL]
    if failed:
        return f"{recovery.mode}: not recovered; outside the limits: {', '.join(failed)}."
    if recovery.verdict == PASS:
        return f"{recovery.mode}: recovered within the limits of a perfect pipeline."
    plural = "seed" if recovery.seeds == 1 else "seeds"
    return f"{recovery.mode}: consistent with the truth; {recovery.seeds} {plural} cannot decide more."
