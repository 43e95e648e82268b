"""An exposure in NIRSpec's IRS2 read-out, from its raw file to slopes."""

from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest
from astropy.io import fits

import irs2_frames
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.times import GROUP
from uptheramp.calibrate.io.uncal import UncalWriter
from uptheramp.calibrate.kernels import interleaved
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.references.refpix import Refpix
from uptheramp.calibrate.references.saturation import Saturation
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.stage1.refpix import RefpixParams, RefpixRefs, learn_predictor, refpix
from uptheramp.scenarios.real import calibrate_files

KINDS = (Dark, Gain, Linearity, Mask, ReadNoise, Saturation, Superbias)
GROUPS, GROUP_S, LIGHT_DN = 2, 14.5889, 25.0  # of irs2_frames


def quiet(*_):
    pass


@pytest.mark.filterwarnings("ignore:.*the jump step cannot run")
def test_raw_frames_become_slopes(tmp_path, prism, times_of):
    fast, slow = irs2_frames.AXES["NRS2"]
    window = {"subarray": "FULL", "x_start": 1, "y_start": 1, "x_size": 2048, "y_size": 2048}
    clock = {"frame_time_s": GROUP_S, "group_time_s": GROUP_S, "pattern": "NRSIRS2RAPID", "outputs": 5}
    axes = {"detector": "NRS2", "fast_axis": fast, "slow_axis": slow}
    meta = prism(nints=1, ngroups=GROUPS, normal_reads=16, reference_reads=4, **window, **clock, **axes)
    frames = irs2_frames.raw_frames("NRS2", 1, GROUPS)
    path, refs, out = tmp_path / "irs2-seg001_uncal.fits", tmp_path / "refs", tmp_path / "out"
    with UncalWriter(path, replace(meta, y_size=interleaved.LENGTH), times_of(meta), np.zeros(GROUPS, GROUP)) as file:
        file.append(frames)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["SUBSIZE2"] = 2048  # as in flight: of the image
    for kind in KINDS:
        kind.neutral(meta).to_file(refs / f"{kind.__name__.lower()}.fits", meta)
    with pytest.raises(InputError, match="no reference file in .* for refpix"):
        calibrate_files([path], out, refs, (1,), "jwst_3_0", None, {}, quiet)
    irs2_frames.write_refpix(refs / "refpix.fits", "NRS2")
    calibrate_files([path], out, refs, (1,), "jwst_3_0", None, {}, quiet)
    with fits.open(out / "irs2_rateints.fits") as hdus:
        rate = hdus["SCI"].data[0] * GROUP_S
        assert hdus[0].header["S_REFPIX"] == "COMPLETE"
    state = irs2_frames.state_of(frames, np.zeros(frames.shape[-2:], np.uint32), "NRS2")
    known = RefpixRefs(None, Refpix.from_file(refs / "refpix.fits", meta))
    bad = eqx.filter_jit(learn_predictor)(state, known, RefpixParams())
    corrected = eqx.filter_jit(refpix)(state, RefpixRefs(bad, known.refpix), RefpixParams())[0].data[0]
    np.testing.assert_allclose(rate, corrected[1] - corrected[0], atol=0.01)  # slope of two groups
    assert np.abs(np.median(rate[:, 4:-4]) - LIGHT_DN) < 5 < np.std(corrected[1] - corrected[0])
