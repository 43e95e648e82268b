"""Derivatives of a convolution by the image and by the kernel are finite differences, edges included."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from uptheramp.calibrate.kernels.convolve import convolve


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 3, 6, 7)], ids=["square", "oblong", "of each pixel"])
def test_derivatives_equal_finite_differences(shape):
    rng = np.random.default_rng(4)
    image, kernel = jnp.asarray(rng.normal(size=(2, 6, 7))), jnp.asarray(rng.normal(size=shape))
    check_grads(convolve, (image, kernel), order=1, modes=["rev"], rtol=1e-6, atol=1e-6)
