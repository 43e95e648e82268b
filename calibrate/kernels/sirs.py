"""Drift of lines from side reference pixels by optimal convolution kernels (SIRS), in the order of the detector.

A kernel for each output and side, from its Fourier coefficients; reference pixels that stand out count for nothing and
their neighbours for as much more. Source: Rauscher (2022) PASP 134 015006; jwst 3.0.0 refpix (algorithm sirs).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

DEVIATIONS = 1.48  # standard deviations in a median absolute deviation


def kernels(
    coefficients: Complex[Array, "output frequency"], half_width: int, smoothing: float | Array
) -> Float[Array, "output lag"]:
    """Lags -half_width ... half_width (lines) of real kernels, smoothed by a Gaussian of `smoothing` lines (sigma)."""
    zero = coefficients.shape[-1] - 1
    lag = jnp.arange(-half_width, half_width + 1)
    kernel = jnp.fft.fftshift(jnp.fft.irfft(coefficients), axes=-1)[:, zero + lag]
    window = jnp.exp(-(lag**2) / (2 * smoothing**2))
    return jax.vmap(lambda k: jnp.convolve(k, window / window.sum(), mode="same"))(kernel)


def drift(
    sides: tuple[Float[Array, "line pixel"], Float[Array, "line pixel"]],
    kernels: tuple[Float[Array, "output lag"], Float[Array, "output lag"]],
    threshold: float | Array,
) -> Float[Array, "line output"]:
    """Level of each line and output from the sides of a frame; pixels beyond `threshold` deviations do not count."""
    left, right = (_from_side(side, kernel, threshold) for side, kernel in zip(sides, kernels, strict=True))
    return left + right


def _from_side(
    side: Float[Array, "line pixel"], kernels: Float[Array, "output lag"], threshold: float | Array
) -> Float[Array, "line output"]:
    wide = side.astype(jnp.float64)
    away = jnp.abs(wide - jnp.median(wide))
    good = away <= threshold * DEVIATIONS * jnp.median(away)
    mean, share = jnp.where(good, wide, 0).mean(-1), good.mean(-1)

    def of_output(kernel: Float[Array, "lag"]) -> Float[Array, "line"]:
        level, all_of_it, part = (jnp.convolve(x, kernel, mode="same") for x in (mean, jnp.ones_like(share), share))
        return level * (all_of_it / part)

    return jax.vmap(of_output, out_axes=-1)(kernels)
