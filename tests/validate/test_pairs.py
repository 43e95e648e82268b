"""Antithetic pairs in the verdicts."""

from dataclasses import replace

import numpy as np

from uptheramp.validate.ensemble import Ensemble
from uptheramp.validate.recovery import judge


def test_pairs_decide_the_equivalence_of_an_unbiased_pipeline_that_seeds_alone_cannot():
    rng = np.random.default_rng(8)
    seeds, bins, sigma = 20, 30, 3e-4
    noise = sigma * rng.standard_normal((seeds, bins))
    odd = noise + 0.02 * sigma * rng.standard_normal((seeds, bins))
    truth = np.full(bins, 0.02)
    covariance = np.broadcast_to(np.eye(bins) * sigma**2, (seeds, bins, bins))
    x = Ensemble(
        mode="m", wavelength_um=np.linspace(1, 2, bins), depth=truth + noise, covariance=covariance, truth=truth
    )
    alone = {r.name: r for r in judge(x).records}
    paired = {r.name: r for r in judge(replace(x, partner=truth - odd)).records}
    assert alone["slope_bias_equivalence"].verdict == "not decided"
    assert paired["slope_bias_equivalence"].verdict == "pass"
    planted = {r.name: r for r in judge(replace(x, depth=x.depth + 40e-6, partner=truth - odd + 40e-6)).records}
    assert planted["mean_bias_equivalence"].verdict == "fail"
