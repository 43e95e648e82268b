from dataclasses import replace

import numpy as np
import pytest

from uptheramp.calibrate.fit.system import load_system
from uptheramp.calibrate.state import LightCurves


@pytest.fixture(scope="session")
def system():
    return load_system("wasp-39b")


@pytest.fixture(scope="session")
def eccentric(system):
    return replace(system, eccentricity=0.3, omega_deg=55.0, a_rs=8.0, inclination_deg=87.0)


@pytest.fixture(scope="session")
def curves_of():
    """Build light curves (relative flux) of given depths by direct integration in time, with noise added."""
    from uptheramp.calibrate.fit.orbit import orbit_of, separation
    from uptheramp.calibrate.fit.transit import DAY_S, transit_deficit

    def build(system, depths, u, noise, *, t0, time, offset_s=None, exposure_s=60.0):
        offset_s = np.zeros(len(depths)) if offset_s is None else offset_s
        fine = np.linspace(-0.5, 0.5, 101)[:-1] + 0.005
        flux = []
        for depth, coefficients, shift in zip(depths, u, offset_s, strict=True):
            moments = time[:, None] + (shift + fine * exposure_s) / DAY_S
            z = separation(moments, orbit_of(system, t0), "transit")
            flux.append(1 + np.asarray(transit_deficit(z, depth, coefficients)).mean(axis=1))
        flux = np.array(flux) + noise
        wavelength = np.linspace(1.0, 4.0, len(depths))
        half_width = np.full(len(depths), 0.01)
        return LightCurves(
            time, np.float64(exposure_s), flux, np.full_like(flux, 1e-4), wavelength, half_width, offset_s
        )

    return build
