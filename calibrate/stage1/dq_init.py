"""Start the flags from the bad-pixel mask."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels.pixels import floating
from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.references.user_files import UserDq
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class DqInitRefs(eqx.Module):
    """What dq_init takes from the library; `user_dq` are flags that the user gives for one exposure."""

    mask: Mask
    user_dq: UserDq | None = None


class DqInitParams(eqx.Module):
    """`user_supplied_dq`: FITS file with flags to join to those of the mask."""

    user_supplied_dq: str = eqx.field(static=True, default="")


@step(cite="jwst 3.0.0 dq_init")
def dq_init(state: Ramps, refs: DqInitRefs, params: DqInitParams) -> tuple[Ramps, None]:
    """Join the mask to the pixel flags, and its DO_NOT_USE to the flags of every group, so that no ramp is fitted."""
    mask = refs.mask.dq if refs.user_dq is None else refs.mask.dq | refs.user_dq.data
    unusable = (mask & flags.DO_NOT_USE).astype(jnp.uint8)
    first = None if state.zeroframe is None else floating(state.zeroframe)
    state = replace(
        state,
        data=floating(state.data),
        groupdq=state.groupdq | unusable,
        pixeldq=state.pixeldq | mask,
        zeroframe=first,
    )
    if state.interleaved is None:
        return state, None
    assert state.interleaved_dq is not None and refs.mask.interleaved is not None
    dq = state.interleaved_dq | refs.mask.interleaved
    return replace(state, interleaved=floating(state.interleaved), interleaved_dq=dq), None
