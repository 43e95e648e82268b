"""refpix against the official function."""

from dataclasses import replace

import numpy as np
import pytest

from official_ramps import call, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.stage1.refpix import RefpixParams, RefpixRefs, refpix

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


@pytest.mark.parametrize("by_row", [True, False])
def test_reference_pixels_of_a_full_miri_frame(by_row):
    from jwst.refpix.reference_pixels import MIRIDataset
    from stdatamodels.jwst.datamodels import RampModel

    rng = np.random.default_rng(9)
    data = 9000 + 12 * rng.standard_normal((1, 3, 1024, 1032), np.float32)
    data += np.tile(40 * rng.standard_normal((1, 3, 2, 4), np.float32), (1, 1, 512, 258))
    data[:, :, 77, :3] += 900  # outliers
    pixeldq = np.zeros((1024, 1032), np.uint32)
    pixeldq[100:140, :4] = flags.DO_NOT_USE
    readout = Readout(3, 1, 0, 1, 1, 2, 4, (4, 4), (0, 0), "interleaved", 0)
    state = replace(
        ramps(nints=1, ngroups=3), data=data, groupdq=np.zeros(data.shape, np.uint8), pixeldq=pixeldq, readout=readout
    )
    official = RampModel(data=data.copy(), pixeldq=pixeldq.copy(), groupdq=np.zeros(data.shape, np.uint8))
    m = official.meta
    m.instrument.name, m.instrument.detector, m.exposure.readpatt = "MIRI", "MIRIMAGE", "FASTR1"
    m.subarray.name, m.subarray.xstart, m.subarray.ystart, m.subarray.xsize, m.subarray.ysize = "FULL", 1, 1, 1032, 1024
    work = MIRIDataset(
        official,
        by_row,
        {"refpix_algorithm": "median", "sirs_kernel_model": None, "sigreject": 4.0, "gaussmooth": 1.0, "halfwidth": 30},
        3.0,
    )
    work.do_fullframe_corrections()
    ours, _ = call(refpix, state, RefpixRefs(None), RefpixParams(odd_even_rows=by_row))
    assert np.std(official.data - data) > 15
    np.testing.assert_allclose(ours.data, official.data, atol=0.01)


def test_reference_pixels_of_the_zeroframe():
    readout = Readout(4, 4, 0, 4, 1, 2, 4, (4, 4), (4, 0), "amplifiers", 0)
    state = replace(ramps(nints=2, ngroups=4, nframes=4, zeroframe=True, shape=(24, 32)), readout=readout)
    state.zeroframe[0, 9, 9] = 0
    first = replace(state, data=state.zeroframe[:, None], zeroframe=None)
    ours, _ = call(refpix, state, RefpixRefs(None), RefpixParams())
    same, _ = call(refpix, first, RefpixRefs(None), RefpixParams())
    expected = np.array(same.data[:, 0])
    expected[0, 9, 9] = 0
    np.testing.assert_allclose(ours.zeroframe, expected, atol=1e-3)
