"""Reference files as untidy as real ones, against what the official steps make of the same files."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from miri_lrs import META
from official_ramps import call, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.ipc import Ipc
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.references.reset import Reset
from uptheramp.calibrate.references.saturation import Saturation
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.references.user_files import UserDq
from uptheramp.calibrate.stage1.dark_current import DarkCurrentParams, DarkCurrentRefs, dark_current
from uptheramp.calibrate.stage1.dq_init import DqInitParams, DqInitRefs, dq_init
from uptheramp.calibrate.stage1.gain_scale import GainScaleRefs, gain_scale
from uptheramp.calibrate.stage1.ipc import IpcRefs, ipc
from uptheramp.calibrate.stage1.linearity import LinearityParams, LinearityRefs, linearity
from uptheramp.calibrate.stage1.reset import ResetRefs, reset
from uptheramp.calibrate.stage1.saturation import SaturationParams, SaturationRefs, saturation
from uptheramp.calibrate.stage1.superbias import SuperbiasRefs, superbias
from uptheramp.calibrate.state import Rates

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")

FULL = (1024, 1032)
# what the file covers: (y, x) shape, its corner (None: not said), its SUBARRAY
PLACES = {
    "full frame": (FULL, (1, 1), "FULL"),
    "full frame that does not say so": (FULL, None, None),
    "generic, larger": ((440, 80), (1, 520), "GENERIC"),
    "own": (META.shape, (1, 529), "SLITLESSPRISM"),
}
# a numbering of its own, and a name that nobody knows
DQ_DEF = [(0, 1, "NONLINEAR"), (1, 2, "DO_NOT_USE"), (2, 4, "NO_LIN_CORR"), (3, 8, "NO_SAT_CHECK"), (4, 16, "MYSTERY")]


@pytest.fixture(params=PLACES)
def place(request):
    return PLACES[request.param]


def write(path, place, reftype, planes, **cards):
    """A file with what is needed and no more; float64 planes as they come."""
    _, corner, subarray = place
    header = fits.Header({"TELESCOP": "JWST", "REFTYPE": reftype, "INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE"})
    if subarray:
        header["SUBARRAY"] = subarray
    if corner:
        ny, nx = planes[next(iter(planes))].shape[-2:]
        header.update({"SUBSTRT1": corner[0], "SUBSTRT2": corner[1], "SUBSIZE1": nx, "SUBSIZE2": ny})
    header.update(cards)
    hdus = [fits.PrimaryHDU(header=header), *(fits.ImageHDU(v, name=k) for k, v in planes.items())]
    if "DQ" in planes:
        columns = [("BIT", "i4"), ("VALUE", "u4"), ("NAME", "U40")]
        table = np.array(DQ_DEF, dtype=columns)
        hdus.append(fits.BinTableHDU(table, name="DQ_DEF"))
    fits.HDUList(hdus).writeto(path)
    return path


def exposure(nints=2, ngroups=4, nframes=1, gap=0, integration=0):
    """Our state and the official model of the same ramps."""
    from stdatamodels.jwst.datamodels import RampModel

    state = ramps(nints=nints, ngroups=ngroups, nframes=nframes, gap=gap, shape=META.shape)
    readout = Readout(ngroups, nframes, gap, nframes, 1, 2, 4, (4, 0), (0, 0), "none", 0)
    state = replace(state, readout=readout, integration=np.arange(nints) + integration)
    official = RampModel(data=state.data.copy(), pixeldq=state.pixeldq.copy(), groupdq=state.groupdq.copy())
    m = official.meta
    m.instrument.name, m.instrument.detector = META.instrument, META.detector
    m.subarray.name, m.subarray.xsize, m.subarray.ysize = META.subarray, META.x_size, META.y_size
    m.subarray.xstart, m.subarray.ystart = META.x_start, META.y_start
    e = m.exposure
    e.nints, e.ngroups, e.nframes, e.groupgap, e.zero_frame = nints, ngroups, nframes, gap, False
    e.integration_start, e.integration_end = integration + 1, integration + nints
    return state, official


def same(ours, official, rtol=0.0, atol=0.0):
    np.testing.assert_array_equal(ours.groupdq, official.groupdq)
    np.testing.assert_array_equal(ours.pixeldq, official.pixeldq)
    np.testing.assert_allclose(ours.data, official.data, rtol=rtol, atol=atol)


def say_where(model):
    """The official steps look for a full frame's corner in an extension that masks and coefficients lack."""
    where = model.meta.subarray
    if where.xstart is None:
        where.xstart, where.ystart, where.xsize, where.ysize = 1, 1, FULL[1], FULL[0]


