"""Inter-pixel capacitance: part of each pixel's voltage appears in its neighbours."""

from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge


def kernel(alpha: Float[Array, "2"]) -> Float[Array, "3 3"]:
    """[[0, ay, 0], [ax, 1 - 2 ax - 2 ay, ax], [0, ay, 0]]; sums to one."""
    ax, ay = alpha
    zero = jnp.zeros_like(ax)
    rows = [[zero, ay, zero], [ax, 1 - 2 * ax - 2 * ay, ax], [zero, ay, zero]]
    return jnp.stack([jnp.stack(row) for row in rows])


class Ipc(Effect):
    """Charge convolved with the kernel."""

    name = "ipc"
    default = False  # as the official correction is

    def mean(self, state: Charge, refs, params) -> Charge:
        """Convolve each read. Neighbours outside the window are taken as equal to the edge pixel."""
        q, (ax, ay) = state.electrons, refs.ipc_alpha
        wide = jnp.pad(q, ((0, 0), (1, 1), (1, 1)), mode="edge")
        across = wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
        along = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1]
        return replace(state, electrons=(1 - 2 * ax - 2 * ay) * q + ax * across + ay * along)
