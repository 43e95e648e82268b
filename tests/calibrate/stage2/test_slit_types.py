"""Exposures through a slit that are no time series by type: from official files to spectra."""

import json
from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import optics
from uptheramp.calibrate import pipeline, stream
from uptheramp.calibrate.reduce import load_library
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.settings import recipe
from uptheramp.calibrate.state import Rates

FIXED_SLIT = replace(optics.FIXED_SLIT, subarray="SUBS400A1", y_start=1035, y_size=48)
# official conversions: of a point source in MJy behind NIRSpec's slits, in MJy / sr for MIRI
CASES = [
    pytest.param(FIXED_SLIT, optics.slit, "MJy", {"id": "S400A1", "dispaxis": 1, "extract_width": 6}, id="NIRSpec"),
    pytest.param(
        optics.LRS_SLIT, optics.rows, "MJy/sr", {"id": "ANY", "dispaxis": 2, "xstart": 322, "xstop": 329}, id="MIRI"
    ),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("meta", "write", "unit", "aperture"), CASES)
def test_light_of_one_count_becomes_the_conversion_of_the_aperture(tmp_path, meta, write, unit, aperture):
    write(tmp_path, meta)
    Photom(np.float32(2.5), np.array([1, 30], np.float32), np.ones(2, np.float32), unit).to_file(
        tmp_path / "p.fits", meta
    )
    content = {"reftype": "EXTRACT1D", "instrument": meta.instrument, "apertures": [aperture]}
    (tmp_path / "extract1d.json").write_text(json.dumps(content))
    steps = recipe("jwst_3_0", "near_ir", meta.exp_type).stage2
    exposure = SimpleNamespace(meta=meta, segments=[SimpleNamespace(path=tmp_path / "x_rateints.fits")])
    library = load_library(exposure, steps, tmp_path)
    one = jnp.ones((2, *meta.shape), jnp.float32)
    state = Rates(one, one, one, 0 * one, jnp.zeros(one.shape, jnp.uint32), jnp.arange(2))
    params = recipe("jwst_3_0", "near_ir", meta.exp_type).params
    spectra, _ = pipeline.compiled(steps, state, stream.learned(steps, state, library, params), params)
    lam = np.asarray(spectra.wavelength_um)
    lit = np.isfinite(lam) & np.isfinite(np.asarray(spectra.flux[0]))
    assert lit.sum() > 350
    expected = {"Jy": 1e6, "MJy/sr": 1.0}[spectra.unit] * 2.5 * np.asarray(spectra.npixels)[lit]
    np.testing.assert_allclose(spectra.flux[0][lit], expected, rtol=1e-5)
    assert 2.9 < lam[lit].min() < lam[lit].max() < 14.2
