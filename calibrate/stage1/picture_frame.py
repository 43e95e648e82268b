"""Take the thermal pattern out of NIRSpec's full frames."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import order
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.pictureframe import PictureFrame
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1 import scene
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

FULL_FRAME = (2048, 2048)
CENTRE = (76, 1984)  # first row and column of the middle, and the first beyond it
LOWER_EDGE, UPPER_EDGE = (4, 75), (1985, 2043)


class PictureMask(eqx.Module):
    """Pixels that show the background alone."""

    dark: Bool[Array, "y x"]


class PictureFrameRefs(eqx.Module):
    """What picture_frame takes from the library; the mask is learned on a sample of the exposure."""

    gain: Gain
    readnoise: ReadNoise
    dark: Dark | None
    pictureframe: PictureFrame | None
    picture_mask: PictureMask | None


class PictureFrameParams(eqx.Module):
    """`n_sigma`: what is brighter in the draft rates is light."""

    n_sigma: float | jax.Array = 2.0


def _applies(state: Ramps, refs: PictureFrameRefs) -> bool:
    return refs.pictureframe is not None and state.data.shape[-2:] == FULL_FRAME and state.readout.ngroups > 1


def learn_mask(sample: Ramps, refs: PictureFrameRefs, params: PictureFrameParams) -> PictureMask | None:
    """The mask from the mean draft rate of the sample."""
    if not _applies(sample, refs):
        return None
    _, mean = scene.draft(sample, refs.gain, refs.readnoise, refs.dark)
    return PictureMask(scene.unlit(mean, params.n_sigma))


def regions() -> tuple[Bool[np.ndarray, "y x"], Bool[np.ndarray, "y x"]]:
    """The middle of a full frame, and the bands along its edges without the reference pixels."""
    y, x = np.mgrid[: FULL_FRAME[0], : FULL_FRAME[1]]
    middle = (np.minimum(y, x) >= CENTRE[0]) & (np.maximum(y, x) < CENTRE[1])
    low, high = np.minimum(y, x), np.maximum(y, x)
    inside = (low >= LOWER_EDGE[0]) & (high < UPPER_EDGE[1])
    return middle, inside & ((low < LOWER_EDGE[1]) | (high >= UPPER_EDGE[0]))


@step(cite="jwst 3.0.0 picture_frame", learned="picture_mask", learn=learn_mask)
def picture_frame(state: Ramps, refs: PictureFrameRefs, params: PictureFrameParams) -> tuple[Ramps, None]:
    """Subtract the pattern, scaled so that its middle and its edges have the medians seen in each group less the first.

    Other windows than the full frame, exposures without the reference and groups without unlit pixels in the middle or
    at the edges stay as they are.
    """
    if not _applies(state, refs):
        return state, None
    assert refs.pictureframe is not None
    mask = refs.picture_mask or learn_mask(state, refs, params)
    assert mask is not None
    middle, edge = (mask.dark & region for region in regions())

    def level(image: Float[Array, "y x"], where: Bool[Array, "y x"]) -> Float[Array, ""]:
        return order.median(image.ravel(), (where & jnp.isfinite(image)).ravel())

    pattern = refs.pictureframe.data
    pattern_edge = level(pattern, edge)
    contrast = level(pattern, middle) - pattern_edge

    def pattern_in(image: Float[Array, "y x"]) -> Float[Array, "y x"]:
        below = level(image, edge)
        share = jnp.where(contrast != 0, (level(image, middle) - below) / jnp.where(contrast != 0, contrast, 1), 0)
        found = share * jnp.nan_to_num(pattern - pattern_edge) + below
        return jnp.where(jnp.isfinite(share + below), found, 0)

    rise = jax.lax.stop_gradient(state.data[:, 1:] - state.data[:, :1])
    found = jax.lax.map(pattern_in, rise.reshape(-1, *FULL_FRAME)).reshape(rise.shape)
    return eqx.tree_at(lambda s: s.data, state, jnp.asarray(state.data).at[:, 1:].add(-found)), None
