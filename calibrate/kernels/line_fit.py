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

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from uptheramp.calibrate.kernels import planes
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

    def totals(self, terms: Callable[..., tuple[Array, ...]], *images: Shaped[Array, "y x"]) -> tuple[Levels, ...]:
        """`sums` in float64 of each image that `terms` makes of the given ones, which are gone through once."""
        if self.fast == -1:
            return tuple(self.sums(x.astype(jnp.float64)) for x in terms(*images))

        def add(found: tuple[Array, ...], *row: Array) -> tuple[Array, ...]:
            return tuple(s + x for s, x in zip(found, terms(*row), strict=True))

        rows = [jnp.moveaxis(x.reshape(self.outputs, -1, x.shape[-1]), 1, 0) for x in images]
        number = len(jax.eval_shape(terms, *(x[0] for x in rows)))
        start = (jnp.zeros(rows[0].shape[1:], jnp.float64),) * number
        return tuple(jnp.swapaxes(x, -1, -2) for x in planes.fold(add, start, *rows))

    def cells(self, image: Float[Array, "y x"]) -> Float[Array, "line output pixel"]:
        """The image line by line."""
        lines = image if self.fast == -1 else image.T
        return lines.reshape(len(lines), self.outputs, -1)

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


class Seen(NamedTuple):
    """Sums over the good pixels of images less the template T, in float64.

    By level of w image, w and w T (`light`; its pixels where scales run across lines), by scale of w T image, w T^2
    and w v. Scales are of lines, or of the pixels (output, pixel) that all lines have.
    """

    level_sum: Levels
    weight: Levels
    light: Array
    overlap: Array
    power: Array
    lost: Array


class Scene(NamedTuple):
    """What images are compared with: the template, its variance `noise`, weights, and how scales and levels lie."""

    template: Float[Array, "y x"]
    weight: Float[Array, "y x"]
    noise: Float[Array, "y x"]
    axes: tuple[int, ...]
    lines: Lines

    @property
    def across(self) -> bool:
        """Whether each scale extends over many lines and each line over many scales."""
        return len(self.axes) == 1 and self.axes[0] != self.lines.fast

    def seen(self, image: Float[Array, "y x"], good: Bool[Array, "y x"]) -> Seen:
        """Sums over one image, all that is kept of it: what they leave of each other is small beside them."""

        def by_level(image: Array, good: Array, template: Array, weight: Array, _: Array) -> tuple[Array, ...]:
            used = jnp.where(good, weight, 0)
            return jnp.where(good, weight * image, 0), used, used * template

        def by_scale(image: Array, good: Array, template: Array, weight: Array, noise: Array) -> tuple[Array, ...]:
            weighed, used, light = by_level(image, good, template, weight, noise)
            return weighed * template, light * template, used * noise

        given = image, good, self.template, self.weight, self.noise
        if self.across:
            level_sum, used, _ = self.lines.totals(by_level, *given)
            of_scale = (x.reshape(self.lines.outputs, -1) for x in Lines(self.axes[0], 1).totals(by_scale, *given))
            return Seen(level_sum, used, self.lines.cells(by_level(*given)[2]), *of_scale)
        found = self.lines.totals(lambda *x: (*by_level(*x), *by_scale(*x)), *given)
        return Seen(*found[:3], *map(self._joined, found[3:]))

    def _joined(self, of_level: Levels) -> Levels:
        """Sums by scale from sums by level, where all pixels of a level share a scale; 0 where no scale is free."""
        if not self.axes:
            return jnp.zeros_like(of_level, shape=(*of_level.shape[:-2], 1, 1))
        return of_level.sum((-2, -1) if len(self.axes) == 2 else -1, keepdims=True)

    def by_scale(self, light: Array, level: Levels) -> Array:
        """Sums of light times level over the pixels of each scale."""
        return jnp.einsum("lop,ilo->iop", light, level) if self.across else self._joined(light * level)

    def by_level(self, light: Array, scale: Array) -> Levels:
        """Sums of light times scale over the pixels of each level."""
        return jnp.einsum("lop,iop->ilo", light, scale) if self.across else light * scale

    def by_both(self, light: Array, level: Levels, scale: Array) -> tuple[Array, Levels]:
        """`by_scale` and `by_level`, each image with a light of its own."""
        if not self.across:
            return self.by_scale(light, level), self.by_level(light, scale)

        def one(x: tuple[Array, Levels, Array]) -> tuple[Array, Levels]:
            def add(total: Array, line: tuple[Array, Array]) -> tuple[Array, Array]:
                light, level = line
                return total + light * level[:, None], (light * x[2]).sum(-1)

            return jax.lax.scan(add, jnp.zeros_like(x[2]), x[:2])

        return jax.lax.map(one, (light, level, scale))


def solved(scene: Scene, seen: Seen, response: Float[Array, "level level"]) -> Float[Array, "image line output"]:
    """Levels of the images of which `seen` holds the sums.

    Pixels that are not good take part with the values of the model.
    """
    whole = scene.seen(jnp.zeros_like(scene.template), jnp.ones(scene.template.shape, bool))
    gone = jax.tree.map(jnp.subtract, whole, seen)
    light = whole.light.astype(jnp.float64)
    lost = _counted(seen.lost, seen.power)
    overlap, power = seen.overlap + lost, whole.power - _counted(whole.lost, whole.power)
    # exact where an image is nothing but the template
    scale, level = ratio(overlap, seen.power - lost), jnp.zeros_like(seen.level_sum)
    for _ in range(ROUNDS):
        in_scale, in_level = scene.by_both(gone.light, level, scale)
        filled = overlap + gone.power * scale + in_scale
        rest = seen.level_sum + gone.weight * level + in_level - scene.by_level(light, ratio(filled, power))
        flat = rest.reshape(len(rest), -1).astype(response.dtype)
        level = jnp.matmul(flat, response.T, precision="highest").reshape(rest.shape).astype(jnp.float64)
        scale = ratio(filled - scene.by_scale(light, level), power)
    return level


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
    """Levels of images, each less the template (of variance `noise`)."""
    scene = Scene(template, weight, jnp.broadcast_to(noise, template.shape), axes, lines)
    seen = jax.lax.map(lambda x: scene.seen(*x), (image, good))
    return solved(scene, seen, response).astype(image.dtype)
