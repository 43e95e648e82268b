"""What a fit found, as plain numbers for a JSON file."""

from typing import Any

import numpy as np

from uptheramp.calibrate.fit import curve
from uptheramp.calibrate.fit.sampler import Samples, parameter_names
from uptheramp.calibrate.fit.white import WhiteFit
from uptheramp.calibrate.state import PlanetSpectrum


def white_summary(white: WhiteFit) -> dict[str, Any]:
    """Return values, errors and quality of the white fit; times in BJD_TDB - 2400000.5 d, depths as ratios."""
    values = np.asarray(white.curve.parameters)
    errors = np.sqrt(np.diag(np.asarray(white.curve.covariance)))
    names = parameter_names(white.free)
    used = int(np.sum(np.asarray(white.curve.used)))
    residuals = np.asarray(white.curve.residuals)
    return {
        "kind": white.kind,
        "converged": bool(white.curve.converged),
        "depth": float(white.depth),
        "depth_error": number(errors[0]),
        "t0_bjd_tdb_minus_2400000_5": float(white.t0),
        "t0_error_s": number(float(white.error(curve.T0)) * 86400.0),
        "parameters": {
            name: {"value": float(values[i]), "error": number(error)}
            for name, i, error in zip(names, white.free, errors, strict=True)
        },
        "held": {name: float(values[i]) for i, name in enumerate(curve.NAMES) if i not in white.free},
        "points": used,
        "degrees_of_freedom": used - len(white.free),
        "residual_rms_ppm": float(np.sqrt(np.nanmean(residuals**2)) * 1e6),
        "error_scale": float(white.curve.error_scale),
    }


def sample_summary(samples: Samples) -> dict[str, Any]:
    """Return median and 68.27 % interval of each sampled parameter."""
    quantiles = np.quantile(samples.draws, [0.158655, 0.5, 0.841345], axis=0)
    intervals = {
        name: {"median": float(q[1]), "minus": float(q[1] - q[0]), "plus": float(q[2] - q[1])}
        for name, q in zip(samples.names, quantiles.T, strict=True)
    }
    return {"parameters": intervals, "effective_draws": samples.effective, "acceptance": samples.acceptance}


def spectrum_summary(spectrum: PlanetSpectrum) -> dict[str, Any]:
    """Return the inverse-variance mean depth, its error with the full covariance, and how many channels were fitted."""
    depth, covariance = np.asarray(spectrum.depth), np.asarray(spectrum.covariance)
    good = np.isfinite(depth) & np.isfinite(np.diag(covariance))
    weight = 1 / np.diag(covariance)[good]
    weight = weight / weight.sum()
    error = np.sqrt(weight @ covariance[np.ix_(good, good)] @ weight)
    return {
        "channels": len(depth),
        "fitted": int(good.sum()),
        "mean_depth": float(weight @ depth[good]),
        "mean_depth_error": float(error),
        "median_error": float(np.median(np.sqrt(np.diag(covariance)[good]))),
    }


def number(value: float) -> float | None:
    """Return the value, or None (JSON's null) where it is not finite."""
    return float(value) if np.isfinite(value) else None
