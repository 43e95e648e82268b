"""Sum the light of each dispersion element over the aperture."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import aperture
from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.references.apcorr import Apcorr
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.stage2 import imputed, line_noise
from uptheramp.calibrate.stage2.aperture_correction import corrected
from uptheramp.calibrate.stage2.background import covered, level, windows
from uptheramp.calibrate.stage2.background import influence as background_influence
from uptheramp.calibrate.stage2.optimal import Model, influence, model_of, motion, seen
from uptheramp.calibrate.stage2.rescale import in_jansky
from uptheramp.calibrate.stage2.spatial_profile import PROFILES, Profile, measured, turned
from uptheramp.calibrate.stage2.usable import usable, variances
from uptheramp.calibrate.state import Rates, Spectra, single_order
from uptheramp.calibrate.step import step

METHODS, BACKGROUNDS, MISSING = ("box", "optimal"), ("none", "subtract", "removed", "fit"), ("rescale", "omit")
LINES = ("none", "across", "along")


class Extract1dRefs(eqx.Module):
    """What extract_1d takes from the library; `profile` is learned; of `photom` it takes the solid angle of a pixel."""

    extract1d: Extract1d
    profile: Profile | None
    photom: Photom | None = None
    apcorr: Apcorr | None = None


class Extract1dParams(eqx.Module):
    """How the sum is taken.

    `method`: "box" sums the covered pixels; "optimal" weighs them by profile over typical variance, where the profile
    is of one of the kinds of spatial_profile.PROFILES, smoothed over about `smoothing_px` along the dispersion.
    `background` says what is to be done about the windows of the reference: "none"; "subtract" what is made of them
    here; "removed", when bkg_subtract has done so: then only its error is added; "fit" (of "optimal"): solve for a
    level of each element, in aperture and windows, beside its flux. `missing` says what becomes of a bad pixel's light
    in a box: "rescale" estimates it from the profile, "omit" loses it, as the official step does. Elements of which
    less than `minimum_fraction` of the light (of the weight, where optimal) was seen are not used. `trace`: measure how
    the trace lies in each integration. `apply_apcorr`: where there is an APCORR file, make of the light in the aperture
    all that of a point source; where bad pixels are left out, the aperture counts as so many pixels smaller.

    `lines` says how the lines of the read-out lie to the dispersion, whose pixels share noise (1/f), as measured in the
    windows: "across" it (NIRSpec, MIRI), then the level of each element that is solved for is expected to differ from
    its typical value by so much; "along" it (NIRCam grisms), in stretches that `outputs` read at once, then "optimal"
    solves for the level of every line beside all fluxes, and the covariance of the elements is told; "none".
    """

    minimum_fraction: float = 0.5
    smoothing_px: float = 8.0
    method: str = eqx.field(static=True, default="box")
    profile: str = eqx.field(static=True, default="median")
    background: str = eqx.field(static=True, default="removed")
    missing: str = eqx.field(static=True, default="rescale")
    trace: bool = eqx.field(static=True, default=True)
    lines: str = eqx.field(static=True, default="none")
    outputs: int = eqx.field(static=True, default=1)
    apply_apcorr: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        choices = {
            "method": METHODS,
            "profile": PROFILES,
            "background": BACKGROUNDS,
            "missing": MISSING,
            "lines": LINES,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"extract_1d.{name}={getattr(self, name)}: give one of {', '.join(known)}")
        if self.background == "fit" and self.method == "box":
            raise InputError("extract_1d.background=fit needs extract_1d.method=optimal; a box knows no level")
        if self.lines == "across" and self.background != "fit":
            raise InputError(
                "extract_1d.lines=across needs extract_1d.background=fit, and bkg_subtract.skip=true: of levels that "
                "were subtracted nothing is known beforehand"
            )

    @property
    def moving(self) -> bool:
        """Whether the motion of the trace is measured."""
        return self.trace or (self.method == "optimal" and self.profile == "components")


def learn_profile(sample: Rates, refs: Extract1dRefs, params: Extract1dParams) -> Profile:
    """What all integrations share: the profile, less the background where it is still there, weights, line noise."""
    axis = aperture.across_axis(refs.extract1d.dispersion_axis)
    inside, raw = _inside(refs, sample), sample
    if params.method == "optimal" and params.background in ("subtract", "fit"):
        sample = replace(sample, data=sample.data - level(sample, windows(sample, refs.extract1d)))
    profile = measured(sample, inside, axis, params.profile, params.smoothing_px, moving=params.moving)
    return profile if params.lines == "none" else with_lines(profile, raw, refs, params, axis)


def with_lines(profile: Profile, sample: Rates, refs: Extract1dRefs, params: Extract1dParams, axis: int) -> Profile:
    """Add what the windows show of the noise that pixels of a line share."""
    if not len(refs.extract1d.background):
        raise InputError(f"extract_1d.lines={params.lines} needs background windows, and the EXTRACT1D file has none")
    assert profile.weight is not None  # it was measured
    along, outputs = params.lines == "along", params.outputs
    weight, beside = turned(profile.weight, axis), turned(covered(sample, refs.extract1d), axis)
    if along and weight.shape[-1] % outputs:
        raise InputError(f"extract_1d.outputs={outputs} does not divide {weight.shape[-1]} elements")
    good = usable(sample)
    image, good = turned(zeroed(sample.data, good), axis), turned(good, axis)
    unit = line_noise.unit(jnp.where(weight > 0, 1 / jnp.where(weight > 0, weight, 1), jnp.nan), beside)
    found = line_noise.variance(image, good, beside, unit, along=along, outputs=outputs)
    if not along:
        seen = jnp.where(good, beside, 0)
        typical = aperture.ratio((seen * image).sum((0, 1)), seen.sum((0, 1)))
        return replace(profile, level=typical, level_variance=found * unit**2)
    inside = turned(_inside(refs, sample), axis)
    covariance = found * jnp.eye(len(image[0]) * outputs)
    sums = inside
    if params.method == "optimal":
        model = _model(sample, replace(refs, profile=profile), turned(inside, axis), axis, level=False)
        covariance = line_noise.response(model.maps[0], model.weight, unit, found, outputs)
        norm = (model.weight * model.maps[0] ** 2).sum(0)
        sums = aperture.ratio(model.weight * model.maps[0], jnp.broadcast_to(norm, model.weight.shape))
    shared = line_noise.shared(sums, unit, covariance, outputs)
    return replace(profile, unit=unit, response=covariance.astype(unit.dtype), shared=shared)


@step(
    cite="jwst 3.0.0 extract_1d (box); Horne 1986 (optimal, weights of all integrations alike)",
    learned="profile",
    learn=learn_profile,
)
def extract_1d(state: Rates, refs: Extract1dRefs, params: Extract1dParams) -> tuple[Spectra, None]:
    """Sum over the aperture, `flux = sum h d`, variances `sum h^2 v`.

    Box: h = c / f, c the covered fraction of a pixel and f the fraction of the profile's light in the aperture that
    falls on usable pixels. Optimal: h = w P / sum w P^2, w = c / V over the usable pixels, V the typical variance, P
    the profile with `sum c P = 1`: what the box would hold of an element whose trace lies where the profile has it.
    Bad pixels leave the sums, which biases nothing if the profile is right. Elements with f < 1 (part of the weight
    lost) are FLUX_ESTIMATED. A pixel that is bad in the whole sample is left out of every integration alike, which
    biases no ratio of two integrations. The wavelength is the mean over the aperture. Elements with pixels that were
    made of each other (`Rates.imputed`) share noise, and their covariance is told.
    """
    axis = aperture.across_axis(refs.extract1d.dispersion_axis)
    dtype = state.data.dtype
    whole = _inside(refs, state)
    good = usable(state)
    data = zeroed(state.data, good)
    trace = error = shared = None
    known = refs.profile
    if params.method == "box":
        weight = jnp.where(good, whole, 0)
        fraction = _seen(whole, weight, refs.profile, params, axis)
        share = weight / fraction
        if params.trace and refs.profile is not None:
            trace, error = motion(_model(state, refs, whole, axis, level=False), data, good, axis)
    else:
        model = _model(state, refs, whole, axis, level=params.background == "fit")
        if params.moving:
            trace, error = motion(model, data, good, axis)
        assert known is not None  # it was learned
        share = influence(model, good, trace if params.profile == "components" else None, known.level_variance, axis)
        fraction = seen(model, good, axis)
        if known.level is not None:
            data = jnp.where(good, data - turned(known.level[None, :], axis), 0)
        if known.unit is not None and known.response is not None:
            images = turned(data, axis), turned(good, axis), model.maps[0], model.weight
            data = turned(line_noise.without_lines(*images, known.unit, known.response, params.outputs), axis)
            data = jnp.where(good, data, 0)
    flux = jnp.sum(share * data, axis)
    sums = [jnp.sum(share**2 * zeroed(v, good), axis) for v in variances(state)]
    background = jnp.zeros_like(flux)
    if params.background in ("subtract", "removed") and len(refs.extract1d.background):
        chosen = windows(state, refs.extract1d)
        pull = background_influence(share, chosen)
        sums = [
            total + jnp.sum(pull**2 * zeroed(v, good), axis) for total, v in zip(sums, variances(state), strict=True)
        ]
        if params.background == "subtract":
            background = jnp.sum(share * level(state, chosen), axis)
    if known is not None and known.level_variance is not None:
        sums[1] = sums[1] + known.level_variance * jnp.sum(share, axis) ** 2
    if known is not None and known.shared is not None:
        shared = known.shared
        sums[1] = sums[1] + jnp.sum(shared**2, 1)  # of read-out, as read noise is

    none = jnp.sum(jnp.abs(share), axis) <= 0
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
        trace=trace,
        trace_err=error,
        shared=shared,
        **single_order(len(flux), flux.shape[1], dtype),
    )
    if state.imputed is not None:
        pairs = imputed.pairs(flux.shape[1])
        together = imputed.covariance(state, state.imputed, share, axis)
        together = jnp.where(lost[:, pairs].any(-1), jnp.nan, together)
        spectra = replace(spectra, pairs=jnp.asarray(pairs), covariance=together)
    if params.apply_apcorr and refs.apcorr is not None:
        left = jnp.where(good, whole, 0) if params.missing == "omit" else jnp.broadcast_to(whole, data.shape)
        spectra = corrected(spectra, refs.apcorr, jnp.sum(left, axis))
    return in_jansky(spectra, refs.photom), None


def _inside(refs: Extract1dRefs, state: Rates) -> Float[Array, "y x"]:
    """Covered fraction of each pixel that has a wavelength."""
    shape = state.data.shape[-2:]
    lit = refs.extract1d.between(shape)
    if state.wavelength_um is not None:
        lit = lit & jnp.isfinite(state.wavelength_um)
    return jnp.where(lit, refs.extract1d.inside(shape, state.wavelength_um).astype(state.data.dtype), 0)


def _model(state: Rates, refs: Extract1dRefs, whole: Float[Array, "y x"], axis: int, *, level: bool) -> Model:
    """The images that make up an integration, over the aperture or, with a level, the windows too."""
    assert refs.profile is not None  # it was learned
    region = whole
    if level:
        region = jnp.maximum(whole, covered(state, refs.extract1d))
    return model_of(refs.profile, whole, region, axis, level=level)


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
