"""Small-kernel convolution of images, zero outside."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def convolve(image: Float[Array, "... y x"], kernel: Float[Array, "ky kx ..."]) -> Float[Array, "... y x"]:
    """Convolve with an odd-sized kernel: out[y, x] = sum_ji kernel[j, i] image[y - (j - cy), x - (i - cx)].

    A four-dimensional kernel `[ky, kx, y, x]` gives each output pixel its own. The central term, the largest, is added
    last, which keeps float32 rounding smallest.
    """
    height, width = kernel.shape[:2]
    cy, cx = height // 2, width // 2
    padded = jnp.pad(image, [(0, 0)] * (image.ndim - 2) + [(cy, cy), (cx, cx)])
    ny, nx = image.shape[-2:]
    order = sorted(((j, i) for j in range(height) for i in range(width)), key=lambda ji: ji == (cy, cx))
    total = jnp.zeros_like(image)
    for j, i in order:
        y, x = height - 1 - j, width - 1 - i
        total = total + kernel[j, i] * padded[..., y : y + ny, x : x + nx]
    return total
