"""Per-pixel polynomials."""

from jaxtyping import Array, Float


def horner(coeffs: Float[Array, "n y x"], x: Float[Array, "... y x"]) -> Float[Array, "... y x"]:
    """sum_n coeffs[n] x^n."""
    value = coeffs[-1]
    for c in coeffs[-2::-1]:
        value = value * x + c
    return value
