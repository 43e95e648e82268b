"""Fits of the channels with orbit and mid-time held from the white light curve: one depth per channel."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.fit import curve
from uptheramp.calibrate.fit.orbit import Orbit, orbit_of, separation
from uptheramp.calibrate.fit.system import System
from uptheramp.calibrate.fit.transit import DAY_S, exposure_times
from uptheramp.calibrate.fit.white import (
    WhiteFit,
    free_parameters,
    levels,
    orbit_from,
    prior_vector,
    signal,
    start_vector,
)
from uptheramp.calibrate.state import LightCurves


class ChannelFit(eqx.Module):
    """The fits of all channels, in units of each one's median flux; leaves of `curve` have a leading channel axis."""

    curve: curve.CurveFit
    free: tuple[int, ...] = eqx.field(static=True)

    @property
    def depth(self) -> Float[Array, "channel"]:
        """(rp/R*)^2, or Fp/F* for an eclipse."""
        return self.curve.parameters[:, curve.DEPTH]

    @property
    def depth_error(self) -> Float[Array, "channel"]:
        """Marginal standard errors from the scatter of the residuals (n - p)."""
        return jnp.sqrt(self.curve.covariance[:, 0, 0])

    @property
    def depth_response(self) -> Float[Array, "channel time"]:
        """d(depth)/d(relative flux): the linear response h of each depth to each point; 0 at unused points."""
        return self.curve.response[:, 0]

    @property
    def residuals(self) -> Float[Array, "channel time"]:
        """Relative flux minus model; NaN where unused."""
        return self.curve.residuals

    @property
    def converged(self) -> Bool[Array, "channel"]:
        """Which fits ended at an optimum with a finite covariance."""
        return self.curve.converged


def fit_channels(
    light_curves: LightCurves,
    system: System,
    white: WhiteFit,
    *,
    limb_darkening: str = "fixed",
    degree: int = 1,
) -> ChannelFit:
    """Fit depth, baseline and (if "fitted") limb darkening of every channel, each at its own read-out time.

    Channels without data come back unconverged with NaN depth and error, never as an exception.
    """
    given, fixed = _inputs(light_curves, system, white, limb_darkening, degree)
    fits = _fit(*given, prior_vector(system, degree), *fixed)
    return ChannelFit(blanked(fits), fixed[-2])


def depth_derivative(
    light_curves: LightCurves,
    system: System,
    white: WhiteFit,
    channels: ChannelFit,
    *,
    limb_darkening: str = "fixed",
    degree: int = 1,
) -> Float[Array, "channel time"]:
    """d(depth)/d(flux) of the fits that `fit_channels` made of the same arguments; 0 where unused or unconverged.

    The orbit and the mid-time of the white light curve, and the errors of the points, are held.
    """
    (_, err, time, exposure_s, start), fixed = _inputs(light_curves, system, white, limb_darkening, degree)
    response = _exact(channels.curve, err, time, exposure_s, start, *fixed)
    known = channels.converged[:, None] & channels.curve.used
    return jnp.where(known, response[:, 0] / levels(light_curves)[:, None], 0.0)


def _inputs(light_curves: LightCurves, system: System, white: WhiteFit, limb_darkening: str, degree: int):
    """What differs by channel (flux, errors, times, exposure, start), and what does not (orbit, rp/R*, free, kind)."""
    level = levels(light_curves)[:, None]
    flux = np.asarray(light_curves.flux) / level
    err = np.asarray(light_curves.err) / level
    time = np.asarray(light_curves.time) - float(white.reference_time)
    offsets_d = np.asarray(light_curves.time_offset_s) / DAY_S
    u = system.limb_darkening.at(np.asarray(light_curves.wavelength_um))
    start = np.tile(start_vector(system, u[0], white.kind, degree), (len(flux), 1))
    start[:, curve.U1 : curve.U2 + 1] = u
    fitted = np.asarray(white.curve.parameters)
    start[:, : curve.U1] = fitted[: curve.U1]
    fit_limb_darkening = limb_darkening == "fitted" and white.kind == "transit"
    free = free_parameters(degree, False, False, fit_limb_darkening)
    given = flux, err, time[None, :] + offsets_d[:, None], jnp.asarray(light_curves.exposure_s), start
    return given, (orbit_of(system, 0.0), jnp.asarray(system.rp_rs), free, white.kind)


def blanked(fits: curve.CurveFit) -> curve.CurveFit:
    """Give unconverged channels NaN parameters and covariance, and no response."""
    good = fits.converged
    return eqx.tree_at(
        lambda f: (f.parameters, f.covariance, f.response),
        fits,
        (
            jnp.where(good[:, None], fits.parameters, jnp.nan),
            jnp.where(good[:, None, None], fits.covariance, jnp.nan),
            jnp.where(good[:, None, None], fits.response, 0.0),
        ),
    )


@eqx.filter_jit
def _fit(flux, err, time, exposure_s, start, sigma, orbit, rp_rs, free, kind):
    held = orbit_from(start[0], orbit)

    def one(flux, err, time, start):
        return curve.fit_curve(_model(time, exposure_s, held, rp_rs, kind), flux, err, start, sigma, free)

    return jax.vmap(one)(flux, err, time, start)


@eqx.filter_jit
def _exact(fits, err, time, exposure_s, start, orbit, rp_rs, free, kind):
    held = orbit_from(start[0], orbit)

    def one(fit, err, time):
        return curve.exact_response(_model(time, exposure_s, held, rp_rs, kind), fit, err, free)

    return jax.vmap(one)(fits, err, time)


def _model(time: Float[Array, "time"], exposure_s: Float[Array, ""], held: Orbit, rp_rs: Float[Array, ""], kind: str):
    """The light curve as a function of all parameters, the orbit held."""
    trend_x = curve.scaled_time(time)
    z = separation(exposure_times(time, exposure_s), held, kind)

    def model(parameters: Float[Array, "parameter"]) -> Float[Array, "time"]:
        trend = curve.baseline(parameters[len(curve.NAMES) :], trend_x)
        return trend * (1 + signal(parameters, z, rp_rs, kind))

    return model
