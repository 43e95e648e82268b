"""refpix against the official function."""

from dataclasses import replace
from types import SimpleNamespace

import asdf
import numpy as np
import pytest

from official_ramps import call, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.references.sirskernel import Sirskernel
from uptheramp.calibrate.stage1.refpix import RefpixParams, RefpixRefs, learn_predictor, refpix

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


MEDIAN = {"refpix_algorithm": "median", "sirs_kernel_model": None, "sigreject": 4.0, "gaussmooth": 1.0, "halfwidth": 30}
DARK_EDGES = ("NRS1", "SUB512", (1025, 959), Readout(1, 1, 0, 1, 2, 1, 1, (0, 0), (0, 0), "edge_rows", 4))
TURNED = ("NRS2", "SUB512S", (1025, 1031), Readout(1, 1, 0, 1, -2, -1, 1, (0, 0), (0, 0), "edge_rows", 4))
CORNER = ("NRCB1", "SUB160", (1, 1), Readout(1, 1, 0, 1, 1, -2, 1, (4, 0), (4, 0), "amplifiers", 0))
STRIPE = ("NRCALONG", "SUBGRISM64", (1, 1), Readout(1, 1, 0, 1, -1, 2, 4, (4, 4), (4, 0), "amplifiers", 0))
SOSS = ("NIS", "SUBSTRIP96", (1, 1803), Readout(1, 1, 0, 1, -2, -1, 1, (4, 4), (0, 0), "amplifiers", 0))
WINDOWS = {
    "dark edges": (DARK_EDGES, (32, 512), {}),
    "dark edges, no parity": (DARK_EDGES, (32, 512), {"odd_even_columns": False}),
    "dark edges, turned": (TURNED, (16, 512), {}),
    "corner": (CORNER, (160, 160), {}),
    "corner, tighter clip": (CORNER, (160, 160), {"siglimit": 1.5}),
    "stripe": (STRIPE, (64, 2048), {}),
    "stripe, no sides": (STRIPE, (64, 2048), {"use_side_ref_pixels": False}),
    "stripe, no parity, half the gain, other length": (
        STRIPE,
        (64, 2048),
        {"odd_even_columns": False, "side_gain": 0.5, "side_smoothing_length": 7},
    ),
    "stripe with a dead amplifier": (STRIPE, (64, 2048), {}),
    "sides alone, one output": (SOSS, (96, 2048), {}),
}


@pytest.mark.parametrize("case", WINDOWS)
def test_reference_pixels_of_a_window(case):
    from jwst.refpix.reference_pixels import correct_model
    from stdatamodels.jwst.datamodels import RampModel

    (detector, subarray, corner, readout), (ny, nx), settings = WINDOWS[case]
    rng = np.random.default_rng(len(case))
    data = 200 + 12 * rng.standard_normal((1, 1, ny, nx), np.float32)
    turned = abs(readout.fast_axis) == 2
    slow, fast = (nx, ny) if turned else (ny, nx)
    drift = 40 * rng.standard_normal((1, 1, 1)) + np.cumsum(rng.standard_normal((1, slow, 1)), axis=1)
    drift = drift + 25 * (np.arange(fast) % 2)
    data += np.swapaxes(drift, -1, -2) if turned else drift
    pixeldq = np.zeros((ny, nx), np.uint32)
    (left, right), (bottom, top) = readout.reference_columns, readout.reference_rows
    pixeldq[:bottom], pixeldq[ny - top :] = flags.REFERENCE_PIXEL, flags.REFERENCE_PIXEL
    pixeldq[:, :left], pixeldq[:, nx - right :] = flags.REFERENCE_PIXEL, flags.REFERENCE_PIXEL
    pixeldq[2, 5:9] |= flags.DO_NOT_USE
    pixeldq[9:13, 1] |= flags.DO_NOT_USE
    data[:, :, 1, 30:33] += 900  # outliers
    if "dead" in case:
        pixeldq[:4, 512:1024] |= flags.DO_NOT_USE
    data[0, 0, 2, 5:9] = np.nan  # in pixels not to be used
    official = RampModel(data=data.copy(), pixeldq=pixeldq.copy(), groupdq=np.zeros(data.shape, np.uint8))
    m = official.meta
    m.instrument.name = {"NR": "NIRSPEC", "NI": "NIRISS"}[detector[:2]] if detector[:3] != "NRC" else "NIRCAM"
    m.instrument.detector, m.exposure.noutputs = detector, readout.outputs
    m.subarray.name, m.subarray.xsize, m.subarray.ysize = subarray, nx, ny
    m.subarray.xstart, m.subarray.ystart = corner
    m.subarray.fastaxis, m.subarray.slowaxis = readout.fast_axis, readout.slow_axis
    p = RefpixParams(**settings)
    correct_model(
        official,
        p.odd_even_columns,
        p.use_side_ref_pixels,
        p.side_smoothing_length,
        p.side_gain,
        p.odd_even_rows,
        dict(MEDIAN),
        p.siglimit,
    )
    state = replace(
        ramps(nints=1, ngroups=1), data=data, groupdq=np.zeros(data.shape, np.uint8), pixeldq=pixeldq, readout=readout
    )
    ours, _ = call(refpix, state, RefpixRefs(None), p)
    assert np.nanmax(np.abs(official.data - data)) > 20
    np.testing.assert_allclose(ours.data, official.data, atol=0.01)


