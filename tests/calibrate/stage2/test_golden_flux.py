"""What the official functions made of small inputs (tests/golden/make_stage2_flux.py), without them at hand."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.references import fading
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.nirspec_flat import NirspecFlat
from uptheramp.calibrate.references.photom_soss import PhotomSoss
from uptheramp.calibrate.stage2 import photom_soss
from uptheramp.calibrate.stage2.nirspec_flat import combined, component
from uptheramp.calibrate.stage2.photom import PhotomParams
from uptheramp.calibrate.stage2.pixel_replace import PixelReplaceParams, PixelReplaceRefs, pixel_replace
from uptheramp.calibrate.state import Rates, Spectra, single_order

GOLDEN = Path(__file__).parents[2] / "golden" / "stage2_flux.npz"
LAWS = {
    fading.linear: {"t0": 59700.0, "lossperyear": 0.1},
    fading.exponential: {"t0": 59800.0, "amplitude": 0.2, "tau": 100.0, "const": 0.8},
    fading.powerlaw: {"t0": 59635.0, "year1value": 0.9, "tsoft": 1.0, "alpha": -0.05},
}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def test_fading(golden):
    for mjd, expected in zip((59810.5, 60211.0, 61500.25), golden["fading"], strict=True):
        assert np.prod([law(mjd - c["t0"], c) for law, c in LAWS.items()]) == pytest.approx(expected, rel=1e-12)


def test_conversion_of_soss(golden):
    table = PhotomSoss.of_curves((1,), [2e-3], [(golden["soss_knots"], golden["soss_response"])])
    n = len(golden["soss_um"])
    one = np.ones((1, n))
    spectra = Spectra(
        *(one,) * 5, one.astype(np.uint32) * 0, np.ones(n), golden["soss_um"], np.arange(1), **single_order(1, n, float)
    )
    after, _ = photom_soss.photom(spectra, photom_soss.PhotomRefs(table), PhotomParams())
    np.testing.assert_allclose(after.flux[0], golden["soss_factor"], rtol=1e-6)


def test_flats_of_nirspec(golden):
    components = []
    for name in ("f", "s", "d"):
        images = [golden.get(f"{name}_{plane}") for plane in ("data", "err", "dq")]
        if images[0] is None:
            images = [np.ones((1, 1, 1)), np.zeros((1, 1, 1)), np.zeros((1, 1, 1), np.uint32)]
        at = golden["flat_planes"] if len(images[0]) > 1 else np.ones(1)
        table = golden["flat_knots"], golden[f"{name}_fast"], golden[f"{name}_fast_err"]
        components.append(component(NirspecFlat(*images, at, *table), jnp.asarray(golden["flat_um"])))
    flat = combined(components)
    np.testing.assert_array_equal(flat.dq, golden["flat_dq"])
    good = (golden["flat_dq"] & flags.DO_NOT_USE) == 0
    np.testing.assert_allclose(np.asarray(flat.data)[good], golden["flat"][good], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(flat.err)[good], golden["flat_err"][good], rtol=1e-6)


@pytest.mark.parametrize(("algorithm", "rtol"), [("mingrad", 1e-9), ("fit_profile", 5e-4)])
def test_filled_pixels(golden, algorithm, rtol):
    names = ("data", "var_poisson", "var_rnoise", "var_flat")
    state = Rates(*(golden[f"fill_{name}"][None] for name in names), golden["fill_dq"][None], np.arange(1))
    refs = PixelReplaceRefs(Extract1d(np.array([0.5]), np.array([7.5]), np.zeros((0, 2, 1)), 1))
    after, _ = pixel_replace(state, refs, PixelReplaceParams(algorithm=algorithm))
    np.testing.assert_array_equal(after.dq[0], golden[f"{algorithm}_dq"])
    for name in names:
        np.testing.assert_allclose(getattr(after, name)[0], golden[f"{algorithm}_{name}"], rtol=rtol)
