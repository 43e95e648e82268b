"""Leave out the first groups of MIRI integrations, which still settle after the reset."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.rscd import Rscd
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

FEWEST_GROUPS = 3  # one is lost to lastframe, two make a slope
SHORT_RAMP = 5  # up to here one group is skipped, whatever the reference says


class RscdRefs(eqx.Module):
    """What rscd takes from the library."""

    rscd: Rscd | None


@step(cite="jwst 3.0.0 rscd")
def rscd(state: Ramps, refs: RscdRefs, params: None) -> tuple[Ramps, None]:
    """Flag the first groups DO_NOT_USE: as many as the reference says for the first and for later integrations.

    Fewer where the ramp is too short, and in pixels that saturate early, which become FLUX_ESTIMATED.
    """
    ngroups = state.readout.ngroups
    if refs.rscd is None or ngroups < FEWEST_GROUPS or refs.rscd.group_skip1 == refs.rscd.group_skip == 0:
        return state, None
    wanted = (1, 1) if ngroups <= SHORT_RAMP else (refs.rscd.group_skip1, refs.rscd.group_skip)
    first, later = (min(skip, ngroups - FEWEST_GROUPS) for skip in wanted)
    skip = jnp.where(state.integration == 0, first, later)[:, None, None]
    allowed = _affordable(((state.groupdq & flags.SATURATED) != 0), skip)
    number = jnp.arange(ngroups)[:, None, None]
    dropped = number < allowed[:, None]
    groupdq = state.groupdq | jnp.where(dropped, flags.DO_NOT_USE, 0).astype(jnp.uint8)
    lowered = (allowed < skip).any(0)
    pixeldq = state.pixeldq | jnp.where(lowered, flags.FLUX_ESTIMATED, 0).astype(jnp.uint32)
    return eqx.tree_at(lambda s: (s.groupdq, s.pixeldq), state, (groupdq, pixeldq)), None


def _affordable(
    saturated: Bool[Array, "integration group y x"], skip: Int[Array, "integration 1 1"]
) -> Int[Array, "integration y x"]:
    """Groups that can be skipped with two good ones left before saturation; all, in pixels saturated from the start."""
    before = jnp.argmax(saturated, axis=1)  # groups before the first saturated one
    ever, at_once = saturated.any(1), saturated[:, 0]
    limit = jnp.where(ever & ~at_once, jnp.maximum(before - 2, 0), saturated.shape[1])
    return jnp.minimum(skip, limit)
