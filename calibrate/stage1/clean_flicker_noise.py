"""Take the 1/f noise of the read-out, constant along each line of it, out of every group."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels import background, coarse_background, fourier_noise, order
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.references.user_files import UserMask
from uptheramp.calibrate.stage1 import scene as scene_of
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

CHOICES = {
    "fit_method": ("median", "fft"),
    "background_method": ("median", "model", "median_image", "none"),
}
LEVEL_SIGMA = 3.0  # what the level of an image is clipped at
BRIGHT_SHARE = 0.02  # of the pixels, the brightest ones, that tell how bright an integration is


class FlickerScene(eqx.Module):
    """Where no light falls; where most of it does, and how much (DN/s); the typical ramp (DN) where it is needed."""

    dark: Bool[Array, "y x"]
    bright: Bool[Array, "y x"]
    light: Float[Array, ""]
    ramp: Float[Array, "group y x"] | None


class CleanFlickerNoiseRefs(eqx.Module):
    """What clean_flicker_noise takes from the library; the scene is learned on a sample of the exposure."""

    gain: Gain
    readnoise: ReadNoise
    dark: Dark | None
    flicker_scene: FlickerScene | None
    flat: Flat | None = None
    extract1d: Extract1d | None = None
    user_mask: UserMask | None = None


class CleanFlickerNoiseParams(eqx.Module):
    """Names and defaults of the official step.

    `fit_method`: "median", the median of each line, or "fft", a Fourier series in time (`kernels/fourier_noise.py`),
    for windows that one output reads. `background_method`: "median", the level of each difference of groups, "model",
    a smooth image of it in boxes of `background_box_size` ("rows,columns"; empty: up to 32 that divide the window),
    "median_image", the typical ramp scaled by the brightness of the integration, or "none". `n_sigma`: what is brighter
    in the draft rates is light (0: nothing is), by deviations of the clipped rates or, with `fit_histogram`, of a
    Gaussian fitted to their histogram. `single_mask`: one mask for the exposure, not one for each integration.
    `fit_by_channel`: each output has its own noise. `apply_flat_field`: divide by the flat before levels and noise are
    looked for. `mask_science_regions`: leave out the aperture of the extraction and what is flagged NON_SCIENCE or
    MSA_FAILED_OPEN. `user_mask`: FITS file with the background in SCI, in place of all those masks.
    """

    fit_method: str = eqx.field(static=True, default="median")
    background_method: str = eqx.field(static=True, default="median")
    background_box_size: str = eqx.field(static=True, default="")
    n_sigma: float | jax.Array = 2.0
    fit_histogram: bool = eqx.field(static=True, default=False)
    single_mask: bool = eqx.field(static=True, default=True)
    fit_by_channel: bool = eqx.field(static=True, default=False)
    apply_flat_field: bool = eqx.field(static=True, default=False)
    mask_science_regions: bool = eqx.field(static=True, default=False)
    user_mask: str = eqx.field(static=True, default="")


def learn_scene(sample: Ramps, refs: CleanFlickerNoiseRefs, params: CleanFlickerNoiseParams) -> FlickerScene:
    """The mask from the mean draft rate of the sample, and its median ramp over the integrations.

    Raises
    ------
    InputError
        A method that there is not, or not for this read-out; no box size.
    """
    _check(params, sample.readout)
    rate, mean = scene_of.draft(sample, refs.gain, refs.readnoise, refs.dark)
    ordered = jnp.sort(jnp.where(jnp.isfinite(mean), mean, -jnp.inf).ravel())
    bright = mean >= ordered[-max(1, round(BRIGHT_SHARE * mean.size))]
    light = jnp.median(_light(rate, bright))
    ramp = None
    if params.background_method == "median_image":
        usable = (sample.groupdq & flags.DO_NOT_USE) == 0
        scale = _light(rate, bright) / light
        ramp = order.median(sample.data / scale[:, None, None, None], usable)
    return FlickerScene(_unlit(mean, sample, refs, params), bright, light, ramp)


def _check(params: CleanFlickerNoiseParams, readout: Readout) -> None:
    for name, known in CHOICES.items():
        if (given := getattr(params, name)) not in known:
            raise InputError(f"clean_flicker_noise.{name}={given}: expected {' or '.join(known)}")
    if params.fit_method == "fft" and readout.outputs > 1:
        raise InputError("clean_flicker_noise.fit_method=fft is for windows that one output reads; use median")


def _box(params: CleanFlickerNoiseParams, shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the boxes of the background."""
    if not params.background_box_size:
        return coarse_background.default_box(shape)
    try:
        rows, columns = map(int, params.background_box_size.split(","))
        if not (0 < rows <= shape[0] and 0 < columns <= shape[1]):
            raise ValueError
    except ValueError:
        given = f"clean_flicker_noise.background_box_size={params.background_box_size}"
        raise InputError(f"{given}: expected rows,columns within a window of {shape[0]} by {shape[1]}") from None
    return rows, columns


