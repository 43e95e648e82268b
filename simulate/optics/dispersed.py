"""One diffraction order of a star on the detector: light by wavelength, then by pixel."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.instruments.core import Order
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import spectrograph, subpixel, trace
from uptheramp.simulate.optics.expansion import WEIGHTS, Expansion, expand
from uptheramp.simulate.optics.pointing import reach_of
from uptheramp.simulate.optics.readout_time import offsets_s
from uptheramp.simulate.scene.light_curve import LightCurve, mean_flux
from uptheramp.simulate.scene.star import Star, photon_rate
from uptheramp.simulate.scene.system import CurveOf
from uptheramp.simulate.state import Pointing


class Spectrum(eqx.Module):
    """One order: the light curve and the star on its fine grid, the matrix R, the profile across the dispersion.

    R and the profile are expansions in the shift of the image and the change of its width.
    """

    curve: LightCurve
    photons: Float[Array, "wavelength"]  # / s / m2 / um
    bands: Expansion  # of the matrix R
    profiles: Expansion  # (y, x)
    wavelength_um: Float[Array, "wavelength"]
    along_um: Float[Array, "along"]  # wavelength at the middle of each dispersion element, NaN without light
    lean_px: Float[Array, "y x"] | None  # how the tilt of monochromatic images moves a pixel's light
    dispersion_axis: int = eqx.field(static=True)

    @property
    def response(self) -> spectrograph.Response:
        """R at rest."""
        return spectrograph.Response(self.bands.at_rest(), spectrograph.SAMPLES_PER_PIXEL)

    @property
    def profile(self) -> Float[Array, "y x"]:
        """The profile at rest."""
        return self.profiles.at_rest()

    def light(
        self, start_s: Float[Array, "read"], exposure_s: Float[Array, ""], pointing: Pointing
    ) -> tuple[Float[Array, "read y x"], Float[Array, "along"]]:
        """Rate in each read (e-/s), and the mean rate of the dispersion elements over the reads."""
        spectrum = mean_flux(self.curve, start_s, exposure_s) * self.photons
        along = self.dispersion_axis - 1
        of_bands = self.bands.weights(pointing, along)
        # the shift along the dispersion moves spectrum and profile together: its jitter is averaged over their product
        joint = jnp.einsum("n,nrp,nrb->prb", WEIGHTS, self.profiles.weights(pointing, along), of_bands)
        stride = spectrograph.SAMPLES_PER_PIXEL
        parts = jnp.stack([spectrograph.Response(b, stride)(spectrum) for b in self.bands.coefficients])
        elements = jnp.einsum("n,nrb,brs->rs", WEIGHTS, of_bands, parts) * (1 + pointing.flux[:, None])
        behind = jnp.einsum("prb,brs->prs", joint, parts) * (1 + pointing.flux[:, None])
        narrow = behind.astype(self.profiles.coefficients.dtype)
        spread = narrow[:, :, None, :] if self.dispersion_axis == 1 else narrow[:, :, :, None]
        if self.lean_px is not None:
            spread = leaning(spread, self.lean_px, self.dispersion_axis)
        image = sum(p * s for p, s in zip(self.profiles.coefficients, spread, strict=True))
        return image, elements.mean(0)


def leaning(spread: Float[Array, "..."], lean_px: Float[Array, "y x"], axis: int) -> Float[Array, "... y x"]:
    """Elements as seen by pixels whose light comes from `lean_px` further along: a parabola through three neighbours.

    S(x - l) = S - l (S+ - S-) / 2 + l^2 (S+ - 2 S + S-) / 2; beyond the ends the last element goes on.
    """
    where = -1 if axis == 1 else -2
    wide = jnp.pad(spread, [(0, 0)] * (spread.ndim + where) + [(1, 1)] + [(0, 0)] * (-1 - where), mode="edge")
    before, after = (jax.lax.slice_in_dim(wide, i, i + spread.shape[where], axis=where) for i in (0, 2))
    return spread - lean_px * (after - before) / 2 + lean_px**2 * (after - 2 * spread + before) / 2


def spectrum(observation: Observation, order: Order, star: Star, curve_of: CurveOf) -> Spectrum:
    """Return an order of a star, made in numpy."""
    o, shape, axis = observation, observation.shape, observation.mode.dispersion_axis
    along = shape[1] if axis == 1 else shape[0]
    reach = reach_of(o)
    fine = spectrograph.grid(order, along, reach[axis - 1])
    lam = fine.wavelength_um
    offset_s = np.interp(fine.position_px, np.arange(along), trace_offset_s(o, order))
    position = np.arange(along, dtype=float)
    inside = subpixel.response(o.subpixel)
    lean = trace.lean_px(order, shape, axis)

    def bands(x: float, y: float, widened: float) -> np.ndarray:
        return spectrograph.response(order, fine, along, (x, y)[axis - 1], widened, inside).bands

    def profile(x: float, y: float, widened: float) -> np.ndarray:
        return trace.profile(order, shape, axis, (x, y), widened, inside)

    return Spectrum(
        curve=curve_of(lam, offset_s),
        photons=photon_rate(star, lam),
        bands=expand(bands, reach),
        profiles=expand(profile, reach).single(),
        wavelength_um=lam,
        along_um=np.where(trace.covered(order, position), trace.wavelength(order, position), np.nan),
        lean_px=None if lean is None else lean.astype(np.float32),
        dispersion_axis=axis,
    )


def trace_offset_s(observation: Observation, order: Order) -> Float[np.ndarray, "along"]:
    """When the pixel at the middle of the trace is read in its frame, for each dispersion element."""
    offset = offsets_s(observation)
    along_first = offset if observation.mode.dispersion_axis == 2 else offset.T
    count, across = along_first.shape
    centre = np.interp(np.arange(count), order.trace_px.x, order.trace_px.y)
    return along_first[np.arange(count), np.clip(np.round(centre).astype(int), 0, across - 1)]
