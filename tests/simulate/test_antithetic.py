"""Pairs of exposures whose normal deviates have opposite signs."""

from dataclasses import replace

import numpy as np

from uptheramp.simulate.ramps import render


def test_halves_of_a_pair_are_equally_noisy_and_cancel(small):
    effects = ("flat", "dark", "poisson", "superbias", "ktc", "read_noise", "one_over_f", "adc")
    one = small(effects=effects)
    other = replace(one, antithetic=True)
    constants = render.build(one)
    mean = np.asarray(render.mean_chunk(one, constants, 0, 6)[0])
    a = render.draw_chunk(one, constants, 0, 6)[0] - mean
    b = render.draw_chunk(other, render.build(other), 0, 6)[0] - mean
    # 295 000 samples, correlated along a ramp by ktc and Poisson noise: the standard deviation is known to about 1 %
    np.testing.assert_allclose(a.std(), b.std(), rtol=0.03)
    # what is left is rounding and the skewness of the Poisson distribution
    assert ((a + b) / 2).std() < 0.1 * a.std()
