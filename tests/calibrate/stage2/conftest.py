from dataclasses import replace

import jax
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.references.nirspec_flat import NirspecFlat
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.calibrate.state import Rates


class Made:
    """Small noisy spectra along x (axis 1) or y (axis 2): a Gaussian trace on a sloping background."""

    def __init__(self, axis, dtype=np.float32, integrations=6):
        rng = np.random.default_rng(7)
        cross, along = np.mgrid[:16, :10]
        trace = 200 * np.exp(-0.5 * ((cross - 7.6 - 0.05 * along) / 1.2) ** 2) * (1 + 0.1 * along)
        clean = trace + 5 + 0.1 * cross
        noise = rng.normal(size=(integrations, *clean.shape))
        wavelength = np.broadcast_to(1 + 0.2 * along, clean.shape)
        turn = (lambda a: a) if axis == 1 else (lambda a: np.ascontiguousarray(np.swapaxes(a, -1, -2)))
        self.axis, self.dtype = axis, dtype
        self.clean = turn(clean).astype(dtype)
        data = turn(clean + noise).astype(dtype)
        ones = np.ones_like(data)
        self.state = Rates(
            data, 0.6 * ones, 0.4 * ones, 0 * ones, np.zeros(data.shape, np.uint32), np.arange(integrations)
        )
        windows = np.array([[[-0.5, 0.0], [2.5, 0.0]], [[12.25, 0.0], [15.5, 0.0]]])
        self.library = {
            "flat": Flat(
                rng.uniform(0.9, 1.1, self.clean.shape).astype(dtype),
                np.full(self.clean.shape, 0.01, dtype),
                np.zeros(self.clean.shape, np.uint32),
            ),
            "dflat": NirspecFlat.plain(
                rng.uniform(0.9, 1.1, (1, *self.clean.shape)).astype(dtype),
                np.full((1, *self.clean.shape), 0.01, dtype),
                np.zeros((1, *self.clean.shape), np.uint32),
                "DFLAT",
            ),
            "wavemap": Wavemap(turn(wavelength).astype(dtype)),
            "photom": Photom(np.asarray(2.0, dtype), np.array([0.5, 2, 4], dtype), np.array([1, 2, 1.5], dtype)),
            "extract1d": Extract1d(np.array([4.2, 0.05]), np.array([10.9, 0.05]), windows, axis, 1),
        }

    def flagged(self, *where):
        """The state with pixels (integration, cross, along) that are NaN and DO_NOT_USE."""
        data, dq = self.state.data.copy(), self.state.dq.copy()
        variances = [v.copy() for v in (self.state.var_poisson, self.state.var_rnoise)]
        for integration, cross, along in where:
            at = (integration, cross, along) if self.axis == 1 else (integration, along, cross)
            dq[at] = flags.DO_NOT_USE
            for plane in (data, *variances):
                plane[at] = np.nan
        return replace(self.state, data=data, dq=dq, var_poisson=variances[0], var_rnoise=variances[1])


@pytest.fixture(params=[1, 2], ids=["along x", "along y"])
def made(request):
    return Made(request.param)


@pytest.fixture(params=[1, 2], ids=["along x", "along y"])
def made64(request):
    return Made(request.param, np.float64)


@pytest.fixture
def same():
    """Compare two trees leaf by leaf: structure, shape, dtype and value (relative to the largest of a leaf)."""

    def compare(left, right, rtol=0.0):
        assert jax.tree.structure(left) == jax.tree.structure(right)
        for a, b in zip(map(np.asarray, jax.tree.leaves(left)), map(np.asarray, jax.tree.leaves(right)), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            scale = np.nanmax(np.abs(b), initial=0) if rtol else 0
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)

    return compare
