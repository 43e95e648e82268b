"""Levels of the lines of the read-out under a scene of unknown brightness: generalised least squares on one image.

    image = scale T + Z b + noise,  noise of variance 1 / w;   b ~ N(0, C)

T is the scene's template, Z spreads the level of a line (and output) over its pixels, and there is one free scale for
each set of pixels that `axes` sum over: (-1,) a scale for each line, (-2,) for each position along the lines, (-2, -1)
one for the image, () none. The scales are eliminated by projection, P r = r - T (sum w T r / sum w T^2):

    b = G Z^T w P image,   G = (A + C^-1)^-1,   A = Z^T w P Z.

P takes out T under whatever scales, so a level never holds any of a scene that only its brightness changes, whatever G.
Images are in the order of the read-out, (line, fast); outputs stand side by side. Source: Rao & Toutenburg (1995),
Linear Models, sections 3.7 and 4.2; the expectation step for missing pixels: Dempster, Laird & Rubin (1977).
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels.aperture import ratio

Image = Float[Array, "*any line fast"]
Levels = Float[Array, "*any line output"]
ROUNDS = 4  # in which missing pixels take the values that the fit gives them


def part(image: Image, template: Image, weight: Image, axes: tuple[int, ...]) -> Image:
    """What of an image is the template, each set of pixels with its own scale."""
    if not axes:
        return jnp.zeros_like(image)
    overlap = (weight * template * image).sum(axes, keepdims=True)
    return ratio(overlap, (weight * template**2).sum(axes, keepdims=True)) * template


def sums(image: Image, outputs: int) -> Levels:
    """Sum over the pixels of each line and output."""
    return image.reshape(*image.shape[:-1], outputs, -1).sum(-1)


def spread(level: Levels, fast: int) -> Image:
    """Levels over the pixels of their line and output."""
    return jnp.repeat(level, fast // level.shape[-1], axis=-1)


def normal(
    template: Float[Array, "line fast"], weight: Float[Array, "line fast"], axes: tuple[int, ...], outputs: int
) -> Float[Array, "level level"]:
    """Return A, levels in the order (line, output)."""
    # A = Z^T w Z less one dyad for each scale, of what its set of pixels has in each level
    lines = len(template)
    free = jnp.diag(sums(weight, outputs).ravel())
    if not axes:
        return free
    norm = (weight * template**2).sum(axes, keepdims=True)
    touched = (weight * template * ratio(jnp.ones_like(norm), norm) ** 0.5).reshape(lines, outputs, -1)
    if axes == (-2,):
        dyads = jnp.einsum("low,mow,op->lomp", touched, touched, jnp.eye(outputs))
    else:
        same = jnp.eye(lines) if axes == (-1,) else jnp.ones((lines, lines))
        dyads = jnp.einsum("lo,mp,lm->lomp", touched.sum(-1), touched.sum(-1), same)
    return free - dyads.reshape(free.shape)


def response(
    normal: Float[Array, "level level"], covariance: Float[Array, "level level"]
) -> Float[Array, "level level"]:
    """Return G = (I + C A)^-1 C; with neither inverted, lines without pixels or drift are no exception."""
    return jnp.linalg.solve(jnp.eye(len(normal)) + covariance @ normal, covariance)


def levels(
    image: Float[Array, "line fast"],
    good: Bool[Array, "line fast"],
    template: Float[Array, "line fast"],
    weight: Float[Array, "line fast"],
    response: Float[Array, "level level"],
    axes: tuple[int, ...],
    outputs: int,
) -> Float[Array, "line output"]:
    """Levels of one image; pixels that are not good take part with the values of the model."""
    lines, fast = image.shape
    image = jnp.where(good, image, 0)
    model = part(image, template, weight * good, axes)  # exact where the image is nothing but the template
    level = jnp.zeros((lines, outputs), image.dtype)
    for _ in range(ROUNDS):
        filled = jnp.where(good, image, model)
        scene = part(filled, template, weight, axes)
        # in float64: what is summed over the fast axis is small beside its terms
        seen = sums((weight * (filled - scene)).astype(jnp.float64), outputs)
        level = (response @ seen.ravel()).reshape(lines, outputs).astype(image.dtype)
        model = part(filled - spread(level, fast), template, weight, axes) + spread(level, fast)
    return level