SLOW = pytest.mark.slow
FRAMES = {"NRCB1": (1, -2), "NRCALONG": (-1, 2), "NRS2": (-2, -1)}


def coefficients():
    """Of kernels of four outputs for both sides, wide and lopsided."""
    lag = np.arange(-1024, 1024)
    left, right = (
        np.stack([np.exp(-(((lag - 3 * k - 1) / (2.0 + k)) ** 2)) for k in range(4)]) * share for share in (0.11, 0.07)
    )
    return {name: np.fft.rfft(np.fft.ifftshift(x, axes=-1)) for name, x in (("gamma", left), ("zeta", right))}


@pytest.mark.parametrize("detector", ["NRS2", *(pytest.param(name, marks=SLOW) for name in ("NRCB1", "NRCALONG"))])
def test_kernels_for_full_frames(tmp_path, detector):
    from jwst.refpix.reference_pixels import correct_model
    from stdatamodels.jwst.datamodels import RampModel, SIRSKernelModel

    rng = np.random.default_rng(5)
    tree = {detector.lower(): coefficients()}
    asdf.AsdfFile(tree).write_to(tmp_path / "sirs.asdf")
    fast_axis, slow_axis = FRAMES[detector]
    readout = Readout(1, 1, 0, 1, fast_axis, slow_axis, 4, (4, 4), (4, 4), "amplifiers", 0)
    data = 200 + 12 * rng.standard_normal((1, 1, 2048, 2048), np.float32)
    drift = np.cumsum(rng.standard_normal(2048)).astype(np.float32)
    data += drift if abs(slow_axis) == 1 else drift[:, None]
    data[0, 0, ::37, :4] += 900  # outliers at either side
    data[0, 0, -4:, ::41] += 700
    pixeldq = np.zeros((2048, 2048), np.uint32)
    pixeldq[[0, 1, 2, 3, -4, -3, -2, -1]] = flags.REFERENCE_PIXEL
    pixeldq[:, [0, 1, 2, 3, -4, -3, -2, -1]] = flags.REFERENCE_PIXEL
    official = RampModel(data=data.copy(), pixeldq=pixeldq.copy(), groupdq=np.zeros(data.shape, np.uint8))
    m = official.meta
    m.instrument.name, m.instrument.detector, m.exposure.noutputs = "NIRCAM", detector, 4
    m.subarray.name, m.subarray.xsize, m.subarray.ysize = "FULL", 2048, 2048
    m.subarray.xstart, m.subarray.ystart, m.subarray.fastaxis, m.subarray.slowaxis = 1, 1, fast_axis, slow_axis
    p = RefpixParams(refpix_algorithm="sirs", sigreject=3.5, gaussmooth=1.5, halfwidth=25)
    with SIRSKernelModel(tree) as kernels:
        how = {"refpix_algorithm": "sirs", "sirs_kernel_model": kernels, "sigreject": 3.5, "gaussmooth": 1.5}
        correct_model(official, True, True, 11, 1.0, True, how | {"halfwidth": 25}, 3.0)
    state = replace(
        ramps(nints=1, ngroups=1), data=data, groupdq=np.zeros(data.shape, np.uint8), pixeldq=pixeldq, readout=readout
    )
    refs = RefpixRefs(None, None, Sirskernel.from_file(tmp_path / "sirs.asdf", SimpleNamespace(detector=detector)))
    assert learn_predictor(state, refs, p) is None
    ours, _ = call(refpix, state, refs, p)
    assert np.std(np.asarray(ours.data) - data) > 5
    np.testing.assert_allclose(ours.data, official.data, atol=0.002)


def test_kernels_that_cannot_be_used():
    full = Readout(1, 1, 0, 1, 1, -2, 4, (4, 4), (4, 4), "amplifiers", 0)
    state = replace(ramps(nints=1, ngroups=1), readout=full)
    asked = RefpixParams(refpix_algorithm="sirs")
    no_outputs, short = (Sirskernel(np.zeros((n, 20, 2)), np.zeros((n, 20, 2))) for n in (0, 4))
    for refs in (RefpixRefs(None), RefpixRefs(None, None, no_outputs)):
        with pytest.raises(InputError, match="refpix_algorithm=sirs: no SIRSKERNEL reference of this detector"):
            learn_predictor(state, refs, asked)
    with pytest.raises(InputError, match="refpix.halfwidth=30: expected 1 to 18 lines"):
        learn_predictor(state, RefpixRefs(None, None, short), asked)
    with pytest.raises(InputError, match="refpix_algorithm=mean: expected median or sirs"):
        learn_predictor(state, RefpixRefs(None), RefpixParams(refpix_algorithm="mean"))
