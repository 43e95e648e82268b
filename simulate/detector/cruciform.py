"""Cruciform artefact of Si:As arrays: light that crosses the layer unabsorbed is diffracted by the grid of contacts.

    rate -> (1 - f) rate + f (arms along x + arms along y) * rate

with f(wavelength) the scattered share. Each arm begins `hole_px` from its pixel, falls exponentially with `length_px`
and holds a quarter of the light; what leaves the window is lost. Gaspar et al. (2021, PASP 133, 014504) describe it.
"""

from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination


@dataclass(frozen=True)
class CruciformSettings:
    """Factor on the table's share of scattered light."""

    scale: float = 1.0

    def __post_init__(self):
        if not 0 <= self.scale <= 100:
            raise ValueError("scale must lie between 0 and 100")


class Cross(eqx.Module):
    """Share of the light that each line along the dispersion scatters, and where the arms put it."""

    share: Float[Array, "y x"]
    along_x: Float[Array, "x x"]  # from, to
    along_y: Float[Array, "y y"]


def arms(pixels: int, hole_px: float, length_px: float) -> Float[np.ndarray, "from to"]:
    """Return where the two arms along an axis put light, a half of it in both together."""
    distance = np.arange(pixels + 20 * int(hole_px + length_px))
    profile = np.where(distance >= hole_px, np.exp(-distance / length_px), 0.0)
    profile = profile / (4 * profile.sum())
    position = np.arange(pixels)
    return profile[np.abs(position[:, None] - position)]


class Cruciform(Effect):
    """Two arms along the rows and two along the columns of every lit pixel."""

    name = "cruciform"
    default = False  # the length of its arms is a guess
    settings = CruciformSettings

    def constants(self, observation, maps, rng) -> Cross:
        """Return the shares at the wavelength of each pixel, and the arms."""
        o, table = observation, self.table(observation.detector)
        share = np.interp(_wavelength_um(o), table.wavelength_um, table.share) * o.settings_of(self.name).scale
        along = share[:, None] if o.mode.dispersion_axis == 2 else share
        height, width = o.shape
        return Cross(
            share=np.broadcast_to(along, o.shape).astype(np.float32),
            along_x=arms(width, table.hole_px, table.length_px).astype(np.float32),
            along_y=arms(height, table.hole_px, table.length_px).astype(np.float32),
        )

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Take the scattered light from its pixels and lay it along the arms."""
        own = params.own
        scattered = state.rate * own.share.astype(state.rate.dtype)
        found = scattered @ own.along_x + jnp.einsum("fyx,yz->fzx", scattered, own.along_y)
        return replace(state, rate=state.rate - scattered + found.astype(state.rate.dtype))


def _wavelength_um(observation) -> Float[np.ndarray, "..."]:
    """Wavelength of each line along the dispersion, or that of the whole image."""
    o = observation
    if o.mode.orders:
        curve = o.mode.orders[0].wavelength_um
        return np.interp(np.arange(o.shape[2 - o.mode.dispersion_axis]), curve.x, curve.y)
    throughput = o.mode.image.throughput
    return np.full(o.shape[1], np.average(throughput.x, weights=throughput.y))
