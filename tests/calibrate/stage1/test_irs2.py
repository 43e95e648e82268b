"""Derivatives of the correction of IRS2 frames."""

from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pytest

import irs2_frames
from uptheramp.calibrate.references.refpix import Refpix
from uptheramp.calibrate.stage1.irs2 import BadReferences, correct


def test_derivatives_are_those_of_a_linear_map():
    """A step dx changes the result by J dx; J^T of that, along dx, has to be its square. By samples and by factors."""
    rng = np.random.default_rng(1)
    frames = irs2_frames.raw_frames("NRS1", 1, 2)
    state = irs2_frames.state_of(frames, np.zeros(frames.shape[-2:], np.uint32), "NRS1")
    reference = Refpix.of_tables(irs2_frames.factors(), [])
    none_bad = BadReferences(np.zeros(3200, bool))
    still = [np.asarray(x) for x in (state.data, state.interleaved, reference.beta)]
    noise = [
        rng.standard_normal(x.shape, np.float32) * np.float32(scale)
        for x, scale in zip(still, (2, 2, 0.01), strict=True)
    ]
    # a group at the mean of its ramp is taken for unknown: no step may lead away from there
    apart = [np.broadcast_to(x[:, :1] != x[:, 1:], x.shape) for x in still[:2]]

    @eqx.filter_jit
    def cleaned(data, extra, beta):
        moved = replace(state, data=data, interleaved=extra)
        return correct(moved, Refpix(reference.alpha, beta, reference.bad), none_bad)

    back = eqx.filter_jit(lambda weight, *x: jax.vjp(cleaned, *x)[1](weight))
    before = cleaned(*still)
    samples = [still[0] + noise[0] * apart[0], still[1] + noise[1] * apart[1], still[2]]
    factors = [*still[:2], still[2] + noise[2]]
    for moved in (samples, factors):
        change = np.asarray(cleaned(*moved) - before)
        step = [np.asarray(a, float) - b for a, b in zip(moved, still, strict=True)]
        found = sum((np.asarray(g, float) * d).sum() for g, d in zip(back(change, *still), step, strict=True))
        assert found == pytest.approx((change.astype(float) ** 2).sum(), rel=2e-3)
