import numpy as np
import pytest

from uptheramp.calibrate import flags, pipeline, stream
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.table import OFF
from uptheramp.calibrate.stage2.table import TABLES as STAGE2
from uptheramp.calibrate.stage3.table import DEFAULTS, TABLES
from uptheramp.calibrate.state import Rates

PRISM = "NRS_BRIGHTOBJ"


def test_every_table_of_stage_2_goes_on():
    assert {name: set(table) for name, table in TABLES.items()} == {name: set(t) for name, t in STAGE2.items()}
    assert set(DEFAULTS) == set(TABLES)


@pytest.mark.parametrize(("name", "biased"), [("recommended", False), ("jwst_3_0", True)])
def test_a_cosmic_ray_is_flagged_and_its_light_restored(name, biased):
    rng = np.random.default_rng(1)
    profile = 500 * np.exp(-0.5 * ((np.arange(11) - 5) / 1.3) ** 2)
    clean = np.broadcast_to(profile[None, :, None], (30, 11, 6))
    data = (clean + rng.normal(size=clean.shape)).astype(np.float32)
    data[12, 5, 2] += 1000
    ones = np.ones_like(data)
    wavelength = np.broadcast_to(np.arange(1, 7, dtype=np.float32), (11, 6))
    state = Rates(data, 0.5 * ones, 0.5 * ones, 0 * ones, np.zeros(data.shape, np.uint32), np.arange(30), wavelength)
    aperture = Extract1d(np.array([0.5]), np.array([9.5]), np.zeros((0, 2, 1)), 1)
    steps, params = tuple(s for s in TABLES[name][PRISM] if s.name not in OFF), DEFAULTS[name].get(PRISM, {})
    library = stream.learned(steps, state, {"extract1d": aperture}, params)
    out, _ = pipeline.compiled(steps, state, library, params)
    error = (np.asarray(out.flux) - profile[1:10].sum()) / np.asarray(out.err)
    assert (abs(error[12, 2]) > 50) == biased
    error[12, 2] = 0
    assert np.abs(error).max() < 5
    assert bool(out.dq[12, 2] & flags.FLUX_ESTIMATED) is not biased
