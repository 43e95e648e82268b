"""Remove each pixel's bias level."""

from dataclasses import replace

import equinox as eqx

from uptheramp.calibrate.kernels import planes
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.stage1 import zeroframe
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class SuperbiasRefs(eqx.Module):
    """What superbias takes from the library."""

    superbias: Superbias


@step(cite="jwst 3.0.0 superbias")
def superbias(state: Ramps, refs: SuperbiasRefs, params: None) -> tuple[Ramps, None]:
    """Subtract the superbias (DN) from every group: `data - superbias`; its flags join the pixel flags."""
    data = state.data - planes.spread(refs.superbias.data, state.data.shape[:-2])
    first = zeroframe.corrected(state.zeroframe, lambda frame: frame - refs.superbias.data)
    state = replace(state, data=data, pixeldq=state.pixeldq | refs.superbias.dq, zeroframe=first)
    if state.interleaved is None:
        return state, None
    extra = refs.superbias.interleaved
    assert extra is not None and state.interleaved_dq is not None
    return replace(
        state, interleaved=state.interleaved - extra.data, interleaved_dq=state.interleaved_dq | extra.dq
    ), None
