"""Undo the crosstalk between neighbouring pixels."""

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate.kernels.convolve import convolve
from uptheramp.calibrate.references.ipc import Ipc
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class IpcRefs(eqx.Module):
    """What ipc takes from the library."""

    ipc: Ipc | None


@step(cite="jwst 3.0.0 ipc")
def ipc(state: Ramps, refs: IpcRefs, params: None) -> tuple[Ramps, None]:
    """Convolve the light-sensitive pixels of every group with the deconvolution kernel; reference pixels stay."""
    if refs.ipc is None:
        return state, None
    left, right = state.readout.reference_columns
    bottom, top = state.readout.reference_rows
    ny, nx = state.data.shape[-2:]
    rows, columns = slice(bottom, ny - top), slice(left, nx - right)
    kernel = refs.ipc.kernel
    if kernel.ndim == 4:
        kernel = kernel[..., rows, columns]
    data = jnp.asarray(state.data).at[..., rows, columns].set(convolve(state.data[..., rows, columns], kernel))
    return eqx.tree_at(lambda s: s.data, state, data), None
