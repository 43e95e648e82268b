"""Records of one light curve: scatter against its limits, red noise, mid-transit time."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from uptheramp.validate.metrics import lightcurve as lc
from uptheramp.validate.metrics.intervals import normal_interval
from uptheramp.validate.record import Record, judged

STATISTICS = ("scatter_ratio_all", "beta_quarter", "beta_full", "mid_transit_time")
PPM = 1e6


def scatter_records(
    time: Float[ndarray, "time"],
    flux: Float[ndarray, "time"],
    out: Bool[ndarray, "time"],
    *,
    limit_pr: float,
    limit_all: float | None,
    alpha: float,
) -> tuple[Record, ...]:
    """Scatter ratios of a light curve to its relative limits; the verdict is on L_all and needs it.

    Only more scatter than the limit is a fault; `alpha` is the chance of a false alarm.
    """
    rms, freedom = lc.detrended_rms(time, flux, out)
    _, high = lc.scatter_interval(freedom, 2.0 * alpha)
    ratio, error = lc.scatter_ratio(rms, limit_pr, freedom)
    records = [
        Record(name="out_of_transit_rms", value=rms * PPM, unit="ppm", definition="Detrended rms out of transit."),
        Record(
            name="scatter_ratio_pr",
            value=ratio,
            unit="",
            standard_error=error,
            definition=f"Detrended rms out of transit over L_pr = {limit_pr * PPM:.1f} ppm (Poisson and read noise).",
        ),
    ]
    if limit_all is not None:
        ratio, error = lc.scatter_ratio(rms, limit_all, freedom)
        records.append(
            Record(
                name="scatter_ratio_all",
                value=ratio,
                unit="",
                standard_error=error,
                limit_high=high,
                verdict=judged(ratio, None, high),
                definition=f"Detrended rms out of transit over L_all = {limit_all * PPM:.1f} ppm (photons, reads and "
                "1/f noise).",
            )
        )
    return tuple(records)


def red_noise_records(residuals: Float[ndarray, "time"], t14_integrations: float, alpha: float) -> tuple[Record, ...]:
    """beta(N) of the white-light residuals at N = T14/4 and T14; left out where there are fewer than two bins."""
    finite = residuals[np.isfinite(residuals)]
    records = []
    for name, what, points in (
        ("beta_quarter", "T14/4", max(1, round(t14_integrations / 4))),
        ("beta_full", "T14", max(1, round(t14_integrations))),
    ):
        limits = lc.beta_interval(len(finite), points, alpha)
        if limits is None:
            continue
        value = lc.beta(finite, points)
        records.append(
            Record(
                name=name,
                value=value,
                unit="",
                limit_high=limits[1],
                verdict=judged(value, None, limits[1]),
                definition=f"Red noise beta(N) = rms_N / [rms_1 N^-1/2 (M/(M-1))^1/2] at N = {what} = {points} points.",
            )
        )
    return tuple(records)


def mid_transit_record(recovered_d: float, error_d: float, truth_d: float, alpha: float) -> Record:
    """Mid-transit time against the truth, s, with the interval that its error allows; days of one time scale."""
    value = lc.mid_transit_difference_s(recovered_d, truth_d)
    error = error_d * lc.SECONDS_PER_DAY
    low, high = normal_interval(error, alpha)
    return Record(
        name="mid_transit_time",
        value=value,
        unit="s",
        standard_error=error,
        limit_low=low,
        limit_high=high,
        verdict=judged(value, low, high),
        definition="Recovered minus true mid-transit time, against the mean time of the groups used.",
    )
