from dataclasses import replace

import numpy as np
import pytest

from uptheramp.calibrate.fit.sampler import sample_white
from uptheramp.calibrate.fit.system import Priors
from uptheramp.calibrate.fit.white import fit_white

T0 = 59787.0567


def test_samples_agree_with_least_squares(system, curves_of):
    """Medians within 0.3 of a standard error of the optimum, widths within 15 %, scale of the errors found."""
    plain = replace(system, priors=Priors())
    time = T0 + np.linspace(-0.1, 0.1, 80)
    u = plain.limb_darkening.at(np.ones(1))
    noise = 5e-4 * np.random.default_rng(2).standard_normal((1, 80))
    data = curves_of(plain, [0.0213], u, noise, t0=T0, time=time)
    white = fit_white(data, plain)
    samples = sample_white(data, plain, white, steps=1200, seed=1)
    assert samples.names == ("depth", "t0_offset_d", "baseline_0", "baseline_1", "error_scale")
    sigma = np.sqrt(np.diag(np.asarray(white.curve.covariance)))
    best = np.asarray(white.curve.parameters)[list(white.free)]
    assert samples.effective > 100
    assert np.all(np.abs(np.median(samples.draws[:, :-1], axis=0) - best) < 0.3 * sigma)
    assert np.std(samples.draws[:, :-1], axis=0) == pytest.approx(sigma, rel=0.15)
    assert np.median(samples.draws[:, -1]) == pytest.approx(float(white.curve.error_scale), rel=0.05)
    again = sample_white(data, plain, white, steps=60, seed=1)
    np.testing.assert_array_equal(again.draws, sample_white(data, plain, white, steps=60, seed=1).draws)