def _unlit(
    rate: Float[Array, "y x"], state: Ramps, refs: CleanFlickerNoiseRefs, params: CleanFlickerNoiseParams
) -> Bool[Array, "y x"]:
    """Pixels that show the background alone, by a draft rate and by what is known of the window."""
    if params.mask_science_regions:
        outside = (state.pixeldq & (flags.NON_SCIENCE | flags.MSA_FAILED_OPEN)) == 0
        if (known := refs.extract1d) is not None:
            outside = outside & (known.inside(rate.shape) == 0)
        rate = jnp.where(outside, rate, jnp.nan)
    return scene_of.unlit(rate / _flat(refs, params), params.n_sigma, params.fit_histogram)


def _flat(refs: CleanFlickerNoiseRefs, params: CleanFlickerNoiseParams) -> Float[Array, "#y #x"]:
    """Relative response of the pixels, that of their surroundings where it is not known; 1 if it is not asked for."""
    if not params.apply_flat_field or refs.flat is None:
        return jnp.ones((1, 1), jnp.float32)
    response, good = refs.flat.data, (refs.flat.dq & flags.DO_NOT_USE) == 0
    r, kept = background.ranked(response, good)
    kept = background.background(r, kept, LEVEL_SIGMA, LEVEL_SIGMA, lower_half=True)
    usual = good & background.admitted(response, r, kept)
    return jnp.where(
        good, response, coarse_background.model(response, usual, coarse_background.default_box(response.shape))
    )


