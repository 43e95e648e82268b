from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from uptheramp.calibrate.fit.system import load_system
from uptheramp.calibrate.state import LightCurves

MOMENTS = (np.arange(40) + 0.5) / 40 - 0.5  # within an exposure, by the mid-point rule


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

    @jax.jit
    @partial(jax.vmap, in_axes=(0, None, 0, 0))
    def averaged(moments, orbit, depth, u):
        return transit_deficit(separation(moments, orbit, "transit"), depth, u).mean(axis=1)

    def build(system, depths, u, noise, *, t0, time, offset_s=None, exposure_s=60.0):
        offset_s = np.zeros(len(depths)) if offset_s is None else offset_s
        moments = time[:, None] + (offset_s[:, None, None] + MOMENTS * exposure_s) / DAY_S
        flux = 1 + np.asarray(averaged(moments, orbit_of(system, t0), np.asarray(depths), u)) + noise
        wavelength = np.linspace(1.0, 4.0, len(depths))
        half_width = np.full(len(depths), 0.01)
        return LightCurves(
            time, np.float64(exposure_s), flux, np.full_like(flux, 1e-4), wavelength, half_width, offset_s
        )

    return build