def numbered(rng, shape):
    """Flags by the file's own numbering, in one pixel of ten."""
    return ((rng.random(shape) < 0.1) * rng.integers(1, 32, shape)).astype(np.uint32)


def test_mask(tmp_path, place):
    from jwst.dq_init.dq_initialization import do_dqinit
    from stdatamodels.jwst.datamodels import MaskModel

    path = write(tmp_path / "mask.fits", place, "MASK", {"DQ": numbered(np.random.default_rng(1), place[0])})
    state, official = exposure()
    mine = (np.random.default_rng(2).random(META.shape) < 0.05).astype(np.uint32) * np.uint32(flags.HOT)
    fits.PrimaryHDU(mine).writeto(tmp_path / "mine.fits")
    with MaskModel(path) as model:
        say_where(model)
        theirs = do_dqinit(official, model, user_dq=mine)
    refs = DqInitRefs(Mask.from_file(path, META), UserDq.from_file(tmp_path / "mine.fits", META))
    ours, _ = call(dq_init, state, refs, DqInitParams())
    assert (theirs.pixeldq & flags.NONLINEAR).any() and (theirs.groupdq & flags.DO_NOT_USE).any()
    same(ours, theirs)


def test_saturation(tmp_path, place):
    from jwst.saturation.saturation import flag_saturation
    from stdatamodels.jwst.datamodels import SaturationModel

    rng = np.random.default_rng(2)
    levels = rng.uniform(20000, 60000, place[0])
    levels[rng.random(place[0]) < 0.02] = np.nan
    path = write(tmp_path / "s.fits", place, "SATURATION", {"SCI": levels, "DQ": numbered(rng, place[0])})
    state, official = exposure()
    with SaturationModel(path) as model:
        theirs = flag_saturation(official, model, 1, True)
    refs = SaturationRefs(Saturation.from_file(path, META), None)
    ours, _ = call(saturation, state, refs, SaturationParams())
    assert (theirs.groupdq & flags.SATURATED).any()
    same(ours, theirs)


def test_linearity(tmp_path, place):
    from jwst.linearity.linearity import do_correction
    from stdatamodels.jwst.datamodels import LinearityModel

    rng = np.random.default_rng(3)
    coeffs = np.stack([rng.normal(c, 0.1 * abs(c), place[0]) for c in (5.0, 1.0, 1e-6, 2e-12)])
    coeffs[2, rng.random(place[0]) < 0.02] = np.nan
    coeffs[1, rng.random(place[0]) < 0.02] = 0
    path = write(tmp_path / "l.fits", place, "LINEARITY", {"COEFFS": coeffs, "DQ": numbered(rng, place[0])})
    state, official = exposure()
    with LinearityModel(path) as model:
        say_where(model)
        theirs = do_correction(official, model)
    ours, _ = call(linearity, state, LinearityRefs(Linearity.from_file(path, META)), LinearityParams())
    assert (theirs.pixeldq & flags.NO_LIN_CORR).any()
    same(ours, theirs, rtol=1e-6)


def test_superbias(tmp_path, place):
    from jwst.superbias.bias_sub import do_correction
    from stdatamodels.jwst.datamodels import SuperBiasModel

    rng = np.random.default_rng(4)
    bias = rng.normal(900, 20, place[0])
    path = write(tmp_path / "b.fits", place, "SUPERBIAS", {"SCI": bias, "DQ": numbered(rng, place[0])})
    state, official = exposure()
    first = state.data[:, 0] - 5
    first[0, 4, 4:9] = 0  # not usable
    state = replace(state, zeroframe=first)
    official.zeroframe, official.meta.exposure.zero_frame = first.copy(), True
    with SuperBiasModel(path) as model:
        theirs = do_correction(official, model)
    ours, _ = call(superbias, state, SuperbiasRefs(Superbias.from_file(path, META)), None)
    same(ours, theirs, atol=2e-3)  # ours rounds the bias to float32 before it subtracts
    np.testing.assert_allclose(ours.zeroframe, theirs.zeroframe, atol=2e-3)
    assert (np.asarray(ours.zeroframe)[0, 4, 4:9] == 0).all()


