"""What a bright past leaves: flags of pixels that may still glow, and the charge that traps hold and give back."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels import traps
from uptheramp.calibrate.references.persat import PerSat
from uptheramp.calibrate.references.trapdensity import TrapDensity
from uptheramp.calibrate.references.trappars import FAMILIES, TrapPars
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class PersistenceRefs(eqx.Module):
    """What persistence takes from the library: the traps, where all three are known."""

    trappars: TrapPars | None
    trapdensity: TrapDensity | None
    persat: PerSat | None


class PersistenceParams(eqx.Module):
    """Names and defaults of the official step, of today and (the last one) of before.

    `persistence_time`: how long it lasts, s (None: no such flags); `dn_threshold`: signal (DN) that starts it besides
    saturation; `persistence_dnu`: flag DO_NOT_USE too. `flag_pers_cutoff`: charge given back by traps (DN) from which
    on a group is flagged.
    """

    persistence_time: float | jax.Array | None = None
    dn_threshold: float | jax.Array | None = None
    persistence_dnu: bool = eqx.field(static=True, default=False)
    flag_pers_cutoff: float | jax.Array = 40.0


class Past(eqx.Module):
    """What the step remembers of the integrations before.

    `end_s`: when the window of each pixel ends (0: none is open). `trapped`: charge in the traps (DN) at the time
    `at_s`. Times from the start of the exposure.
    """

    end_s: Float[Array, "y x"]
    trapped: Float[Array, "family y x"]
    at_s: Float[Array, ""]


def nothing_yet(state: Ramps, params: PersistenceParams) -> Past:
    """No pixel glows when the exposure starts, and all traps are empty."""
    del params
    shape = state.pixeldq.shape
    return Past(jnp.zeros(shape), jnp.zeros((FAMILIES, *shape), jnp.float32), jnp.zeros(()))


@step(cite="jwst 3.0.0 persistence; traps: Tulloch, George & ESO 2019, JATIS 5, 036004", carry=nothing_yet)
def persistence(state: Ramps, refs: PersistenceRefs, params: PersistenceParams) -> tuple[Ramps, None]:
    """Flag PERSISTENCE every group of a pixel from its first saturated one on, for `persistence_time` seconds.

    A signal above `dn_threshold` starts a window too where none is open. Windows run on through later integrations.
    With references of the traps, what these gave back since the start of the integration is subtracted from each
    group, and what they took is added; windows are then opened by the ramps so corrected.
    """
    past = state.memory.get("persistence", nothing_yet(state, params))
    if refs.trappars is not None and refs.trapdensity is not None and refs.persat is not None:
        state, past = _without_traps(state, refs.trappars, refs.trapdensity, refs.persat, past, params)
    if params.persistence_time is not None:
        state, past = _flagged(state, past, params.persistence_time, params)
    memory = {name: past if name == "persistence" else kept for name, kept in state.memory.items()}
    return replace(state, memory=memory), None


def _without_traps(
    state: Ramps, pars: TrapPars, density: TrapDensity, persat: PerSat, past: Past, params: PersistenceParams
) -> tuple[Ramps, Past]:
    """Ramps as they were without traps, and what the traps hold after them.

    Families follow `dn/dt = capture0 |capture1| q + capture2 dq/dt - |decay_param| n`, q the filling of the pixel. The
    older official step had the capture on a ramp grow with the square of its slope, and did not give it back to the
    ramp; by the first-order law (Tulloch et al. 2019) both signs follow from one state.
    """
    r, dtype = state.readout, state.data.dtype

    def by_family(values: Float[Array, "family"]) -> Float[Array, "family 1 1"]:
        return jnp.asarray(values, jnp.float64)[:, None, None]

    law = traps.Family(
        held=by_family(pars.capture0),
        filling=-by_family(pars.capture1),
        at_once=by_family(pars.capture2),
        emptying=-by_family(pars.decay_param),
    )
    known = persat.data > 0
    scale = jnp.where(known, density.data, 0)
    filling = jnp.where(known, jnp.clip(state.data / jnp.where(known, persat.data, 1), 0, 1), 0)
    filling = jnp.where(jnp.isfinite(filling), filling, 0)
    # mean times of the groups, from the start of the integration
    when = ((r.nframes + 1) / 2 + jnp.arange(r.ngroups) * (r.nframes + r.groupgap)) * state.frame_time_s

    def group(carry, x):
        trapped, before, at = carry
        now, time = x
        trapped = traps.after(trapped, before, now, time - at, law)
        return (trapped, now, time), trapped

    def integration(carry, x):
        trapped, at = carry
        start, q = x
        empty = jnp.zeros_like(q[0])
        trapped = traps.after(trapped, empty, empty, jnp.maximum(start - at, 0), law)
        (end, _, _), through = jax.lax.scan(group, (trapped, empty, jnp.zeros_like(start)), (q, when))
        return (end, start + when[-1]), through.sum(1) - trapped.sum(0)

    begin = past.trapped.astype(dtype), jnp.asarray(past.at_s, state.starts_s.dtype)
    (trapped, at), taken = jax.lax.scan(integration, begin, (state.starts_s, filling))
    taken = taken * scale.astype(dtype)
    groupdq = state.groupdq | jnp.where(-taken >= params.flag_pers_cutoff, flags.PERSISTENCE, 0).astype(jnp.uint8)
    after = Past(past.end_s, trapped.astype(past.trapped.dtype), at.astype(past.at_s.dtype))
    return replace(state, data=state.data + taken, groupdq=groupdq), after


def _flagged(state: Ramps, past: Past, length: float | jax.Array, params: PersistenceParams) -> tuple[Ramps, Past]:
    """Flags of the groups in a window of persistence, and the windows that stay open."""

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
    end, flagged = jax.lax.scan(integration, past.end_s, (state.starts_s, saturated, bright))
    bits = flags.PERSISTENCE | (flags.DO_NOT_USE if params.persistence_dnu else 0)
    groupdq = state.groupdq | jnp.where(flagged, bits, 0).astype(jnp.uint8)
    return replace(state, groupdq=groupdq), replace(past, end_s=end)


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
