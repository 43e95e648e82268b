"""A star without dispersion: its light through a filter, in pieces of wavelength with one image each.

What a dispersion element is to a spectrum, a piece of the filter's band is here: narrow enough that the width of the
image, which grows with the wavelength, is one number. Behind a weak lens all wavelengths have one image: one piece.
"""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.instruments.core import Image
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import point_spread, spectrograph, subpixel
from uptheramp.simulate.optics.expansion import Expansion, expand
from uptheramp.simulate.optics.pointing import positions, reach_of
from uptheramp.simulate.optics.readout_time import offsets_s
from uptheramp.simulate.scene.light_curve import LightCurve, mean_flux
from uptheramp.simulate.scene.star import Star, photon_rate
from uptheramp.simulate.scene.system import CurveOf
from uptheramp.simulate.state import Pointing

PIECE = 0.1  # widest piece of the band, relative to its wavelength
SAMPLES = 48  # fine wavelengths of a piece
HALF_BOX_PX, SOFT_EDGE_PX = 100.0, 12.0  # light farther out is lost: 3e-3 in focus, nothing behind the lens


class PointSource(eqx.Module):
    """The light curve and the star on its fine grid, the matrix R to pieces of the band, an image for each piece."""

    curve: LightCurve
    photons: Float[Array, "wavelength"]  # / s / m2 / um
    response: spectrograph.Response
    images: Expansion  # (piece, y, x) in the box
    wavelength_um: Float[Array, "wavelength"]
    along_um: Float[Array, "along"]  # middle of each piece
    box: point_spread.Box = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)

    def apart(self) -> "tuple[PointSource, ...]":
        """Return the star in the light of each piece of the band alone."""
        bands = self.response.bands
        alone = (np.arange(len(bands)) == piece for piece in range(len(bands)))
        return tuple(replace(self, response=replace(self.response, bands=bands * one[:, None])) for one in alone)

    def light(
        self, start_s: Float[Array, "read"], exposure_s: Float[Array, ""], pointing: Pointing
    ) -> tuple[Float[Array, "read y x"], Float[Array, "along"]]:
        """Rate in each read (e-/s), and the mean rate of the pieces of the band over the reads."""
        flux = mean_flux(self.curve, start_s, exposure_s)
        elements = self.response(flux * self.photons) * (1 + pointing.flux[:, None])
        (x, of_x), (y, of_y) = positions(pointing, 0), positions(pointing, 1)
        weights = jnp.einsum("n,m,nmrt->rt", of_x, of_y, self.images.weights(x[:, None], y, pointing.width))
        each = (weights[:, :, None] * elements[:, None, :]).astype(self.images.coefficients.dtype)
        stamp = jnp.einsum("rtp,tpyx->ryx", each, self.images.coefficients)
        first, end, left, right = self.box
        rate = jnp.zeros((len(start_s), *self.shape), stamp.dtype).at[:, first:end, left:right].set(stamp)
        return rate, elements.mean(0)


def point_source(observation: Observation, image: Image, star: Star, curve_of: CurveOf) -> PointSource:
    """Return a star seen through the mode's filter, made in numpy."""
    o = observation
    band = np.log(image.throughput.x[-1] / image.throughput.x[0])
    pieces = 1 if image.defocus_diameter_px else int(np.ceil(band / PIECE))
    edge = np.geomspace(image.throughput.x[0], image.throughput.x[-1], pieces * SAMPLES + 1)
    lam = (edge[1:] + edge[:-1]) / 2
    efficiency = np.interp(lam, image.throughput.x, image.throughput.y)
    weight = efficiency * np.diff(edge) * spectrograph.TELESCOPE_AREA_M2
    middle = np.sqrt(edge[:-1:SAMPLES] * edge[SAMPLES::SAMPLES])
    effective = float(np.sum(lam * weight) / weight.sum())  # where the table's width holds
    reach, inside = reach_of(o), subpixel.response(o.subpixel)
    half = image.defocus_diameter_px / 2 + SOFT_EDGE_PX if image.defocus_diameter_px else HALF_BOX_PX
    box = point_spread.box_around(o.shape, image.centre_px, half)

    def images(x: float, y: float, widened: float) -> np.ndarray:
        centre = image.centre_px[0] + x, image.centre_px[1] + y
        if image.defocus_diameter_px:
            diameter = image.defocus_diameter_px * (1 + widened)
            return point_spread.ring(box, centre, diameter, image.fwhm_px, inside)[None]
        widths = image.fwhm_px * middle / effective * (1 + widened)
        return np.stack([point_spread.in_focus(box, centre, w, inside) for w in widths])

    offset_s = offsets_s(o)[tuple(np.clip(np.round(image.centre_px[::-1]).astype(int), 0, np.array(o.shape) - 1))]
    return PointSource(
        curve=curve_of(lam, np.full(len(lam), offset_s)),
        photons=photon_rate(star, lam),
        response=spectrograph.Response(weight.reshape(pieces, SAMPLES), SAMPLES),
        images=expand(images, reach).single(),
        wavelength_um=lam,
        along_um=middle,
        box=box,
        shape=o.shape,
    )