def test_superbias_without_a_value(tmp_path):
    from jwst.superbias.bias_sub import do_correction
    from stdatamodels.jwst.datamodels import SuperBiasModel

    bias = np.full(META.shape, 900, np.float32)
    bias[5, 6] = np.nan
    path = write(tmp_path / "b.fits", PLACES["own"], "SUPERBIAS", {"SCI": bias})
    state, official = exposure()
    with SuperBiasModel(path) as model:
        theirs = do_correction(official, model)
    ours, _ = call(superbias, state, SuperbiasRefs(Superbias.from_file(path, META)), None)
    np.testing.assert_array_equal(ours.data, theirs.data)
    # the same value, and here a word about it
    assert ours.pixeldq[5, 6] == flags.UNRELIABLE_BIAS and theirs.pixeldq[5, 6] == 0


@pytest.mark.parametrize("by_pixel", [False, True])
def test_ipc(tmp_path, by_pixel):
    from jwst.ipc.ipc_corr import do_correction
    from stdatamodels.jwst.datamodels import IPCModel

    rng = np.random.default_rng(5)
    kernel = np.array([[0, -0.006, 0], [-0.006, 1.024, -0.006], [0, -0.006, 0]])
    if by_pixel:
        kernel = kernel[..., None, None] * rng.uniform(0.9, 1.1, (3, 3, *FULL)).astype(np.float32)
    path = write(
        tmp_path / "i.fits",
        PLACES["full frame" if by_pixel else "full frame that does not say so"],
        "IPC",
        {"SCI": kernel},
    )
    state, official = exposure(nints=1, ngroups=2)
    with IPCModel(path) as model:
        theirs = do_correction(official, model)
    ours, _ = call(ipc, state, IpcRefs(Ipc.from_file(path, META)), None)
    assert np.abs(theirs.data - state.data).max() > 50
    same(ours, theirs, rtol=2e-6, atol=1e-2)


# of the exposure: groups, frames in a group, frames left out; of the dark: the same
DARKS = {
    "more groups": ((4, 1, 0), (9, 1, 0)),
    "fewer groups": ((6, 1, 0), (4, 1, 0)),
    "single frames for averaged ones": ((3, 4, 1), (20, 1, 0)),
    "single frames, too few": ((4, 4, 1), (9, 1, 0)),
    "averaged alike": ((3, 8, 2), (3, 8, 2)),
    "averaged alike, too few": ((5, 8, 2), (3, 8, 2)),
}


@pytest.mark.parametrize("by_integration", [True, False])
@pytest.mark.parametrize("case", DARKS)
def test_dark(tmp_path, case, by_integration):
    from stcal.dark_current.dark_sub import do_correction
    from stdatamodels.jwst.datamodels import DarkMIRIModel, DarkModel

    (ngroups, nframes, gap), (groups, frames, skipped) = DARKS[case]
    rng = np.random.default_rng(6)
    data = np.cumsum(rng.uniform(0, 5, (3 if by_integration else 1, groups, *META.shape)), axis=1).astype(np.float32)
    data[0, 1, 7, 7] = np.nan
    dq = numbered(rng, (3, 1, *META.shape) if by_integration else META.shape)
    planes = {"SCI": data if by_integration else data[0], "DQ": dq}
    path = write(tmp_path / "d.fits", PLACES["own"], "DARK", planes, NGROUPS=groups, NFRAMES=frames, GROUPGAP=skipped)
    state, official = exposure(nints=4, ngroups=ngroups, nframes=nframes, gap=gap)
    with (DarkMIRIModel if by_integration else DarkModel)(path) as model:
        theirs, _ = do_correction(official, model)
    meta = replace(META, nints=4, ngroups=ngroups, nframes=nframes, groupgap=gap)
    ours, _ = call(dark_current, state, DarkCurrentRefs(Dark.from_file(path, meta)), DarkCurrentParams())
    assert theirs.cal_step == "COMPLETE"
    lost = np.zeros(META.shape, bool)
    lost[7, 7] = (
        "too few" in case or case == "fewer groups"
    )  # a NaN at the end: there 0 before it is extrapolated, here
    np.testing.assert_array_equal(ours.pixeldq, theirs.pixeldq)
    np.testing.assert_allclose(np.where(lost, 0, ours.data), np.where(lost, 0, theirs.data), rtol=1e-6, atol=1e-2)


