"""Subtract what the reset leaves in the first groups of a MIRI integration."""

import equinox as eqx

from uptheramp.calibrate.references.reset import Reset
from uptheramp.calibrate.stage1.by_integration import planes_of
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class ResetRefs(eqx.Module):
    """What reset takes from the library."""

    reset: Reset | None


@step(cite="jwst 3.0.0 reset")
def reset(state: Ramps, refs: ResetRefs, params: None) -> tuple[Ramps, None]:
    """Subtract the reset anomaly (DN) of the integration and group."""
    if refs.reset is None:
        return state, None
    new = state.data - planes_of(refs.reset.data, state.integration), state.pixeldq | refs.reset.dq
    return eqx.tree_at(lambda s: (s.data, s.pixeldq), state, new), None
