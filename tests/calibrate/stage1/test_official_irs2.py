"""refpix of IRS2 frames against the official functions."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

import irs2_frames as peer
from official_ramps import call
from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import interleaved
from uptheramp.calibrate.pipeline import params_of
from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.references.refpix import Refpix
from uptheramp.calibrate.references.saturation import Saturation
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.stage1.dq_init import dq_init
from uptheramp.calibrate.stage1.refpix import RefpixParams, RefpixRefs, learn_predictor, refpix
from uptheramp.calibrate.stage1.saturation import saturation
from uptheramp.calibrate.stage1.superbias import superbias
from uptheramp.calibrate.state import take

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


@pytest.mark.parametrize("detector", ["NRS1", pytest.param("NRS2", marks=pytest.mark.slow)])
def test_reference_pixels_among_the_others(tmp_path, detector):
    """Flags of two integrations, one of which alone shows a bad pair; then the correction of the first of them."""
    path = peer.write_refpix(tmp_path / "refpix.fits", detector)
    data, dq = peer.raw_frames(detector, 2, 2), peer.bad_mask(detector)
    state, refs = peer.state_of(data, dq, detector), RefpixRefs(None, Refpix.from_file(path, None))
    bad = call(learn_predictor, state, refs, RefpixParams())
    ours, _ = call(refpix, take(state, slice(0, 1)), RefpixRefs(bad, refs.refpix), RefpixParams())
    theirs, flagged = peer.official_step(data, dq, path, detector)
    by_read = (peer.in_order(flagged, detector) & flags.BAD_REF_PIXEL != 0).any(0)
    np.testing.assert_array_equal(bad.bad, by_read)
    assert by_read[[28, 1288, 1289, 1308, 1328, 2108, 2109]].all() and by_read.sum() < 60
    assert np.std(theirs.data[0] - np.asarray(state.data[0])) > 2
    np.testing.assert_allclose(ours.data[0], theirs.data[0], atol=0.002)  # two roundings of 11000 DN
    np.testing.assert_array_equal(ours.pixeldq, theirs.pixeldq)


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_where_the_image_is_in_a_frame(detector):
    from jwst.saturation import x_irs2

    frame = np.arange(3200 * 8).reshape(3200, 8)
    mask = x_irs2.make_mask(np.zeros((3200, 2048)))
    image, extra = interleaved.split(frame, detector == "NRS2")
    np.testing.assert_array_equal(image, x_irs2.from_irs2(frame, mask, detector))
    wide, rest = (np.repeat(x, 256, -1) for x in (image, extra))
    np.testing.assert_array_equal(interleaved.join(wide, rest, detector == "NRS2")[:, ::256], frame)


def model_of(data, dq, detector, nframes):
    from stdatamodels.jwst.datamodels import RampModel

    model = RampModel(data=data.astype(np.float32), pixeldq=np.zeros_like(dq), groupdq=np.zeros(data.shape, np.uint8))
    m = model.meta
    m.instrument.name, m.instrument.detector, m.exposure.type = "NIRSPEC", detector, "NRS_FIXEDSLIT"
    m.subarray.xstart, m.subarray.ystart, m.subarray.xsize, m.subarray.ysize = 1, 1, 2048, 2048
    m.exposure.nrs_normal, m.exposure.nrs_reference, m.exposure.zero_frame = 16, 4, False
    m.exposure.nframes, m.exposure.ngroups = nframes, data.shape[1]
    return model


def test_steps_before_take_raw_frames(tmp_path, prism):
    """dq_init, saturation and superbias on NRS2 frames of five averaged reads, from the same files."""
    from jwst.dq_init.dq_initialization import do_dqinit
    from jwst.saturation.saturation import irs2_flag_saturation
    from jwst.superbias.bias_sub import do_correction
    from stdatamodels.jwst import datamodels

    detector, nframes, rng = "NRS2", 5, np.random.default_rng(3)
    meta = full_frame(prism, detector, ngroups=4, nframes=nframes)
    dq, data = peer.bad_mask(detector), peer.raw_frames(detector, 1, 4, seed=5)
    data[0, 1, 900:3000, ::7] += rng.integers(0, 50000, (2100, 293), np.uint16)
    data[0, 2:, 900:3000, ::7] = 61000
    data[0, 3, 40, 40] = 0
    threshold = np.full((2048, 2048), 60000, np.float32)
    threshold[5, ::3] = np.nan
    level = rng.normal(9000, 300, (3200, 2048)).astype(np.float32)
    level[77, 5:9] = np.nan
    marks = (rng.random((3200, 2048)) < 1e-3).astype(np.uint32) * np.uint32(flags.UNRELIABLE_BIAS)
    marks[77, 5:9] = flags.UNRELIABLE_BIAS  # as a file should say of pixels without a value
    write(tmp_path / "mask.fits", "MASK", DQ=dq)
    write(tmp_path / "saturation.fits", "SATURATION", SCI=threshold, DQ=np.zeros(threshold.shape, np.uint32))
    write(tmp_path / "superbias.fits", "SUPERBIAS", SCI=level, ERR=level * 0, DQ=marks)
    kinds = {"mask": Mask, "saturation": Saturation, "superbias": Superbias}
    refs = {name: kind.from_file(tmp_path / f"{name}.fits", meta) for name, kind in kinds.items()}
    state = peer.state_of(data, np.zeros_like(dq), detector)
    state = replace(state, readout=replace(state.readout, nframes=nframes, frame_divisor=nframes))
    for step in (dq_init, saturation, superbias):
        state, _ = call(step, state, step.select(refs), params_of(step, {}))
    model = model_of(data, dq, detector, nframes)
    mask = datamodels.MaskModel(tmp_path / "mask.fits")
    bias = datamodels.SuperBiasModel(tmp_path / "superbias.fits")
    limit = datamodels.SaturationModel(tmp_path / "saturation.fits")
    where = mask.meta.subarray  # the official step looks for it in an extension that masks lack
    where.xstart, where.ystart, where.xsize, where.ysize = 1, 1, 2048, 2048
    theirs = do_correction(irs2_flag_saturation(do_dqinit(model, mask), limit, 1, True, bias), bias)
    for name in ("data", "pixeldq", "groupdq"):
        image, extra = interleaved.split(getattr(theirs, name), backwards=True)
        np.testing.assert_array_equal(getattr(state, name), image, err_msg=name)
        if name != "groupdq":
            ours = state.interleaved if name == "data" else state.interleaved_dq
            np.testing.assert_array_equal(ours, extra, err_msg=name)
    second, third = ((state.groupdq[0, g] & flags.SATURATED != 0) for g in (1, 2))
    assert 1000 < second.sum() < third.sum()


def full_frame(prism, detector, **changes):
    fast, slow = peer.AXES[detector]
    window = {"subarray": "FULL", "x_start": 1, "y_start": 1, "x_size": 2048, "y_size": 2048}
    return prism(detector=detector, fast_axis=fast, slow_axis=slow, pattern="NRSIRS2", outputs=5, **window, **changes)


def write(path, reftype, **planes):
    header = fits.Header({"TELESCOP": "JWST", "REFTYPE": reftype, "INSTRUME": "NIRSPEC"})
    header.update({"SUBSTRT1": 1, "SUBSTRT2": 1, "SUBSIZE1": 2048, "SUBSIZE2": 2048})
    fits.HDUList([fits.PrimaryHDU(header=header), *(fits.ImageHDU(v, name=k) for k, v in planes.items())]).writeto(path)


def test_files_of_another_read_out_are_refused(tmp_path, prism):
    meta = full_frame(prism, "NRS1")
    write(tmp_path / "mask.fits", "MASK", DQ=np.zeros((2048, 2048), np.uint32))
    with pytest.raises(InputError, match="mask.fits.*use a file of that read-out"):
        Mask.from_file(tmp_path / "mask.fits", meta)
    write(tmp_path / "raw.fits", "MASK", DQ=np.zeros((3200, 2048), np.uint32))
    with pytest.raises(InputError, match="raw.fits: of IRS2 frames, but the exposure was read with NRSRAPID"):
        Mask.from_file(tmp_path / "raw.fits", prism())
    with pytest.raises(InputError, match="no extension IRS2"):
        Refpix.from_file(tmp_path / "raw.fits", meta)
    np.testing.assert_array_equal(Mask.neutral(meta).interleaved.shape, (1152, 2048))
