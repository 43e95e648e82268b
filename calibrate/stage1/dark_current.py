"""Subtract the signal without light."""

import equinox as eqx

from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.stage1.by_integration import planes_of
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class DarkCurrentRefs(eqx.Module):
    """What dark_current takes from the library."""

    dark: Dark


@step(cite="jwst 3.0.0 dark_current")
def dark_current(state: Ramps, refs: DarkCurrentRefs, params: None) -> tuple[Ramps, None]:
    """Subtract the dark (DN) of the integration and group; its flags join the pixel flags."""
    new = state.data - planes_of(refs.dark.data, state.integration), state.pixeldq | refs.dark.dq
    return eqx.tree_at(lambda s: (s.data, s.pixeldq), state, new), None
