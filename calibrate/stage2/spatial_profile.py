"""The profile of a spectrum across its dispersion, learned on a sample of the exposure."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels import aperture, order, trace_profile
from uptheramp.calibrate.stage2.typical import typical_variance
from uptheramp.calibrate.stage2.usable import usable
from uptheramp.calibrate.state import Rates

PROFILES = ("median", "smoothed", "spline", "components")


class Profile(eqx.Module):
    """What all integrations share.

    `data` is the light of each dispersion element by pixel, in units of its own for each element; 0 where no
    integration was usable and nothing tells. `weight` is one over the typical variance, 0 where no integration was
    usable. `position` and `width` are the derivatives of `data` to the position of the trace (px) and to its relative
    width, where the motion of the trace is asked for. The rest is there where lines of the read-out share noise
    (stage2/line_noise.py): `level` is the typical background of an element and `level_variance` that of a line across
    the dispersion; `unit` and `response` tell those along it, `shared` what they give to the covariance of elements.
    """

    data: Float[Array, "y x"]
    weight: Float[Array, "y x"] | None = None
    position: Float[Array, "y x"] | None = None
    width: Float[Array, "y x"] | None = None
    level: Float[Array, "element"] | None = None
    level_variance: Float[Array, "element"] | None = None
    unit: Float[Array, "element"] | None = None
    response: Float[Array, "level level"] | None = None
    shared: Float[Array, "element factor"] | None = None


def median_image(sample: Rates) -> Float[Array, "y x"]:
    """Median over the sample's usable integrations, negative pixels set to 0."""
    good = usable(sample)
    middle = order.median(sample.data, good)
    return jnp.where(good.any(0), jnp.maximum(middle, 0), 0).astype(sample.data.dtype)


def turned(image: Float[Array, "*n y x"], axis: int) -> Float[Array, "*n y x"]:
    """The image with its dispersion along x, and back; `axis` is that across the dispersion."""
    return image if axis == -2 else jnp.swapaxes(image, -1, -2)


def measured(
    sample: Rates, inside: Float[Array, "y x"], axis: int, kind: str, scale_px: Float[Array, ""], *, moving: bool
) -> Profile:
    """The profile of one of the kinds PROFILES, with weights; `inside` is the covered part of each pixel.

    "median" is the normalised median image; "smoothed" draws a parabola through each row of it, over neighbours along
    the dispersion within about `scale_px`; "spline" is a function of the distance from the trace. "components" is
    "smoothed" and moves with the trace. With `moving` there are derivatives.
    """
    good = usable(sample)
    known = turned(good.any(0), axis)
    image = turned(median_image(sample), axis)
    inside = turned(inside, axis)
    typical = turned(typical_variance(sample, good, axis), axis)
    weight = jnp.where(known, 1 / typical, 0)
    light = jnp.sum(inside * image, 0)
    share = aperture.ratio(image, jnp.broadcast_to(light, image.shape))
    sure = weight * light**2  # one over the variance of a share
    profile = image
    position = width = None
    if kind in ("smoothed", "components"):
        profile = trace_profile.local_parabola(share, sure, scale_px)
    if moving or kind == "spline":
        lit = inside > 0
        centre = trace_profile.centre(share, inside, light)
        distance = jnp.where(lit, jnp.arange(len(image))[:, None] - centre, 0)
        spline = trace_profile.fit_spline(share, sure * lit, centre, (distance.min() - 0.5, distance.max() + 0.5))
        if kind == "spline":
            profile = trace_profile.evaluate(spline, image.shape)
        if moving:
            # the slopes belong to a profile of sum one
            unit = jnp.sum(inside * profile, 0)
            slopes = trace_profile.slopes(spline, aperture.ratio(profile, jnp.broadcast_to(unit, profile.shape)))
            position, width = (turned((unit * slope).astype(image.dtype), axis) for slope in slopes)
    return Profile(turned(profile.astype(image.dtype), axis), turned(weight, axis), position, width)
