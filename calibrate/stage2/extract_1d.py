"""Sum the light of each dispersion element over the aperture."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels import aperture, order
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.stage2.background import windows
from uptheramp.calibrate.stage2.rescale import in_jansky
from uptheramp.calibrate.stage2.usable import usable, variances, zeroed
from uptheramp.calibrate.state import Rates, Spectra, single_order
from uptheramp.calibrate.step import step


class Profile(eqx.Module):
    """Median image of a sample of the exposure, in the units of the data; 0 where no integration was usable."""

    data: Float[Array, "y x"]


class Extract1dRefs(eqx.Module):
    """What extract_1d takes from the library; `profile` is learned and serves only to replace bad pixels.

    Of `photom` it takes the solid angle of a pixel.
    """

    extract1d: Extract1d
    profile: Profile | None
    photom: Photom | None = None


class Extract1dParams(eqx.Module):
    """How the sum is taken.

    `background` says what is to be done about the windows of the reference: "none"; "subtract" their mean or line here;
    "removed", when bkg_subtract has done so: then only its error is added. `missing` says what becomes of a bad pixel's
    light: "rescale" estimates it from the profile, "omit" loses it, as the official step does. Elements of which less
    than `minimum_fraction` of the light was seen are not used.
    """

    minimum_fraction: float = 0.5
    background: str = eqx.field(static=True, default="removed")
    missing: str = eqx.field(static=True, default="rescale")


def learn_profile(sample: Rates, refs: Extract1dRefs, params: Extract1dParams) -> Profile:
    """Median over the sample's usable integrations, negative pixels set to 0."""
    good = usable(sample)
    middle = order.median(sample.data, good)
    return Profile(jnp.where(good.any(0), jnp.maximum(middle, 0), 0).astype(sample.data.dtype))


@step(cite="jwst 3.0.0 extract_1d (box)", learned="profile", learn=learn_profile)
def extract_1d(state: Rates, refs: Extract1dRefs, params: Extract1dParams) -> tuple[Spectra, None]:
    """Sum over the aperture, `flux = sum w d / f`, variances `sum w^2 v / f^2`, w the covered fraction of a pixel.

    f is the fraction of the profile's light that falls on usable pixels; elements with f < 1 are FLUX_ESTIMATED. A
    pixel that is bad in the whole sample has no profile: it is left out of every integration alike, which biases no
    ratio of two integrations. The wavelength is the mean over the aperture.
    """
    axis = aperture.across_axis(refs.extract1d.dispersion_axis)
    shape = state.data.shape[-2:]
    dtype = state.data.dtype
    whole = aperture.coverage(refs.extract1d.lower, refs.extract1d.upper, shape, axis).astype(dtype)
    lit = refs.extract1d.between(shape)
    if state.wavelength_um is not None:
        lit = lit & jnp.isfinite(state.wavelength_um)
    whole = jnp.where(lit, whole, 0)
    good = usable(state)
    weight = jnp.where(good, whole, 0)
    fraction = _seen(whole, weight, refs.profile, params, axis)
    share = weight / fraction

    data = zeroed(state.data, good)
    flux = jnp.sum(share * data, axis)
    sums = [jnp.sum(share**2 * zeroed(v, good), axis) for v in variances(state)]
    background = jnp.zeros_like(flux)
    if params.background != "none" and len(refs.extract1d.background):
        chosen = windows(state, refs.extract1d)
        pull = aperture.influence(share, *chosen)
        sums = [
            total + jnp.sum(pull**2 * zeroed(v, good), axis) for total, v in zip(sums, variances(state), strict=True)
        ]
        if params.background == "subtract":
            background = jnp.sum(pull * data, axis)

    none = jnp.sum(weight, axis) <= 0
    lost = none | (jnp.squeeze(fraction, axis) < params.minimum_fraction)
    wavelength = _wavelength(state.wavelength_um, whole, axis)
    dq = (
        jnp.where(lost, flags.DO_NOT_USE, 0)
        | jnp.where(jnp.squeeze(fraction, axis) < 1, flags.FLUX_ESTIMATED, 0)
        | jnp.where(jnp.isnan(wavelength), flags.NON_SCIENCE | flags.DO_NOT_USE, 0)
    ).astype(state.dq.dtype)
    flux, var_poisson, var_rnoise, var_flat = (jnp.where(lost, jnp.nan, plane) for plane in (flux - background, *sums))
    spectra = Spectra(
        flux=flux,
        var_poisson=var_poisson,
        var_rnoise=var_rnoise,
        var_flat=var_flat,
        background=background,
        dq=dq,
        npixels=jnp.sum(whole, axis),
        wavelength_um=wavelength,
        integration=state.integration,
        unit=state.unit,
        **single_order(len(flux), flux.shape[1], dtype),
    )
    return in_jansky(spectra, refs.photom), None


def _seen(
    whole: Float[Array, "y x"],
    weight: Float[Array, "integration y x"],
    profile: Profile | None,
    params: Extract1dParams,
    axis: int,
) -> Float[Array, "integration y x"]:
    """Compute the fraction of the profile's light in the aperture on usable pixels; the summed axis is kept."""
    if profile is None or params.missing == "omit":
        return jnp.ones_like(jnp.sum(weight, axis, keepdims=True))
    light = whole * profile.data
    total = jnp.sum(light, axis, keepdims=True)
    missing = jnp.sum((whole - weight) * profile.data, axis, keepdims=True)
    return jnp.where(total > 0, jnp.maximum(1 - aperture.ratio(missing, total), 1e-3), 1)


def _wavelength(
    wavelength_um: Float[Array, "y x"] | None, whole: Float[Array, "y x"], axis: int
) -> Float[Array, "wavelength"]:
    """Average the wavelength (micron) over the lit pixels of the aperture; NaN where there is none."""
    if wavelength_um is None:
        return jnp.full_like(jnp.sum(whole, axis), jnp.nan)
    lit = jnp.where(jnp.isfinite(wavelength_um), whole, 0)
    total = jnp.sum(lit, axis)
    mean = aperture.ratio(jnp.sum(lit * jnp.where(lit > 0, wavelength_um, 0), axis), total)
    return jnp.where(total > 0, mean, jnp.nan)
