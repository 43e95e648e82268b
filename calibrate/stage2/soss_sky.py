"""Remove the sky behind SOSS, whose brightness has a step near column 700."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import order
from uptheramp.calibrate.kernels.aperture import ratio
from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.references.bkg import Bkg
from uptheramp.calibrate.stage2.usable import in_the_light
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step

STEP_COLUMNS = (685, 725)  # between which the step is looked for
LAST_COLUMN = 950  # beyond it the star is everywhere, and no scale is measured
BLUR_PX = 3.0
IMAGES = ("median", "all")


class Sky(eqx.Module):
    """The sky of an exposure, in the units of its rates, before the flat is divided out."""

    data: Float[Array, "y x"]


class BkgSubtractRefs(eqx.Module):
    """What bkg_subtract takes from the library; without templates nothing is subtracted. `sky` is learned."""

    bkg: Bkg | None
    sky: Sky | None


class BkgSubtractParams(eqx.Module):
    """Which pixels tell the scale, as in the official step.

    Of the pixels fainter than the percentile `soss_source_percentile` of the image, those whose ratio to the template
    lies between the percentiles `soss_bkg_percentile_low` and `_high` of these ratios. `images`: "median" takes them
    from the median image, "all" from all integrations of the sample together, as the official step does.
    """

    soss_source_percentile: float = 35.0
    soss_bkg_percentile_low: float = 25.0
    soss_bkg_percentile_high: float = 50.0
    images: str = eqx.field(static=True, default="median")

    def __check_init__(self):
        if self.images not in IMAGES:
            raise InputError(f"bkg_subtract.images={self.images}: give one of {', '.join(IMAGES)}")


def learn_sky(sample: Rates, refs: BkgSubtractRefs, params: BkgSubtractParams) -> Sky:
    """Scale each template left and right of its step to the sample's images; the best one is the sky.

    The median image stands for all integrations, because the sky is the same in all: noise of single ones would enter
    the choice of faint pixels.
    """
    shape = sample.data.shape[-2:]
    if refs.bkg is None:
        return Sky(jnp.zeros(shape, sample.data.dtype))
    science = in_the_light(sample)
    if params.images == "all":
        good, image = science, zeroed(sample.data, science)
    else:
        good = science.any(0)
        image = jnp.where(good, order.median(sample.data, science), 0)
    faint = good & (image < _percentile(image, good, params.soss_source_percentile))
    column = np.arange(shape[1])
    skies, misfits = [], []
    for template in jnp.asarray(refs.bkg.data, image.dtype):
        right = column >= step_column(template)[:, None]
        sky, misfit = jnp.zeros(shape, image.dtype), jnp.zeros((), image.dtype)
        for side, told in ((~right, faint & ~right), (right, faint & right & (column <= LAST_COLUMN))):
            scale = _scale(image, template, told, params)
            sky = jnp.where(side, scale * template, sky)
            missed = jnp.sum(jnp.where(told, (image - scale * template) ** 2, 0))
            misfit = misfit + jnp.sqrt(missed / jnp.maximum(told.sum(), 1))
        skies.append(sky)
        misfits.append(misfit)
    return Sky(jnp.stack(skies)[jnp.argmin(jnp.stack(misfits))])


def step_column(template: Float[Array, "y x"]) -> Float[Array, "y"]:
    """Column, row by row, at which the blurred template rises most steeply."""
    smooth = _blurred(_blurred(template, 0), 1)
    first, last = STEP_COLUMNS
    if template.shape[1] <= last:
        return jnp.zeros(template.shape[0], jnp.int32)
    rise = (smooth[:, 2:] - smooth[:, :-2])[:, first - 1 : last - 1]
    return first + jnp.argmax(rise, axis=1)


def _blurred(image: Float[Array, "y x"], axis: int) -> Float[Array, "y x"]:
    """Convolve with a Gaussian of BLUR_PX along an axis; the edges are mirrored."""
    reach = int(4 * BLUR_PX)
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / BLUR_PX) ** 2)
    wide = jnp.pad(image, [(reach, reach) if k == axis else (0, 0) for k in (0, 1)], mode="symmetric")
    n = image.shape[axis]
    shifted = (jax.lax.slice_in_dim(wide, k, k + n, axis=axis) for k in range(2 * reach + 1))
    return sum((w * s for w, s in zip(weight / weight.sum(), shifted, strict=True)), start=jnp.zeros_like(image))


def _scale(
    image: Float[Array, "*n y x"],
    template: Float[Array, "y x"],
    told: Bool[Array, "*n y x"],
    params: BkgSubtractParams,
) -> Float[Array, ""]:
    """Median ratio of image to template over the pixels between two percentiles of it; 0 where there is none."""
    told &= template > 0
    ratios = ratio(image, jnp.where(template > 0, template, 0))
    low, high = (
        _percentile(ratios, told, at) for at in (params.soss_bkg_percentile_low, params.soss_bkg_percentile_high)
    )
    found = _percentile(ratios, told & (ratios > low) & (ratios < high), 50.0)
    return jnp.where(jnp.isfinite(found), found, 0)


def _percentile(
    image: Float[Array, "*n y x"], chosen: Bool[Array, "*n y x"], at: Float[Array, ""] | float
) -> Float[Array, ""]:
    return jnp.nanpercentile(jnp.where(chosen, image, jnp.nan), at).astype(image.dtype)


@step(cite="jwst 3.0.0 bkg_subtract (NIRISS SOSS)", learned="sky", learn=learn_sky)
def bkg_subtract(state: Rates, refs: BkgSubtractRefs, params: BkgSubtractParams) -> tuple[Rates, None]:
    """Subtract the sky of the exposure, the same from every integration; it comes before flat_field."""
    if refs.sky is None:
        return state, None
    return replace(state, data=state.data - refs.sky.data), None
