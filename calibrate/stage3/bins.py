"""Where the wavelength channels begin and end."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class Bins(NamedTuple):
    """Channels: lower and upper edge in micron, and the order whose light each holds."""

    edges_um: Float[np.ndarray | Array, "channel 2"]
    order: Int[np.ndarray | Array, "channel"]


def between(edges_um: Float[np.ndarray, "edge"], order: int = 1) -> Bins:
    """Channels of one order between neighbouring edges."""
    edges_um = np.asarray(edges_um, float)
    return Bins(np.stack([edges_um[:-1], edges_um[1:]], 1), np.full(len(edges_um) - 1, order))


def of_orders(
    wavelength_um: Float[np.ndarray, "wavelength"], order: Int[np.ndarray, "wavelength"], **size: float
) -> Bins:
    """Channels of every order that has at least two finite wavelengths, ascending; `size` as in `edges_for`."""
    found = []
    for number in np.unique(order).tolist():
        mine = np.where(order == number, wavelength_um, np.nan)
        if np.isfinite(mine).sum() >= 2:
            found.append(between(edges_for(mine, **size), number))
    edges, orders = (np.concatenate(parts) for parts in zip(*found, strict=True))
    ascending = np.argsort(edges[:, 0], kind="stable")
    return Bins(edges[ascending], orders[ascending])


def edges_for(
    wavelength_um: Float[np.ndarray, "wavelength"],
    *,
    resolving_power: float | None = None,
    width_um: float | None = None,
    pixels: int | None = None,
) -> Float[np.ndarray, "edge"]:
    """Edges (micron, ascending) of channels that cover the finite wavelengths, by exactly one of the three sizes.

    Channels of one resolving power (`wavelength / full width`) or width are stretched by less than half a channel
    to use all the light, then moved to the nearest boundary between dispersion pixels, so that none splits a pixel or
    is empty: where pixels are wider than the channels asked for, channels are single pixels. `pixels` groups that many
    pixels, and a last incomplete group is left out.
    """
    if sum(size is not None for size in (resolving_power, width_um, pixels)) != 1:
        raise ValueError("give one of resolving_power, width_um and pixels")
    boundaries = pixel_boundaries(wavelength_um)
    first, last = boundaries[0], boundaries[-1]
    if pixels is not None:
        return boundaries[::pixels]
    if resolving_power is not None:
        # channels from a to b have centre (a + b) / 2 and full width b - a
        growth = (2 * resolving_power + 1) / (2 * resolving_power - 1)
        count = max(1, round(np.log(last / first) / np.log(growth)))
        wanted = np.geomspace(first, last, count + 1)
    else:
        wanted = np.linspace(first, last, max(1, round((last - first) / width_um)) + 1)
    nearest = np.abs(boundaries[None, :] - wanted[:, None]).argmin(1)
    return boundaries[np.unique(nearest)]


def pixel_boundaries(wavelength_um: Float[np.ndarray, "wavelength"]) -> Float[np.ndarray, "boundary"]:
    """Wavelengths half-way between neighbouring dispersion pixels, ascending, with both outer ends."""
    wavelength = np.asarray(wavelength_um, np.float64)
    centres = np.sort(wavelength[np.isfinite(wavelength)])
    if len(centres) < 2:
        raise ValueError(f"channels need at least two dispersion pixels with a wavelength, there are {len(centres)}")
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def membership(
    wavelength_um: Float[Array, "wavelength"], order: Int[Array, "wavelength"], bins: Bins
) -> Float[Array, "channel wavelength"]:
    """1 where the centre of a dispersion pixel lies in a channel of its order (lower edge included), else 0."""
    wavelength, edges = jnp.asarray(wavelength_um, float)[None, :], jnp.asarray(bins.edges_um, float)[..., None]
    own = jnp.asarray(order)[None, :] == jnp.asarray(bins.order)[:, None]
    return (own & (wavelength >= edges[:, 0]) & (wavelength < edges[:, 1])).astype(float)
