"""One diffraction order of a star on the detector: light by wavelength, then by pixel."""

import functools
import operator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.instruments.core import Order
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import spectrograph, subpixel, trace
from uptheramp.simulate.optics.expansion import Expansion, expand
from uptheramp.simulate.optics.pointing import positions, reach_of
from uptheramp.simulate.optics.readout_time import offsets_s
from uptheramp.simulate.scene.light_curve import LightCurve, mean_flux
from uptheramp.simulate.scene.star import Star, photon_rate
from uptheramp.simulate.scene.system import CurveOf
from uptheramp.simulate.state import Pointing


class Course(eqx.Module):
    """How centre and width of the profile change along the dispersion, as a parabola about each element."""

    centre: Float[Array, "power along"]  # first and half the second difference, px
    width: Float[Array, "power along"]  # the same of the width, relative to it

    def __call__(self, shift_px: Float[Array, "..."]) -> tuple[Float[Array, "... along"], Float[Array, "... along"]]:
        """Displacement across (px) and relative change of width of a spectrum moved along the dispersion."""
        power = jnp.stack([-shift_px, shift_px**2], axis=-1)
        return power @ self.centre, power @ self.width


class Spectrum(eqx.Module):
    """One order: the light curve and the star on its fine grid, the matrix R, the profile across the dispersion.

    R is an expansion in the shift along the dispersion and the change of width, the profile in the shift across it and
    the change of width; where the trace is not straight, a shift along it moves and widens the profile too.
    """

    curve: LightCurve
    photons: Float[Array, "wavelength"]  # / s / m2 / um
    bands: Expansion  # of the matrix R
    profiles: Expansion  # (y, x)
    course: Course
    wavelength_um: Float[Array, "wavelength"]
    along_um: Float[Array, "along"]  # wavelength at the middle of each dispersion element, NaN without light
    lean_px: Float[Array, "y x"] | None  # how the tilt of monochromatic images moves a pixel's light
    dispersion_axis: int = eqx.field(static=True)

    @property
    def axes(self) -> tuple[int, int]:
        """Axis (0 x, 1 y) along the dispersion and across it."""
        return (0, 1) if self.dispersion_axis == 1 else (1, 0)

    @property
    def response(self) -> spectrograph.Response:
        """R at rest."""
        return spectrograph.Response(self.bands.at_rest(), spectrograph.SAMPLES_PER_PIXEL)

    @property
    def profile(self) -> Float[Array, "y x"]:
        """The profile at rest."""
        return self.profiles.at_rest()

    def apart(self) -> "tuple[Spectrum]":
        """Return what the truth keeps one image of: the order as a whole, whose elements lie side by side."""
        return (self,)

    def light(
        self, start_s: Float[Array, "read"], exposure_s: Float[Array, ""], pointing: Pointing
    ) -> tuple[Float[Array, "read y x"], Float[Array, "along"]]:
        """Rate in each read (e-/s), and the mean rate of the dispersion elements over the reads."""
        spectrum = mean_flux(self.curve, start_s, exposure_s) * self.photons
        # at nodes of the jitter: n along the dispersion, where it moves spectrum and profile together, m across it
        (along, of_along), (across, of_across) = (positions(pointing, a) for a in self.axes)
        stride = spectrograph.SAMPLES_PER_PIXEL
        terms = jnp.stack([spectrograph.Response(b, stride)(spectrum) for b in self.bands.coefficients])
        at_nodes = jnp.einsum("nrb,brs->nrs", self.bands.weights(along, pointing.width), terms)
        at_nodes = at_nodes * (1 + pointing.flux[:, None])
        moved, widened = self.course(along)
        widened = (1 + widened) * (1 + pointing.width[:, None]) - 1
        shares = self.profiles.weights(moved[:, None] + across[:, :, None], widened[:, None])
        behind = jnp.einsum("n,m,nmrsp,nrs->prs", of_along, of_across, shares, at_nodes)
        elements = jnp.einsum("n,nrs->rs", of_along, at_nodes)
        narrow = behind.astype(self.profiles.coefficients.dtype)
        spread = narrow[:, :, None, :] if self.dispersion_axis == 1 else narrow[:, :, :, None]
        if self.lean_px is not None:
            spread = leaning(spread, self.lean_px, self.dispersion_axis)
        parts = (p * s for p, s in zip(self.profiles.coefficients, spread, strict=True))
        return functools.reduce(operator.add, parts), elements.mean(0)


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
    reach_x, reach_y, reach_width = reach_of(o)
    reach_along, reach_across = (reach_x, reach_y) if axis == 1 else (reach_y, reach_x)
    fine = spectrograph.grid(order, along, reach_along)
    lam = fine.wavelength_um
    offset_s = np.interp(fine.position_px, np.arange(along), trace_offset_s(o, order))
    position = np.arange(along, dtype=float)
    inside = subpixel.response(o.subpixel)
    lean = trace.lean_px(order, shape, axis)

    course = course_of(order, position)
    bend, swell = (float(np.abs(c).max(1) @ (reach_along, reach_along**2)) for c in (course.centre, course.width))

    def bands(moved: float, widened: float) -> np.ndarray:
        return np.asarray(spectrograph.response(order, fine, along, moved, widened, inside).bands)

    def profile(moved: float, widened: float) -> np.ndarray:
        return trace.profile(order, shape, axis, (0.0, moved) if axis == 1 else (moved, 0.0), widened, inside)

    return Spectrum(
        curve=curve_of(lam, offset_s),
        photons=photon_rate(star, lam),
        bands=expand(bands, (reach_along, reach_width)),
        profiles=expand(profile, (reach_across + bend, (1 + reach_width) * (1 + swell) - 1)).single(),
        course=course,
        wavelength_um=lam,
        along_um=np.where(trace.covered(order, position), trace.wavelength(order, position), np.nan),
        lean_px=None if lean is None else lean.astype(np.float32),
        dispersion_axis=axis,
    )


def course_of(order: Order, position: Float[np.ndarray, "along"]) -> Course:
    """Return the differences of the trace's centre and width over a pixel, made in numpy."""
    centre = [np.interp(position + step, order.trace_px.x, order.trace_px.y) for step in (-1, 0, 1)]
    width = [
        np.interp(trace.wavelength(order, position + step), order.fwhm_px.x, order.fwhm_px.y) for step in (-1, 0, 1)
    ]

    def parabola(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> np.ndarray:
        return np.stack([(after - before) / 2, (after - 2 * here + before) / 2])

    return Course(parabola(*centre), parabola(*width) / width[1])


def trace_offset_s(observation: Observation, order: Order) -> Float[np.ndarray, "along"]:
    """When the pixel at the middle of the trace is read in its frame, for each dispersion element."""
    offset = offsets_s(observation)
    along_first = offset if observation.mode.dispersion_axis == 2 else offset.T
    count, across = along_first.shape
    centre = np.interp(np.arange(count), order.trace_px.x, order.trace_px.y)
    return along_first[np.arange(count), np.clip(np.round(centre).astype(int), 0, across - 1)]
