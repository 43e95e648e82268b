"""From light curves to the planet's spectrum: white light curve, channels, covariance."""

import numpy as np

from uptheramp.calibrate.fit.channels import ChannelFit, fit_channels
from uptheramp.calibrate.fit.covariance import depth_covariance
from uptheramp.calibrate.fit.system import System
from uptheramp.calibrate.fit.white import WhiteFit, fit_white
from uptheramp.calibrate.state import LightCurves, PlanetSpectrum


def planet_spectrum(
    light_curves: LightCurves,
    system: System,
    *,
    limb_darkening: str = "fixed",
    orbit: str = "fixed",
    degree: int = 1,
    kind: str = "transit",
) -> tuple[PlanetSpectrum, WhiteFit, ChannelFit]:
    """Fit depth against wavelength with its covariance (and the fits it comes from).

    `limb_darkening` and `orbit` are "fixed" at the system's values or "fitted" with its priors; `degree` is that of the
    baseline polynomial; `kind` is "transit" (depth (rp/R*)^2) or "eclipse" (Fp/F*). Channels that could not be fitted
    are NaN in depth and covariance. The covariance is that of the light curves' noise at the orbit and mid-time found
    (or given): an uncertain a/R* or impact parameter moves all depths together and is not in it.
    """
    options = {"limb_darkening": limb_darkening, "degree": degree}
    white = fit_white(light_curves, system, orbit=orbit, kind=kind, **options)
    channels = fit_channels(light_curves, system, white, **options)
    covariance = depth_covariance(
        np.asarray(channels.depth_response),
        np.asarray(channels.residuals),
        len(channels.free),
        np.asarray(channels.depth_error),
    )
    spectrum = PlanetSpectrum(light_curves.wavelength_um, light_curves.half_width_um, channels.depth, covariance)
    return spectrum, white, channels
