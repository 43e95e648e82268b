"""Charge physics: why twice the charge is not twice the signal.

`junction` (H2RG): the depletion capacitance of an abrupt p-n junction grows as it discharges,
S1 = Q (1 - b Q / W), then the source follower compresses, S = S1 / (1 + c (S1 / W)^3).
`debiasing` (Si:As): the bias across the detector falls as charge collects, and with it the response,
S = (W / k)(1 - exp(-k Q / W)).
W is the full well. b and c, or k, reproduce the table's deficits at half and at 80 % of the well; the scale of each
pixel multiplies them. Neither inverse is a polynomial: the calibration's polynomial is a fit, as on the ground.
"""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import least_squares

from uptheramp.calibrate.instruments.core import Nonlinearity as Table
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge


class Junction(eqx.Module):
    """Depletion capacitance, then a source follower; coefficients without unit, well in electrons."""

    depletion: Float[Array, ""]
    follower: Float[Array, ""]
    well_e: Float[Array, ""]

    def __call__(self, charge: Float[Array, "..."], scale: Float[Array, "..."]) -> Float[Array, "..."]:
        """Signal (e-) of a charge (e-)."""
        fill = charge / self.well_e
        fill = fill * (1 - scale * self.depletion * fill)
        return self.well_e * fill / (1 + scale * self.follower * fill**3)


class Debiasing(eqx.Module):
    """Loss of response with the collected charge."""

    rate: Float[Array, ""]
    well_e: Float[Array, ""]

    def __call__(self, charge: Float[Array, "..."], scale: Float[Array, "..."]) -> Float[Array, "..."]:
        """Signal (e-) of a charge (e-); a scale of zero is the linear limit."""
        k = jnp.maximum(scale * self.rate, 1e-4)
        return -jnp.expm1(-k * charge / self.well_e) * self.well_e / k


Physics = Junction | Debiasing
KINDS = {"junction": (Junction, 2), "debiasing": (Debiasing, 1)}


def physics(table: Table, well_e: float) -> Physics:
    """Return the charge physics whose deficits (Q - S) / Q fit the table's at 50 % and 80 % of the well."""
    kind, count = KINDS[table.kind]
    fill = np.array([0.5, 0.8])
    target = np.array([table.deficit_at_half_well, table.deficit_at_80_percent])

    def miss(coefficients: np.ndarray) -> np.ndarray:
        signal = np.asarray(kind(*coefficients, 1.0)(fill, 1.0))
        return (1 - signal / fill) - target

    fitted = least_squares(miss, np.full(count, target[0]), bounds=(1e-6, 2.0)).x
    return kind(*(np.float32(value) for value in (*fitted, well_e)))


class Nonlinearity(Effect):
    """Charge to linear-equivalent signal."""

    name = "nonlinearity"

    def mean(self, state: Charge, refs, params) -> Charge:
        """S(Q) of the detector's physics, pixel by pixel."""
        return replace(state, electrons=refs.charge_physics(state.electrons, refs.deficit_scale * refs.light))
