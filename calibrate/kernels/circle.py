"""How much of each pixel lies in a circle: exact areas, differentiable with respect to the centre and the radius."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def overlap(
    shape: tuple[int, ...], x: Float[Array, "*batch"], y: Float[Array, "*batch"], radius: Float[Array, ""]
) -> Float[Array, "*batch y x"]:
    """Fraction of each pixel inside the circle around (x, y); pixel j covers j - 0.5 .. j + 0.5. Float64.

    The area in a pixel is `A(right, top) - A(left, top) - A(right, bottom) + A(left, bottom)`, A that between the axes
    through the centre and a corner.
    """
    height, width = shape[-2:]
    centre_x, centre_y = (jnp.asarray(c, float)[..., None] for c in (x, y))
    right = (jnp.arange(width + 1) - 0.5 - centre_x)[..., None, :]
    top = (jnp.arange(height + 1) - 0.5 - centre_y)[..., :, None]
    corner = _corner(*jnp.broadcast_arrays(right, top, jnp.asarray(radius, float)))
    columns = corner[..., 1:] - corner[..., :-1]
    return columns[..., 1:, :] - columns[..., :-1, :]


@jax.custom_jvp
def _corner(a: Array, b: Array, radius: Array) -> Array:
    """Area of the disc around 0 between the axes and the corner (a, b), odd in both: `int int sign(a) sign(b)`.

    Up to `m = min(|a|, sqrt(r^2 - b^2))` the disc is higher than the corner: `|b| m + H(|a|) - H(m)`, with
    `H(u) = (u sqrt(r^2 - u^2) + r^2 asin(u / r)) / 2` the area under a quarter of the circle.
    """
    side, height = jnp.minimum(jnp.abs(a), radius), jnp.minimum(jnp.abs(b), radius)
    middle = jnp.minimum(side, _chord(height, radius))
    area = height * middle + _under(side, radius) - _under(middle, radius)
    return jnp.sign(a) * jnp.sign(b) * area


@_corner.defjvp
def _corner_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    """Differentiate: the edges of the area are as long as the disc is there, and its arc moves outwards with r."""
    a, b, radius = primals
    side, height = jnp.minimum(jnp.abs(a), radius), jnp.minimum(jnp.abs(b), radius)
    middle = jnp.minimum(side, _chord(height, radius))
    to_a = jnp.sign(b) * jnp.minimum(jnp.abs(b), _chord(side, radius))
    to_b = jnp.sign(a) * jnp.minimum(jnp.abs(a), _chord(height, radius))
    arc = jnp.sign(a) * jnp.sign(b) * radius * (_angle(side, radius) - _angle(middle, radius))
    return _corner(a, b, radius), to_a * tangents[0] + to_b * tangents[1] + arc * tangents[2]


def _chord(u: Array, radius: Array) -> Array:
    """Half a chord at distance u <= r from the centre."""
    return jnp.sqrt((radius - u) * (radius + u))


def _angle(u: Array, radius: Array) -> Array:
    return jnp.arcsin(jnp.clip(u / radius, 0, 1))


def _under(u: Array, radius: Array) -> Array:
    """Area under the circle from its middle to u."""
    return 0.5 * (u * _chord(u, radius) + radius**2 * _angle(u, radius))
