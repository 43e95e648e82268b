"""Bad pixels filled from their neighbours: by hand, and beside the official step."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.pixel_replace import PixelReplaceParams, PixelReplaceRefs, pixel_replace
from uptheramp.calibrate.state import Rates, take

BAD = [(4, 6), (7, 7), (7, 8), (3, 12), (2, 1), (0, 9), (8, 14), (9, 14), (5, 5)]  # two side by side, two at an edge
fill = eqx.filter_jit(pixel_replace)


def rates(axis, dtype=np.float32):
    """A bright trace along x (axis 1) or y (2), with pixels that are NaN and DO_NOT_USE, and a NON_SCIENCE one."""
    rng = np.random.default_rng(3)
    cross, along = np.mgrid[:13, :18]
    data = 900 * np.exp(-0.5 * ((cross - 6 - 0.03 * along) / 1.7) ** 2) * (1 + 0.05 * along) + 20
    data = data + rng.normal(size=(2, *data.shape))
    dq = np.zeros(data.shape, np.uint32)
    planes = [data, *(rng.uniform(1, 3, data.shape) for _ in range(3))]
    for y, x in BAD:
        dq[0, y, x] = flags.DO_NOT_USE
        for plane in planes:
            plane[0, y, x] = np.nan
    dq[0, 5, 5] |= flags.NON_SCIENCE
    turn = (lambda a: a) if axis == 1 else (lambda a: np.ascontiguousarray(np.swapaxes(a, -1, -2)))
    data, *variances = (turn(plane).astype(dtype) for plane in planes)
    return Rates(data, *variances, turn(dq), np.arange(2))


def refs(axis):
    return PixelReplaceRefs(Extract1d(np.array([0.5]), np.array([9.5]), np.zeros((0, 2, 1)), axis))


def test_the_pair_that_differs_least_is_averaged():
    image = np.add.outer(np.arange(7.0) ** 2, 10 * np.arange(7.0))[None].astype(np.float32)
    image[0, 3, 3] = np.nan
    ones = np.ones_like(image)
    dq = np.where(np.isnan(image), flags.DO_NOT_USE, 0).astype(np.uint32)
    state = Rates(image, 4 * ones, 9 * ones, 0 * ones, dq, np.arange(1))
    after, _ = fill(state, refs(1), PixelReplaceParams())
    assert after.data[0, 3, 3] == (4 + 16 + 60) / 2  # rows differ by 12, columns by 20
    assert (after.var_poisson[0, 3, 3], after.var_rnoise[0, 3, 3]) == (4, 9)
    assert after.dq[0, 3, 3] == flags.FLUX_ESTIMATED
    joint, _ = fill(state, refs(1), PixelReplaceParams(variance="sum"))
    assert joint.var_poisson[0, 3, 3] == 1.25 * 8  # its neighbours are of the same element
    apart, _ = fill(state, refs(2), PixelReplaceParams(variance="sum"))
    assert apart.var_poisson[0, 3, 3] == 0.25 * 8


def test_the_variance_of_a_sum_over_filled_pixels():
    """The variance told for sums across the dispersion is that of many draws."""
    rng = np.random.default_rng(5)
    told = {}
    for in_the_element in (True, False):
        flat, steep = np.mgrid[:7, :7] if in_the_element else np.mgrid[:7, :7][::-1]
        data = (1e2 * flat + 1e3 * steep + rng.normal(0, 2, (8000, 7, 7))).astype(np.float32)
        data[:, 3, 3] = np.nan
        four = np.full_like(data, 4)
        dq = np.where(np.isnan(data), flags.DO_NOT_USE, 0).astype(np.uint32)
        after, _ = fill(
            Rates(data, four, 0 * four, 0 * four, dq, np.arange(8000)), refs(1), PixelReplaceParams(variance="sum")
        )
        told[in_the_element] = np.asarray(after.var_poisson)[0, :, 3].sum()
        assert np.asarray(after.data)[:, :, 3].sum(1).var() == pytest.approx(told[in_the_element], rel=0.08)
    assert (told[True], told[False]) == (24 + 10, 24 + 2)


def official(state, axis, algorithm):
    module = pytest.importorskip("jwst.pixel_replace.pixel_replace")
    maker = module.PixelReplacement(None, algorithm)
    planes = {n: np.array(getattr(state, n)[0]) for n in ("data", "dq", "var_poisson", "var_rnoise", "var_flat")}
    err = np.sqrt(planes["var_poisson"] + planes["var_rnoise"] + planes["var_flat"])
    return maker.algorithm(module.PixelReplaceArrays(**planes, err=err, trace_model=None, dispersion_direction=axis))


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("algorithm", "axis", "rtol"), [("mingrad", 1, 1e-6), ("fit_profile", 2, 3e-4)])
def test_the_official_step(axis, algorithm, rtol):
    """fit_profile: the official scale comes from a simplex search that stops at 1e-4."""
    state = rates(axis)
    theirs = official(state, axis, algorithm)
    ours, _ = fill(state, refs(axis), PixelReplaceParams(algorithm=algorithm))
    np.testing.assert_array_equal(np.asarray(ours.dq)[0], theirs.dq)
    same = (theirs.dq & flags.DO_NOT_USE) == 0
    assert ((theirs.dq & flags.FLUX_ESTIMATED) != 0).sum() >= 4
    for name in ("data", "var_poisson", "var_rnoise", "var_flat"):
        np.testing.assert_allclose(np.asarray(getattr(ours, name))[0][same], getattr(theirs, name)[same], rtol=2 * rtol)


@pytest.mark.parametrize(("algorithm", "axis"), [("mingrad", 1), ("fit_profile", 2)])
def test_what_a_step_promises(same, axis, algorithm):
    """Pure, jit = eager, structure and dtype kept, chunks = whole, good pixels untouched, right gradients."""
    state, params = rates(axis), PixelReplaceParams(algorithm=algorithm)
    eager, _ = pixel_replace(state, refs(axis), params)
    same(fill(state, refs(axis), params)[0], eager, rtol=2e-6)
    assert jax.tree.structure(eager) == jax.tree.structure(state)
    part = take(state, slice(0, 1))
    same(np.asarray(fill(part, refs(axis), params)[0].data), np.asarray(eager.data[:1]), rtol=1e-6)
    good = state.dq == 0
    np.testing.assert_array_equal(np.asarray(eager.data)[good], state.data[good])

    exact = rates(axis, np.float64)
    moved = np.where(np.isfinite(exact.data), np.random.default_rng(1).normal(size=exact.data.shape), 0)

    def total(t):
        after, _ = pixel_replace(replace(exact, data=exact.data + t * moved), refs(axis), params)
        usable = (after.dq & flags.DO_NOT_USE) == 0
        return sum(jnp.sum(jnp.where(usable, p, 0) ** 2) for p in (after.data, after.var_flat))

    slope = jax.jit(jax.grad(total))(0.0)
    assert float(slope) == pytest.approx(float(total(1e-6) - total(-1e-6)) / 2e-6, rel=1e-5)


def test_unknown_ways_are_refused():
    with pytest.raises(InputError, match="algorithm"):
        PixelReplaceParams(algorithm="nearest")
    with pytest.raises(InputError, match="variance"):
        PixelReplaceParams(variance="none")
