"""Spots and faculae: what the star loses to them, and the bumps when the planet covers one.

A spot is a disc on the sky of radius r at (x, y), in stellar radii, small enough that one limb-darkened brightness
holds for all of it; its contrast is the ratio of the Planck functions of spot and star. Foreshortening and rotation
during the exposure are left out.
"""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.simulate.scene.occultation import overlap
from uptheramp.simulate.scene.star import planck_ratio


@dataclass(frozen=True)
class Spot:
    """A spot, or a facula where `teff_k` is above the star's; sizes and places in stellar radii on the sky."""

    x: float
    y: float
    radius: float
    teff_k: float

    def __post_init__(self):
        if self.radius <= 0 or np.hypot(self.x, self.y) + self.radius > 1:
            raise InputError(f"a spot of radius {self.radius} at ({self.x}, {self.y}) does not lie on the star's disc")


class Spots(eqx.Module):
    """Places (x, y, radius) and, by wavelength, the share of the photosphere's light that each spot takes away."""

    place: Float[Array, "spot 3"]
    lost: Float[Array, "spot wavelength"]  # of the spotless star's light, by the whole spot

    def bare(self) -> Float[Array, "wavelength"]:
        """Light of the spotless star over that of the spotted one."""
        return 1 / (1 - self.lost.sum(0))

    def covered(
        self, x: Float[Array, "time wavelength"], y: Float[Array, "time wavelength"], k: Float[Array, "wavelength"]
    ) -> Float[Array, "time wavelength"]:
        """Light (of the spotless star's) that a planet at (x, y) does not take, because spots have taken it already."""
        total = jnp.zeros_like(x)
        for (spot_x, spot_y, radius), lost in zip(self.place, self.lost, strict=True):
            distance = jnp.sqrt((x - spot_x) ** 2 + (y - spot_y) ** 2 + 1e-24)
            total = total + lost * overlap(distance, k, radius) / (jnp.pi * radius**2)
        return total


def spots(
    chosen: tuple[Spot, ...],
    teff_k: float,
    u: Float[np.ndarray, "degree wavelength"],
    wavelength_um: Float[np.ndarray, "wavelength"],
) -> Spots:
    """Lost light: (1 - B(T_spot) / B(T_star)) I(mu) / <I> r^2, <I> = 1 - sum_n 2 u_n / ((n + 1)(n + 2))."""
    n = np.arange(1, len(u) + 1)[:, None]
    mean = 1 - (2 * u / ((n + 1) * (n + 2))).sum(0)
    rows = []
    for spot in chosen:
        mu = np.sqrt(1 - spot.x**2 - spot.y**2)
        brightness = 1 - (u * (1 - mu) ** n).sum(0)
        rows.append((1 - planck_ratio(spot.teff_k, teff_k, wavelength_um)) * brightness / mean * spot.radius**2)
    place = np.array([(s.x, s.y, s.radius) for s in chosen], float).reshape(-1, 3)
    return Spots(place, np.array(rows).reshape(len(chosen), len(wavelength_um)))
