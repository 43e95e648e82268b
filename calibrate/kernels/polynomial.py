"""Per-pixel polynomials."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels import planes


def horner(coeffs: Float[Array, "n y x"], x: Float[Array, "... y x"]) -> Float[Array, "... y x"]:
    """sum_n coeffs[n] x^n, whose derivative by the coefficients of images goes over the planes of x once."""
    return _of_images(coeffs, x) if x.ndim > 2 and coeffs.shape[1:] == x.shape[-2:] else _value(coeffs, x)


def _value(coeffs: Float[Array, "n ..."], x: Float[Array, "..."]) -> Float[Array, "..."]:
    value = coeffs[-1]
    for c in coeffs[-2::-1]:
        value = value * x + c
    return value


@jax.custom_vjp
def _of_images(coeffs: Float[Array, "n y x"], x: Float[Array, "... y x"]) -> Float[Array, "... y x"]:
    return _value(coeffs, x)


def _forward(coeffs: Any, x: Any) -> tuple[Array, tuple[Array, Array]]:
    return _value(coeffs, x), (jnp.asarray(coeffs), jnp.asarray(x))


def _backward(kept: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    coeffs, x = kept

    def add(totals: list[Array], x: Array, g: Array) -> list[Array]:
        powers = [g]
        for _ in range(len(coeffs) - 1):
            powers.append(powers[-1] * x)
        return [total + power for total, power in zip(totals, powers, strict=True)]

    flat = (each.reshape(-1, *x.shape[-2:]) for each in (x, g))
    degree = jnp.arange(1, len(coeffs), dtype=coeffs.dtype)[:, None, None]
    slope = _value(degree * coeffs[1:], x) if len(coeffs) > 1 else jnp.zeros_like(x)
    by_coeffs = planes.fold(add, list(jnp.zeros_like(coeffs, dtype=g.dtype)), *flat)
    return jnp.stack(by_coeffs).astype(coeffs.dtype), (g * slope).astype(x.dtype)


_of_images.defvjp(_forward, _backward)
