"""Levels of the lines of the read-out under a scene of unknown brightness: generalised least squares on one image.

    image = scale T + Z b + noise,  noise of variance 1 / w;   b ~ N(0, C)

T is the scene's template, Z spreads the level of a line (and output) over its pixels, and there is one free scale for
each set of pixels that `axes` of the image sum over: (-1,) a scale for each row, (-2,) for each column, (-2, -1) one
for the image, () none. The scales are eliminated by projection, P r = r - T (sum w T r / sum w T^2):

    b = G Z^T w P image,   G = (A + C^-1)^-1,   A = Z^T w P Z.

P takes out T under whatever scales, so a level never holds any of a scene that only its brightness changes, whatever G.
A measured template has noise v. Images come less the template, so the scale s lacks E = sum w v in its numerator and
has E too much in its denominator; what that leaves of the light is alike in all pixels of a line, as a level is. So

    s = (sum w T image + E) / (sum w T^2 - E).

Source: Rao & Toutenburg (1995), Linear Models, sections 3.7 and 4.2; the expectation step for missing pixels:
Dempster, Laird & Rubin (1977); noise in the regressor: Fuller (1987), Measurement Error Models, section 1.2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels.aperture import ratio

Image = Float[Array, "*any y x"]
Levels = Float[Array, "*any line output"]
ROUNDS = 4  # in which missing pixels take the values that the fit gives them


class Lines(NamedTuple):
    """How lines lie in an image: the array axis along which a line is read (-1 or -2), and outputs side by side."""

    fast: int
    outputs: int

    def sums(self, image: Image) -> Levels:
        """Sum over the pixels of each line and output."""
        if self.fast == -1:
            return image.reshape(*image.shape[:-1], self.outputs, -1).sum(-1)
        parts = image.reshape(*image.shape[:-2], self.outputs, -1, image.shape[-1]).sum(-2)
        return jnp.swapaxes(parts, -1, -2)

    def spread(self, level: Levels, shape: tuple[int, ...]) -> Image:
        """Levels over the pixels of their line and output, for images of a shape (..., y, x)."""
        pixels = shape[self.fast] // self.outputs
        if self.fast == -1:
            return jnp.repeat(level, pixels, axis=-1)
        return jnp.repeat(jnp.swapaxes(level, -1, -2), pixels, axis=-2)


def part(
    image: Image, template: Image, weight: Image, axes: tuple[int, ...], noise: Float[Array, "y x"] | float = 0.0
) -> Image:
    """What of an image less the template (of variance `noise`) is light, each set of pixels with its own scale."""
    if not axes:
        return jnp.zeros_like(image)
    overlap, power, lost = (
        (weight * x).sum(axes, keepdims=True)
        for x in (template * image, template**2, jnp.broadcast_to(noise, image.shape))
    )
    lost = _counted(lost, power)
    return ratio(overlap + lost, power - lost) * template


def _counted(noise: Float[Array, "..."], power: Float[Array, "..."]) -> Float[Array, "..."]:
    """What of the noise counts: where it is most of the power there is no scale worth the name."""
    return jnp.where(noise < power / 2, noise, 0)


def normal(
    template: Float[Array, "y x"], weight: Float[Array, "y x"], axes: tuple[int, ...], lines: Lines
) -> Float[Array, "level level"]:
    """Return A, levels in the order (line, output)."""
    # A = Z^T w Z less one dyad for each scale, of what its set of pixels has in each level
    free = jnp.diag(lines.sums(weight).ravel())
    if not axes:
        return free
    norm = (weight * template**2).sum(axes, keepdims=True)
    touched = weight * template * ratio(jnp.ones_like(norm), norm) ** 0.5
    if lines.fast == -2:
        touched = touched.T
    number = len(touched)
    touched = touched.reshape(number, lines.outputs, -1)
    if len(axes) == 1 and axes[0] != lines.fast:  # a scale runs across the lines
        dyads = jnp.einsum("low,mow,op->lomp", touched, touched, jnp.eye(lines.outputs))
    else:
        same = jnp.eye(number) if len(axes) == 1 else jnp.ones((number, number))
        dyads = jnp.einsum("lo,mp,lm->lomp", touched.sum(-1), touched.sum(-1), same)
    return free - dyads.reshape(free.shape)


def response(
    normal: Float[Array, "level level"], covariance: Float[Array, "level level"]
) -> Float[Array, "level level"]:
    """Return G = (I + C A)^-1 C; with neither inverted, lines without pixels or drift are no exception."""
    return jnp.linalg.solve(jnp.eye(len(normal)) + covariance @ normal, covariance)


def levels(
    image: Float[Array, "image y x"],
    good: Bool[Array, "image y x"],
    template: Float[Array, "y x"],
    weight: Float[Array, "y x"],
    response: Float[Array, "level level"],
    axes: tuple[int, ...],
    lines: Lines,
    noise: Float[Array, "y x"] | float = 0.0,
) -> Float[Array, "image line output"]:
    """Levels of images, each less the template (of variance `noise`).

    Pixels that are not good take part with the values of the model.
    Only sums over an image are kept of it, in float64: what they leave of each other is small beside them.
    """
    light = weight * template

    def over(x: Image) -> Float[Array, "..."]:
        return x.sum(axes, keepdims=True, dtype=jnp.float64) if axes else jnp.zeros((1, 1))  # no scale is free

    def by_level(x: Image) -> Levels:
        return lines.sums(x.astype(jnp.float64))

    def power_of(weight: Image) -> tuple[Array, Array]:
        power = over(weight * template**2)
        lost = _counted(over(weight * noise), power)
        return power - lost, lost

    def seen(x: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        image, good = x
        weighed = jnp.where(good, weight * image, 0)
        power, lost = power_of(jnp.where(good, weight, 0))
        return over(weighed * template) + lost, by_level(weighed), power

    def filled(x: tuple[Array, ...]) -> tuple[Array, Array]:
        good, overlap, level_sum, scale, level = x
        model = scale.astype(template.dtype) * template + lines.spread(level.astype(template.dtype), weight.shape)
        model = jnp.where(good, 0, weight * model)
        overlap = overlap + over(model * template)
        whole = ratio(overlap, power).astype(template.dtype)
        return overlap, level_sum + by_level(model) - by_level(light * whole)

    def rescaled(x: tuple[Array, ...]) -> Array:
        overlap, level = x
        return ratio(overlap - over(light * lines.spread(level.astype(template.dtype), weight.shape)), power)

    power, _ = power_of(weight)
    overlap, level_sum, known = jax.lax.map(seen, (image, good))
    scale, level = ratio(overlap, known), jnp.zeros_like(level_sum)  # exact where the image is nothing but the template
    for _ in range(ROUNDS):
        both, rest = jax.lax.map(filled, (good, overlap, level_sum, scale, level))
        level = (rest.reshape(len(rest), -1) @ response.T).reshape(rest.shape)
        scale = jax.lax.map(rescaled, (both, level))
    return level.astype(image.dtype)
