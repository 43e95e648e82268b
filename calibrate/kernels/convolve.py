"""Small-kernel convolution of images, zero outside."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def convolve(image: Float[Array, "... y x"], kernel: Float[Array, "ky kx ..."]) -> Float[Array, "... y x"]:
    """Convolve with an odd-sized kernel: out[y, x] = sum_ji kernel[j, i] image[y - (j - cy), x - (i - cx)].

    A four-dimensional kernel `[ky, kx, y, x]` gives each output pixel its own. The central term, the largest, is added
    last, which keeps float32 rounding smallest. The derivative of an image by a kernel that all pixels share is the
    convolution with the kernel turned about.
    """
    return _shared(image, kernel) if kernel.ndim == 2 else _convolved(image, kernel)


def _convolved(image: Float[Array, "... y x"], kernel: Float[Array, "ky kx ..."]) -> Float[Array, "... y x"]:
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


@jax.custom_vjp
def _shared(image: Float[Array, "... y x"], kernel: Float[Array, "ky kx"]) -> Float[Array, "... y x"]:
    return _convolved(image, kernel)


def _forward(image: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _convolved(image, kernel), (image, kernel)


def _backward(kept: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    image, kernel = kept
    (by_kernel,) = jax.vjp(lambda kernel: _convolved(image, kernel), kernel)[1](g)
    return _convolved(g, kernel[::-1, ::-1]), by_kernel


_shared.defvjp(_forward, _backward)