@pytest.mark.parametrize("first", [0, 1, 5])
def test_reset(tmp_path, first):
    from jwst.reset.reset_sub import do_correction
    from stdatamodels.jwst.datamodels import ResetModel

    rng = np.random.default_rng(7)
    data = rng.normal(0, 30, (2, 3, *META.shape)).astype(np.float32)
    data[1, 1, 7, 7] = np.nan
    planes = {"SCI": data, "DQ": numbered(rng, META.shape)}
    path = write(tmp_path / "r.fits", PLACES["own"], "RESET", planes, NINTS=2, NGROUPS=3)
    state, official = exposure(nints=3, ngroups=5, integration=first)
    with ResetModel(path) as model:
        theirs = do_correction(official, model)
    ours, _ = call(reset, state, ResetRefs(Reset.from_file(path, replace(META, nints=9, ngroups=5))), None)
    same(ours, theirs)


def test_gain_and_read_noise(tmp_path, place):
    from jwst.lib.reffile_utils import get_subarray_model, ref_matches_sci
    from stdatamodels.jwst.datamodels import GainModel, ReadnoiseModel

    rng = np.random.default_rng(8)
    _, official = exposure(nints=1, ngroups=2)
    for reftype, model_class, ours in (("GAIN", GainModel, Gain), ("READNOISE", ReadnoiseModel, ReadNoise)):
        path = write(tmp_path / f"{reftype}.fits", place, reftype, {"SCI": rng.uniform(1, 9, place[0])})  # float64
        found = ours.from_file(path, META)
        with model_class(path) as model:
            theirs = model if ref_matches_sci(official, model) else get_subarray_model(official, model)
            np.testing.assert_array_equal(found.data, theirs.data)
        assert found.data.dtype == np.float32


@pytest.mark.parametrize("factor", [None, 1.0, 1.09])
def test_gainfact(tmp_path, factor):
    from jwst.gain_scale.gain_scale import do_correction
    from stdatamodels.jwst.datamodels import CubeModel, GainModel

    cards = {} if factor is None else {"GAINFACT": factor}
    path = write(tmp_path / "g.fits", PLACES["own"], "GAIN", {"SCI": np.full(META.shape, 2.0)}, **cards)
    rng = np.random.default_rng(9)
    planes = {name: rng.random((2, *META.shape), np.float32) for name in ("data", "var_poisson", "var_rnoise")}
    theirs = CubeModel(**{name: plane.copy() for name, plane in planes.items()}, err=planes["data"].copy())
    with GainModel(path) as model:
        given = model.meta.exposure.gain_factor
    assert given == factor
    if given is not None:  # its caller skips the step then
        theirs = do_correction(theirs, given)
    zero = np.zeros_like(planes["data"])
    rates = Rates(**planes, var_flat=zero, dq=zero.astype(np.uint32), integration=np.arange(2))
    ours, _ = call(gain_scale, rates, GainScaleRefs(Gain.from_file(path, META)), None)
    for name in planes:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=3e-7)


def test_a_file_must_say_what_it_covers(tmp_path):
    plane = {"SCI": np.ones((440, 80), np.float32)}
    path = write(tmp_path / "gain.fits", ((440, 80), None, None), "GAIN", plane)
    with pytest.raises(InputError, match=r"gain\.fits.*SUBSTRT1"):
        Gain.from_file(path, META)
    # a window of the same shape elsewhere is another window
    elsewhere = write(tmp_path / "else.fits", (META.shape, (1, 100), "GENERIC"), "GAIN", {"SCI": np.ones(META.shape)})
    with pytest.raises(InputError, match=r"else\.fits.*SLITLESSPRISM"):
        Gain.from_file(elsewhere, META)
