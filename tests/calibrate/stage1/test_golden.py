"""Jump and ramp_fit against stored results of the official pipeline (recipe: tests/golden/make_stage1_tail.py)."""

from pathlib import Path

import numpy as np
import pytest

from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1.jump import jump
from uptheramp.calibrate.stage1.ramp_fit import ramp_fit
from uptheramp.calibrate.stage1.table import DEFAULTS
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.stream import detector

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize("mode", ["nrs_prism", "nrc_sub64", "miri_lrs"])
def test_flags_and_rates_are_those_of_the_official_pipeline(mode):
    g = np.load(GOLDEN / f"stage1_tail_{mode}.npz")
    nints, ngroups = g["data"].shape[:2]
    readout = Readout(ngroups, 1, 0, 1, 1, 2, 1, (0, 0), (0, 0), "none", 0)
    ramps = Ramps(g["data"], g["groupdq"], g["pixeldq"], np.arange(nints), *g["times"], readout)
    library = {
        "gain": Gain(g["gain"], np.float32(1)),
        "readnoise": ReadNoise(g["readnoise"]),
        "dark": Dark(np.zeros((1, ngroups, *g["gain"].shape), np.float32), g["pixeldq"] * 0, g["dark_current"]),
    }
    (ours,) = detector((jump, ramp_fit), [(0, nints, ramps)], library, DEFAULTS["jwst_3_0"])
    inner = (Ellipsis, slice(1, -1), slice(1, -1))  # hits outside the window flag their neighbours within
    flags = g["official_groupdq"]
    assert ((flags & 4) != 0)[inner].any()
    np.testing.assert_array_equal(np.asarray(ours.groupdq)[inner], flags[inner])
    slope, read, poisson = (g[f"official_{name}"][inner] for name in ("sci", "var_rnoise", "var_poisson"))
    rated = np.isfinite(slope)
    rates = ours.rates
    np.testing.assert_array_equal(np.asarray(rates.dq)[inner], g["official_dq"][inner])
    np.testing.assert_array_equal(np.isfinite(np.asarray(rates.data)[inner]), rated)
    tolerance = 1e-5 * np.abs(slope) + 1e-4 * np.sqrt(read + poisson)
    assert (np.abs(np.asarray(rates.data)[inner] - slope) <= tolerance)[rated].all()
    np.testing.assert_allclose(np.asarray(rates.var_rnoise)[inner], read, rtol=1e-5)
    assert (np.abs(np.asarray(rates.var_poisson)[inner] - poisson) <= 1e-5 * poisson + 1e-4 * read).all()
