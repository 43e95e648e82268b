"""Subtract the signal without light."""

from dataclasses import replace

import equinox as eqx
import jax

from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.stage1.by_integration import planes_of
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class DarkCurrentRefs(eqx.Module):
    """What dark_current takes from the library."""

    dark: Dark


class DarkCurrentParams(eqx.Module):
    """`average_dark_current`: mean dark current (e-/s) whose noise the slope fit counts; None: the reference's."""

    average_dark_current: float | jax.Array | None = None


@step(cite="jwst 3.0.0 dark_current")
def dark_current(state: Ramps, refs: DarkCurrentRefs, params: DarkCurrentParams) -> tuple[Ramps, None]:
    """Subtract the dark (DN) of the integration and group; its flags join the pixel flags."""
    data = state.data - planes_of(refs.dark.data, state.integration)
    pixeldq = state.pixeldq | refs.dark.dq
    return replace(state, data=data, pixeldq=pixeldq, dark_e_per_s=params.average_dark_current), None
