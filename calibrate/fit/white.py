"""Fit of the white light curve: depth and mid-time, and the orbit's shape and limb darkening where asked."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.fit import curve
from uptheramp.calibrate.fit.orbit import Orbit, orbit_of, separation
from uptheramp.calibrate.fit.system import System
from uptheramp.calibrate.fit.transit import NODES, eclipse_excess, exposure_mean, exposure_times, transit_deficit
from uptheramp.calibrate.state import LightCurves


class WhiteFit(eqx.Module):
    """The fit of the white light curve.

    `t0` is BJD_TDB - 2400000.5 d of the inferior conjunction nearest to the data; `weight` is each channel's share.
    """

    curve: curve.CurveFit
    time: Float[Array, "time"]
    flux: Float[Array, "time"]  # in units of its median
    reference_time: Float[Array, ""]
    start: Float[Array, "parameter"]  # where the fit began and its priors are centred
    weight: Float[Array, "channel"]
    free: tuple[int, ...] = eqx.field(static=True)
    kind: str = eqx.field(static=True)

    @property
    def depth(self) -> Float[Array, ""]:
        """(rp/R*)^2, or Fp/F* for an eclipse."""
        return self.curve.parameters[curve.DEPTH]

    @property
    def t0(self) -> Float[Array, ""]:
        """Mid-transit time, BJD_TDB - 2400000.5 d."""
        return self.reference_time + self.curve.parameters[curve.T0]

    def error(self, index: int) -> Float[Array, ""]:
        """Return the standard error of a parameter (an index of `curve.NAMES`), 0 where it was held."""
        if index not in self.free:
            return jnp.zeros(())
        return jnp.sqrt(self.curve.covariance[self.free.index(index), self.free.index(index)])


def white_weights(light_curves: LightCurves) -> Float[np.ndarray, "channel"]:
    """Return inverse-variance weights of the channels in units of their medians, adding up to 1; 0 for empty channels.

    The variance is that of second differences: given errors may be missing or wrong.
    """
    flux = np.asarray(light_curves.flux)
    level = levels(light_curves)
    difference = masked_median(np.abs(np.diff(flux, n=2, axis=1)))
    known = np.isfinite(level) & np.isfinite(difference)
    good = known & (difference > 0)
    weight = np.where(good, (np.where(good, level, 1.0) / np.where(good, difference, 1.0)) ** 2, 0.0)
    weight = weight if good.any() else known.astype(float)  # none scatters: a simulation without noise
    return weight / max(weight.sum(), 1e-300)


def white_curve(
    light_curves: LightCurves, weight: Float[np.ndarray, "channel"]
) -> tuple[Float[np.ndarray, "time"], Float[np.ndarray, "time"]]:
    """Average the channels in units of their medians, with its error; NaN where nothing is left."""
    level = levels(light_curves)[:, None]
    flux, err = np.asarray(light_curves.flux) / level, np.asarray(light_curves.err) / level
    share = np.where(np.isfinite(flux), weight[:, None], 0.0)
    total = share.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    mean = np.sum(share * np.nan_to_num(flux), axis=0) / safe
    sigma = np.sqrt(np.sum((share * np.nan_to_num(err)) ** 2, axis=0)) / safe
    return np.where(total > 0, mean, np.nan), np.where(total > 0, sigma, np.nan)


def levels(light_curves: LightCurves) -> Float[np.ndarray, "channel"]:
    """Return the median flux of each channel; NaN where that is not positive."""
    level = masked_median(np.asarray(light_curves.flux))
    return np.where(np.nan_to_num(level) > 0, level, np.nan)


def masked_median(values: Float[np.ndarray, "channel time"]) -> Float[np.ndarray, "channel"]:
    """Take the median along time of what is finite; NaN for empty rows."""
    masked = np.ma.median(np.ma.masked_invalid(values), axis=1)
    return np.ma.filled(np.ma.asarray(masked, dtype=float), np.nan)


def free_parameters(degree: int, fit_t0: bool, fit_orbit: bool, fit_limb_darkening: bool) -> tuple[int, ...]:
    """List the indices of the free parameters."""
    chosen = (curve.DEPTH,)
    chosen += (curve.T0,) * fit_t0
    chosen += (curve.A_RS, curve.IMPACT) * fit_orbit
    chosen += (curve.U1, curve.U2) * fit_limb_darkening
    return chosen + tuple(range(len(curve.NAMES), len(curve.NAMES) + degree + 1))


def orbit_from(parameters: Float[Array, "parameter"], orbit: Orbit) -> Orbit:
    """Put the fitted values into the orbit."""
    values = parameters[curve.T0], parameters[curve.A_RS], parameters[curve.IMPACT]
    return eqx.tree_at(lambda o: (o.t0, o.a_rs, o.impact), orbit, values)


def signal(parameters: Array, z: Float[Array, "time node"], rp_rs: Float[Array, ""], kind: str) -> Float[Array, "time"]:
    """Return the flux change averaged over the exposure: transit deficit, or eclipse excess over the star alone."""
    depth, u = parameters[curve.DEPTH], parameters[curve.U1 : curve.U2 + 1]
    change = transit_deficit(z, depth, u) if kind == "transit" else eclipse_excess(z, depth, rp_rs)
    return exposure_mean(change)


def white_model(
    parameters: Array, time: Array, exposure_s: Array, orbit: Orbit, rp_rs: Array, kind: str
) -> Float[Array, "time"]:
    """Return the relative flux at `time` (d from the reference): baseline times (1 + signal)."""
    z = separation(exposure_times(time, exposure_s, NODES), orbit_from(parameters, orbit), kind)
    trend = curve.baseline(parameters[len(curve.NAMES) :], curve.scaled_time(time))
    return trend * (1 + signal(parameters, z, rp_rs, kind))


@eqx.filter_jit
def _fit(flux, err, time, exposure_s, start, sigma, orbit, rp_rs, free, kind) -> curve.CurveFit:
    def model(parameters):
        return white_model(parameters, time, exposure_s, orbit, rp_rs, kind)

    return curve.fit_curve(model, flux, err, start, sigma, free)


def start_vector(system: System, u: Float[np.ndarray, "2"], kind: str, degree: int) -> Float[np.ndarray, "parameter"]:
    """Return the start values: the table's, a flat baseline, and for an eclipse a small depth."""
    depth = system.rp_rs**2 if kind == "transit" else 1e-3
    return np.array([depth, 0.0, system.a_rs, system.impact, u[0], u[1], 1.0] + [0.0] * degree)