@step(
    cite="Willott (image1overf); Rauscher 2024 (NSClean); jwst 3.0.0 clean_flicker_noise",
    learned="flicker_scene",
    learn=learn_scene,
)
def clean_flicker_noise(
    state: Ramps, refs: CleanFlickerNoiseRefs, params: CleanFlickerNoiseParams
) -> tuple[Ramps, None]:
    """Subtract from every difference of groups the noise of the read-out that its unlit pixels show.

    With "median_image" from every group less the typical ramp. Single groups stay as they are.
    """
    if state.readout.ngroups == 1:
        return state, None
    fixed = jax.lax.stop_gradient(state)
    scene = refs.flicker_scene or learn_scene(fixed, refs, params)
    by_integration = scene.ramp is not None or not params.single_mask
    if by_integration:
        rate, _ = scene_of.draft(fixed, refs.gain, refs.readnoise, refs.dark)
    else:
        rate = jnp.zeros(())
    if by_integration and refs.user_mask is None:
        masks = jax.lax.map(lambda r: _unlit(r, fixed, refs, params), rate)
    else:
        planes = scene.dark[None] if refs.user_mask is None else refs.user_mask.data
        masks = planes[jnp.minimum(fixed.integration, len(planes) - 1)]
    flat = _flat(refs, params)

    def stripes(images: Float[Array, "integration n y x"], usable: Bool[Array, "integration n y x"]) -> Array:
        if params.fit_method == "fft":
            return _series(images, usable, fixed.readout.slow_axis)
        return _stripes(images, usable, fixed.readout, params)

    if scene.ramp is not None:
        rest = (fixed.data - (_light(rate, scene.bright) / scene.light)[:, None, None, None] * scene.ramp) / flat
        known = jnp.isfinite(rest)
        noise = flat * stripes(jnp.where(known, rest, 0), masks[:, None] & known)
        return eqx.tree_at(lambda s: s.data, state, state.data - noise), None
    difference = jnp.diff(fixed.data, axis=1) / flat
    usable = masks[:, None] & ((fixed.groupdq[:, 1:] & (flags.DO_NOT_USE | flags.JUMP_DET)) == 0)
    usable = usable & jnp.isfinite(difference)
    if params.background_method in ("median", "model"):
        leveled, usable = _leveled(difference, usable, params)
    else:
        leveled = jnp.where(jnp.isfinite(difference), difference, 0)
    noise = flat * stripes(leveled, usable)

    def add(total: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        stripe, any_unlit = x  # an image without unlit pixels keeps its noise, and passes none on
        total = jnp.where(any_unlit, total + stripe, 0)
        return total, total

    moved = jnp.moveaxis(noise, 1, 0), jnp.moveaxis(usable.any((-2, -1), keepdims=True), 1, 0)
    _, total = jax.lax.scan(add, jnp.zeros_like(noise[:, 0]), moved)
    data = jnp.asarray(state.data).at[:, 1:].add(-jnp.moveaxis(total, 0, 1))
    return eqx.tree_at(lambda s: s.data, state, data), None


def _leveled(
    images: Float[Array, "integration n y x"],
    usable: Bool[Array, "integration n y x"],
    params: CleanFlickerNoiseParams,
) -> tuple[Float[Array, "integration n y x"], Bool[Array, "integration n y x"]]:
    """Images less their level, and which pixels are background by what the level leaves."""

    def one(x: tuple[Array, Array]) -> tuple[Array, Array]:
        image, mask = x
        judged = image
        r, kept = background.ranked(image, mask)
        kept = background.background(r, kept, LEVEL_SIGMA, LEVEL_SIGMA, lower_half=True)
        if params.background_method == "model":
            mask = mask & background.admitted(image, r, kept)
            level = coarse_background.model(image, mask, _box(params, image.shape))
            judged = image - level
            r, kept = background.ranked(judged, mask)
        else:
            level = background.median(r, kept)
        narrow = background.background(r, kept, params.n_sigma, params.n_sigma, lower_half=True)
        kept = background.Interval(*(jnp.where(params.n_sigma > 0, n, k) for n, k in zip(narrow, kept, strict=True)))
        return jnp.where(jnp.isfinite(image), image - level, 0), mask & background.admitted(judged, r, kept)

    flat = tuple(x.reshape(-1, *x.shape[2:]) for x in (images, usable))
    leveled, admitted = jax.lax.map(one, flat)
    some = usable.any((-2, -1), keepdims=True)
    return jnp.where(some, leveled.reshape(images.shape), 0), admitted.reshape(images.shape)


def _stripes(
    images: Float[Array, "... y x"], usable: Bool[Array, "... y x"], readout: Readout, params: CleanFlickerNoiseParams
) -> Float[Array, "... #y #x"]:
    """Median of the usable pixels along the fast axis, 0 where a line has none; broadcasts against the images."""
    axis = -2 if abs(readout.slow_axis) == 1 else -1
    fast = images.shape[axis]
    outputs = readout.outputs if params.fit_by_channel and readout.reference_correction != "interleaved" else 1

    def by_output(x: Array) -> Array:  # pixel of a line, output, ..., line
        x = jnp.moveaxis(x, axis, 0)
        return jnp.moveaxis(x.reshape(outputs, fast // outputs, *x.shape[1:]), 1, 0)

    level = order.median(by_output(images), by_output(usable))
    level = jnp.where(jnp.isfinite(level), level, 0)
    if outputs == 1:
        return jnp.expand_dims(level[0], axis)
    return jnp.moveaxis(jnp.repeat(level, fast // outputs, axis=0), 0, axis)


def _series(images: Float[Array, "... y x"], usable: Bool[Array, "... y x"], slow_axis: int) -> Float[Array, "... y x"]:
    """The Fourier series of each image; the slow axis alone is turned to the order of reading (official)."""

    def lines(x: Array) -> Array:
        return (jnp.swapaxes(x, -1, -2) if abs(slow_axis) == 1 else x)[..., :: np.sign(slow_axis), :]

    data, unlit = lines(images), lines(jnp.broadcast_to(usable, images.shape))
    flat = tuple(x.reshape(-1, *x.shape[-2:]) for x in (data, unlit))
    noise = jax.lax.map(lambda x: fourier_noise.fitted(*x), flat).reshape(data.shape)[..., :: np.sign(slow_axis), :]
    return jnp.swapaxes(noise, -1, -2) if abs(slow_axis) == 1 else noise


def _light(rate: Float[Array, "integration y x"], bright: Bool[Array, "y x"]) -> Float[Array, "integration"]:
    """Light of each integration in the brightest pixels, DN/s."""
    return jnp.where(bright, rate, 0).sum((1, 2))
