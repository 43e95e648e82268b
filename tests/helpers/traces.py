"""Spectra whose pixels are known integrals of Gaussians, on a trace that is not straight along the rows."""

import numpy as np
from scipy.special import erf

from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.state import Rates

HEIGHT, WIDTH, READ = 20, 80, 3.0
LIGHT = 300 * (1 + 0.5 * np.sin(np.arange(WIDTH) / 9))
WINDOWS = np.array([[[-0.5, 0.0], [2.5, 0.0]], [[16.5, 0.0], [19.5, 0.0]]])
APERTURE = Extract1d(np.array([4.6, 0.01]), np.array([12.9, 0.01]), WINDOWS, 1)


def profile(shift=0.0, rotation=0.0, width=0.0):
    """Share of the light in each pixel: a trace that crosses a pixel and a half, FWHM 2.1 to 2.6 px."""
    x = np.arange(WIDTH)
    centre = 8.4 + 0.02 * x + shift + rotation * np.linspace(-1, 1, WIDTH)
    sigma = (0.9 + 0.002 * x) * (1 + width)
    edges = (np.arange(HEIGHT + 1) - 0.5)[:, None]
    return np.diff(0.5 * erf((edges - centre) / sigma / np.sqrt(2)), axis=0)


def rates(light, seed=0, noise=True, dtype=np.float32):
    """Images of light (integration y x) with photon and read noise."""
    rng = np.random.default_rng(seed)
    variance = np.maximum(light, 0) + READ**2
    data = light + noise * rng.normal(size=light.shape) * np.sqrt(variance)
    reads = np.full_like(data, READ**2)
    planes = (plane.astype(dtype) for plane in (data, np.maximum(light, 0), reads, np.zeros_like(data)))
    wavelength = np.broadcast_to(1 + 0.01 * np.arange(WIDTH), light.shape[1:]).astype(dtype)
    return Rates(*planes, np.zeros(light.shape, np.uint32), np.arange(len(light)), wavelength)


def inside():
    edge = np.arange(HEIGHT)[:, None]
    low, high = (a[0] + a[1] * np.arange(WIDTH) for a in (APERTURE.lower, APERTURE.upper))
    return np.clip(np.minimum(edge + 0.5, high) - np.maximum(edge - 0.5, low), 0, 1)


def box_flux(light):
    return (inside() * light).sum(-2)
