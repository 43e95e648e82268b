"""The figures of slopes against the true mean rate, in units of the GLS bound, for modes that stop at Stage 1 too."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from uptheramp.validate.metrics.rate import slope_recovery
from uptheramp.validate.record import Record

FLUX = (("all", 0.0, np.inf), ("faint", 0.0, 1e3), ("middle", 1e3, 1e4), ("bright", 1e4, np.inf))  # e- in the ramp
FEWEST = 30  # slopes in a class that is reported


def rate_records(
    slope_e_per_s: Float[ndarray, "integration y x"],
    error_e_per_s: Float[ndarray, "integration y x"],
    truth_e_per_s: Float[ndarray, "y x"],
    bound_e_per_s: Float[ndarray, "integration y x"],
    ramp_s: float,
    lit: Bool[ndarray, "y x"],
) -> tuple[Record, ...]:
    """Bias, noise and total error of the slopes, by the electrons that the ramp collects.

    bias = <(s^ - s) / bound> over pixels and integrations, its error from the scatter of integrations (pixels of one
    integration share 1/f noise); noise = root of the variance over integrations, averaged over pixels; rms = root mean
    square. `bound` is sqrt(`limits.slope_variance`) for the groups used; `lit` are the pixels that see light.
    """
    usable = np.isfinite(slope_e_per_s) & np.isfinite(bound_e_per_s) & lit
    with np.errstate(invalid="ignore"):
        ratio = np.where(usable, (slope_e_per_s - truth_e_per_s) / bound_e_per_s, np.nan)
    records = []
    for name, low, high in FLUX:
        member = np.where((truth_e_per_s * ramp_s >= low) & (truth_e_per_s * ramp_s < high), ratio, np.nan)
        seen = np.isfinite(member)
        if seen.sum() < FEWEST:
            continue
        what = f"{name} pixels" if np.isinf(high) and low == 0 else f"pixels that collect {low:g} to {high:g} e-"
        means = _mean(member, (1, 2))
        means = means[np.isfinite(means)]
        error = float(means.std(ddof=1) / len(means) ** 0.5) if len(means) > 1 else None
        bias = f"Mean of (s^ - s)/bound, {what}."
        records.append(_record(f"rate_bias_{name}", float(np.nanmean(member)), bias, error))
        square = float(np.sqrt(np.nanmean(member**2)))
        records.append(_record(f"rate_rms_{name}", square, f"Root mean square of (s^ - s)/bound, {what}."))
        count = seen.sum(0)
        steady = count > 1
        if steady.any():
            kept = member[:, steady]
            departure = kept - _mean(kept, 0)
            variance = np.nansum(departure**2, 0) / (count[steady] - 1)
            definition = f"Root of the variance over integrations of s^/bound, {what}: 1 at the bound."
            records.append(_record(f"rate_noise_{name}", float(np.sqrt(variance.mean())), definition))
    claimed = error_e_per_s[usable] / bound_e_per_s[usable]
    if claimed.size:
        what = "Root mean square of the claimed error over the bound, lit pixels: 1 where errors are right."
        records.append(_record("rate_error", float(np.sqrt(np.nanmean(claimed**2))), what))
    lost = 1.0 - usable.sum() / max(1, slope_e_per_s.shape[0] * int(lit.sum()))
    return (*records, _record("rate_lost", float(lost), "Fraction of the slopes of lit pixels that are not usable."))


def by_class(
    slope_e_per_s: Float[ndarray, "integration y x"],
    truth_e_per_s: Float[ndarray, "y x"],
    bound_e_per_s: Float[ndarray, "integration y x"],
    by: dict[str, tuple[Float[ndarray, "integration y x"], Float[ndarray, "edge"]]],
) -> dict[str, ndarray]:
    """Tables of `slope_recovery` by flux, usable groups, distance from saturation: `<name>_<column>` -> values."""
    truth = np.broadcast_to(truth_e_per_s, slope_e_per_s.shape)
    out = {}
    for name, (values, edges) in by.items():
        table = slope_recovery(slope_e_per_s, truth, bound_e_per_s, values, edges)
        out |= {f"{name}_{column}": np.asarray(value) for column, value in vars(table).items()}
    return out


def _mean(values: ndarray, axis: int | tuple[int, ...]) -> ndarray:
    """Mean of what is finite, NaN where nothing is."""
    good = np.isfinite(values)
    count = good.sum(axis)
    return np.where(count > 0, np.where(good, values, 0.0).sum(axis), np.nan) / np.maximum(count, 1)


def _record(name: str, value: float, definition: str, error: float | None = None) -> Record:
    return Record(name=name, value=value, unit="", definition=definition, standard_error=error)
