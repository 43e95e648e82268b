"""Symmetric positive matrices of a few rows, by the thousand under vmap: Cholesky factor and inverse in array maths.

LAPACK's batched kernels share the pool of threads with the program that calls them: two that run at once on a machine
of two cores wait for each other for ever (jaxlib 0.10). These do not.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def cholesky(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Lower factor L with L L^T = matrix, column by column; NaN where the matrix is not positive."""
    row = jnp.arange(matrix.shape[0])

    def column(factor: Array, j: Array) -> tuple[Array, None]:
        left = matrix[:, j] - factor @ factor[j]  # columns from j on are still zero
        return factor.at[:, j].set(jnp.where(row >= j, left / jnp.sqrt(left[j]), 0)), None

    matrix = jnp.asarray(matrix)
    return jax.lax.scan(column, jnp.zeros_like(matrix), row)[0]


def inverse_of_factor(factor: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """L^-1 by forward substitution, row by row."""
    row = jnp.arange(factor.shape[0])

    def solve(found: Array, j: Array) -> tuple[Array, None]:
        return found.at[j].set(((row == j) - factor[j] @ found) / factor[j, j]), None  # rows from j on are still zero

    return jax.lax.scan(solve, jnp.zeros_like(factor), row)[0]


def inverse(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Return the inverse of a positive matrix, L^-T L^-1; NaN where it is not positive."""
    half = inverse_of_factor(cholesky(matrix))
    return half.T @ half


@partial(jnp.vectorize, signature="(n,n)->(n,n)")
def whitening(matrix: Float[Array, "... n n"]) -> Float[Array, "... n n"]:
    """Return the inverse Cholesky factor of each matrix: what makes noise of that covariance white."""
    return inverse_of_factor(cholesky(matrix))