def prior_vector(system: System, degree: int) -> Float[np.ndarray, "parameter"]:
    """Return the prior widths of the whole vector; `inf` where there is none."""
    p = system.priors
    widths = [np.inf, p.t0_sigma_d, p.a_rs_sigma, p.impact_sigma, p.limb_darkening_sigma, p.limb_darkening_sigma]
    return np.array(widths + [np.inf] * (degree + 1))


def fit_white(
    light_curves: LightCurves,
    system: System,
    *,
    limb_darkening: str = "fixed",
    orbit: str = "fixed",
    degree: int = 1,
    kind: str = "transit",
) -> WhiteFit:
    """Fit the white light curve made of all channels, at their weighted mean read-out time.

    `limb_darkening` and `orbit` are "fixed" at the table's values or "fitted" with its priors; `degree` is that of the
    baseline polynomial; `kind` "transit" or "eclipse".

    Raises
    ------
    InputError
        For no more usable integrations than free parameters.
    """
    weight = white_weights(light_curves)
    flux, err = white_curve(light_curves, weight)
    reference = system.epoch_near(np.asarray(light_curves.time))
    shift_d = float(weight @ np.asarray(light_curves.time_offset_s)) / 86400.0
    time = np.asarray(light_curves.time) - reference + shift_d
    u = weight @ system.limb_darkening.at(np.asarray(light_curves.wavelength_um))
    fit_limb_darkening = limb_darkening == "fitted" and kind == "transit"
    free = free_parameters(degree, True, orbit == "fitted", fit_limb_darkening)
    usable = int(np.isfinite(flux).sum())
    if usable <= len(free):
        raise InputError(
            f"{system.name}: {usable} usable integrations cannot tell the {len(free)} free parameters of its white "
            "light curve; give more of the exposure's files"
        )
    start = start_vector(system, u, kind, degree)
    fitted = _fit(
        flux,
        err,
        time,
        jnp.asarray(light_curves.exposure_s),
        start,
        prior_vector(system, degree),
        orbit_of(system, 0.0),
        jnp.asarray(system.rp_rs),
        free,
        kind,
    )
    return WhiteFit(fitted, time + reference, flux, jnp.asarray(reference), start, weight, free, kind)
