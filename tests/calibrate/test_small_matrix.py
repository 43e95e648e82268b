import jax
import numpy as np

from uptheramp.calibrate.kernels import small_matrix


def test_factor_and_inverse_are_those_of_numpy():
    half = np.random.default_rng(0).standard_normal((50, 9, 12))
    matrix = half @ half.swapaxes(1, 2)
    factor = jax.jit(jax.vmap(small_matrix.cholesky))(matrix)
    np.testing.assert_allclose(factor, np.linalg.cholesky(matrix), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(small_matrix.inverse))(matrix), np.linalg.inv(matrix), rtol=1e-7, atol=1e-9
    )
    assert np.isnan(np.asarray(small_matrix.inverse(np.diag([1.0, -1.0])))).any()
