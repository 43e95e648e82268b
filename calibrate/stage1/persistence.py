"""Flag what a bright past may still be glowing in."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from uptheramp.calibrate import flags
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class PersistenceParams(eqx.Module):
    """Names and defaults of the official step.

    `persistence_time`: how long it lasts, s (None: the step does nothing); `dn_threshold`: signal (DN) that starts it
    besides saturation; `persistence_dnu`: flag DO_NOT_USE too.
    """

    persistence_time: float | jax.Array | None = None
    dn_threshold: float | jax.Array | None = None
    persistence_dnu: bool = eqx.field(static=True, default=False)


def nothing_yet(state: Ramps) -> Float[Array, "y x"]:
    """No pixel glows when the exposure starts: all windows end at 0 s."""
    return jnp.zeros(state.pixeldq.shape)


@step(cite="jwst 3.0.0 persistence", carry=nothing_yet)
def persistence(state: Ramps, refs: None, params: PersistenceParams) -> tuple[Ramps, None]:
    """Flag PERSISTENCE every group of a pixel from its first saturated one on, for `persistence_time` seconds.

    A signal above `dn_threshold` starts a window too where none is open. Windows run on through later integrations.
    """
    if params.persistence_time is None:
        return state, None
    length = params.persistence_time

    def group(carry, x):
        end, count = carry
        time, saturated, bright = x
        end = jnp.where(end < time, 0, end)
        count = count + saturated
        end = jnp.where(count == 1, time + length, end)
        end = jnp.where(bright & (end == 0), time + length, end)
        return (end, count), end > 0

    def integration(end, x):
        start, saturated, bright = x
        times = start + (1 + jnp.arange(state.readout.ngroups)) * state.group_time_s
        (end, _), flagged = jax.lax.scan(group, (end, jnp.zeros(end.shape, jnp.int32)), (times, saturated, bright))
        return end, flagged

    saturated, bright = _triggers(state.data, state.groupdq, params)
    before = state.memory.get("persistence", nothing_yet(state))
    end, flagged = jax.lax.scan(integration, before, (state.starts_s, saturated, bright))
    bits = flags.PERSISTENCE | (flags.DO_NOT_USE if params.persistence_dnu else 0)
    groupdq = state.groupdq | jnp.where(flagged, bits, 0).astype(jnp.uint8)
    memory = {name: end if name == "persistence" else kept for name, kept in state.memory.items()}
    return eqx.tree_at(lambda s: (s.groupdq, s.memory), state, (groupdq, memory)), None


def _triggers(
    data: Float[Array, "integration group y x"],
    groupdq: UInt8[Array, "integration group y x"],
    params: PersistenceParams,
) -> tuple[Bool[Array, "integration group y x"], Bool[Array, "integration group y x"]]:
    """Groups that are saturated, and those brighter than the threshold."""
    saturated = (groupdq & flags.SATURATED) != 0
    if params.dn_threshold is None:
        return saturated, jnp.zeros_like(saturated)
    return saturated, data > params.dn_threshold
