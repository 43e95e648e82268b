"""Inter-pixel capacitance: part of each pixel's voltage appears in its neighbours.

The coupling of two neighbours moves alpha * (S1 - S2) from one to the other, so the charge is conserved whatever
alpha is. `signal_dependent` takes alpha from the signals themselves (Donlon et al. 2018):
alpha = a + (b - a) / 2 [exp(-|S1 - S2| / contrast) + exp(-sqrt((S1^2 + S2^2) / 2) / signal)].

Whether the coupling comes before the non-linearity or after it is unsettled (mirage: before; pynrc and romanisim:
after), so there is an effect for each place; a scenario switches one of them on.
"""

from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.simulate.detector.neighbours import about, inside, pairs, received
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge

MEASURED_E = 2e4


@dataclass(frozen=True)
class IpcSettings:
    """Whether the coupling depends on the signals."""

    signal_dependent: bool = False


class Constant(eqx.Module):
    """One alpha for all neighbours along an axis."""

    alpha: Float[Array, "2"]  # along (x, y)

    def measured(self) -> Float[np.ndarray, "2"]:
        """Return what a calibration finds."""
        return np.asarray(self.alpha)

    def coupling(self, one: Float[Array, "..."], other: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
        """Return alpha of `one` and `other`, its neighbour along x (0) or y (1)."""
        return jnp.broadcast_to(self.alpha[axis], one.shape)

    def __call__(self, one: Float[Array, "..."], other: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
        """Electrons that `one` gives to `other`."""
        return self.alpha[axis] * (one - other)


class Donlon(eqx.Module):
    """Coupling that falls with contrast and signal."""

    strong: Float[Array, ""]
    faint: Float[Array, ""]
    contrast_e: Float[Array, ""]
    signal_e: Float[Array, ""]

    def measured(self) -> Float[np.ndarray, "2"]:
        """Return what a calibration finds that looks around hot pixels of MEASURED_E electrons in the dark."""
        return np.full(2, self.coupling(jnp.asarray(MEASURED_E), jnp.asarray(0.0), 0))

    def coupling(self, one: Float[Array, "..."], other: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
        """Donlon et al. (2018)."""
        # the small term keeps the gradient of the root finite in the dark
        level = jnp.sqrt((one**2 + other**2) / 2 + 1e-6)
        falling = jnp.exp(-jnp.abs(one - other) / self.contrast_e) + jnp.exp(-level / self.signal_e)
        return self.strong + (self.faint - self.strong) / 2 * falling

    def __call__(self, one: Float[Array, "..."], other: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
        """Electrons that `one` gives to `other`."""
        return self.coupling(one, other, axis) * (one - other)


def kernel(alpha: Float[Array, "2"]) -> Float[Array, "3 3"]:
    """[[0, ay, 0], [ax, 1 - 2 ax - 2 ay, ax], [0, ay, 0]]: what a constant coupling does to a point; sums to one."""
    ax, ay = alpha
    zero = jnp.zeros_like(ax)
    rows = [[zero, ay, zero], [ax, 1 - 2 * ax - 2 * ay, ax], [zero, ay, zero]]
    return jnp.stack([jnp.stack(row) for row in rows])


class Ipc(Effect):
    """Neighbours share their charge, each read by itself; nothing crosses the edge of the window."""

    name = "ipc"
    default = False  # as the official correction is
    settings = IpcSettings

    def constants(self, observation, maps, rng) -> Constant | Donlon:
        """Return the law of the coupling.

        Raises
        ------
        InputError
            If it is to depend on the signal and the detector's table does not say how.
        """
        detector = observation.detector
        if not observation.settings_of(self.name).signal_dependent:
            return Constant(np.asarray(detector.ipc_alpha, np.float32))
        table = detector.signal_ipc
        if table is None:
            raise InputError(f"{detector.name} has no signal-dependent IPC; leave effects.{self.name} as it is")
        return Donlon(*(np.float32(v) for v in (*table.alpha, table.contrast_e, table.signal_e)))

    def mean(self, state: Charge, refs, params) -> Charge:
        """S + sum over the neighbours of alpha (S_neighbour - S)."""
        # a read at a time stays in the cache
        shared = jax.lax.map(lambda read: read + received(read, params.own), state.electrons)
        return replace(state, electrons=shared)

    def shared(self, covariance, state: Charge, refs, params) -> Float[Array, "y x"]:
        """(1 - sum alpha)^2 C + sum over the neighbours of alpha^2 C_neighbour, alpha at the mean of the reads."""
        x, y = inside(*pairs(state.electrons.mean(0), params.own.coupling))
        wide = jnp.pad(covariance, 1)
        given = x[:, :-1] ** 2 * wide[1:-1, :-2] + x[:, 1:] ** 2 * wide[1:-1, 2:]
        given = given + y[:-1] ** 2 * wide[:-2, 1:-1] + y[1:] ** 2 * wide[2:, 1:-1]
        return (1 - about(x, y)) ** 2 * covariance + given


class IpcAfterNonlinearity(Ipc):
    """The same where the signals are already compressed."""

    name = "ipc_after_nonlinearity"
