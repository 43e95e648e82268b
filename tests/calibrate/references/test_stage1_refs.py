"""Stage 1 references: there and back, untidy files made tidy, and the choice of files in a folder."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from astropy.io import fits

from miri_lrs import META
from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references import library
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.emicorr import Emicorr
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.ipc import Ipc
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.references.reset import Reset
from uptheramp.calibrate.references.rscd import Rscd
from uptheramp.calibrate.references.saturation import NEVER, Saturation
from uptheramp.calibrate.references.superbias import Superbias

CLASSES = {
    "dark": Dark,
    "gain": Gain,
    "ipc": Ipc,
    "linearity": Linearity,
    "mask": Mask,
    "readnoise": ReadNoise,
    "reset": Reset,
    "rscd": Rscd,
    "saturation": Saturation,
    "superbias": Superbias,
}


def header(reftype, **more):
    cards = {"REFTYPE": reftype, "INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE", "SUBARRAY": "SLITLESSPRISM"}
    cards |= {"SUBSTRT1": 1, "SUBSTRT2": 529, "SUBSIZE1": 72, "SUBSIZE2": 416} | more
    return fits.PrimaryHDU(header=fits.Header(cards))


def write(path, primary, **planes):
    fits.HDUList([primary, *(fits.ImageHDU(v, name=k) for k, v in planes.items())]).writeto(path)
    return path


@pytest.mark.parametrize("name", CLASSES)
def test_there_and_back(tmp_path, name):
    rng = np.random.default_rng(2)
    neutral = CLASSES[name].neutral(META)

    def change(x):
        if not isinstance(x, np.ndarray):
            return x
        if x.dtype == np.uint32:
            return (x + (rng.random(x.shape) > 0.9)).astype(np.uint32)
        return (x + 0.5 * (rng.random(x.shape) if x.ndim else 1)).astype(np.float32)

    changed = jax.tree.map(change, neutral)
    if name == "rscd":
        changed = Rscd(2, 3)
    if name == "dark":
        changed = Dark(changed.data, changed.dq, np.full_like(changed.current, 0.25))
    changed.to_file(tmp_path / f"{name}.fits", META)
    back = CLASSES[name].from_file(tmp_path / f"{name}.fits", META)
    assert jax.tree.structure(back) == jax.tree.structure(changed)
    for a, b in zip(jax.tree.leaves(changed), jax.tree.leaves(back), strict=True):
        assert np.asarray(b).dtype == np.asarray(a).dtype
        np.testing.assert_array_equal(a, b)


def test_nan_becomes_a_flag_or_an_identity(tmp_path):
    plane = np.full(META.shape, 2.0)  # float64, as many real files are
    plane[5, 6] = np.nan
    saturation = Saturation.from_file(write(tmp_path / "s.fits", header("SATURATION"), SCI=plane), META)
    assert saturation.data[5, 6] == NEVER
    assert saturation.dq[5, 6] == flags.NO_SAT_CHECK
    assert saturation.data.dtype == np.float32
    coeffs = np.stack([0 * plane, np.ones(META.shape), 1e-6 * plane])
    coeffs[1, 7, 8] = 0
    linearity = Linearity.from_file(write(tmp_path / "l.fits", header("LINEARITY"), COEFFS=coeffs), META)
    for y, x in ((5, 6), (7, 8)):
        np.testing.assert_array_equal(linearity.coeffs[:, y, x], [0, 1, 0])
        assert linearity.dq[y, x] == flags.NO_LIN_CORR
    assert Gain.from_file(write(tmp_path / "g.fits", header("GAIN", GAINFACT=1.1), SCI=plane), META).data[5, 6] == 0
    assert Gain.from_file(tmp_path / "g.fits", META).factor == np.float32(1.1)


def test_full_frame_files_are_cut(tmp_path):
    full = np.arange(1024 * 1032, dtype=np.float32).reshape(1024, 1032)
    path = write(tmp_path / "r.fits", header("READNOISE", SUBARRAY="FULL", SUBSTRT2=1), SCI=full)
    np.testing.assert_array_equal(ReadNoise.from_file(path, META).data, full[528 : 528 + 416, :72])
    with pytest.raises(InputError, match="SLITLESSPRISM"):
        ReadNoise.from_file(path, replace(META, y_start=700))


def test_darks_meet_the_groups_of_the_exposure(tmp_path):
    frames = np.arange(12, dtype=np.float32)[:, None, None] * np.ones(META.shape, np.float32)
    data = np.stack([frames, 10 * frames])
    path = write(tmp_path / "d.fits", header("DARK", NFRAMES=1, GROUPGAP=0), SCI=data)
    np.testing.assert_array_equal(Dark.from_file(path, META).data[:, :, 0, 0], [[0, 1, 2, 3], [0, 10, 20, 30]])
    averaged = Dark.from_file(path, replace(META, nframes=2, groupgap=1))
    np.testing.assert_array_equal(averaged.data[0, :, 0, 0], [0.5, 3.5, 6.5, 9.5])
    longer = Dark.from_file(path, replace(META, ngroups=14))
    np.testing.assert_array_equal(longer.data[1, -3:, 0, 0], [110, 120, 130])
    deep = write(tmp_path / "deep.fits", header("DARK", NFRAMES=4, GROUPGAP=0), SCI=data)
    with pytest.raises(InputError, match=r"deep\.fits"):
        Dark.from_file(deep, META)


def test_resets_are_cut_or_padded(tmp_path):
    data = np.ones((2, 3, *META.shape), np.float32)
    path = write(tmp_path / "reset.fits", header("RESET"), SCI=data)
    np.testing.assert_array_equal(Reset.from_file(path, META).data[1, :, 0, 0], [1, 1, 1, 0])
    assert Reset.from_file(path, replace(META, ngroups=2)).data.shape[1] == 2


def test_the_most_specific_file_is_chosen(tmp_path):
    plane = np.ones(META.shape, np.float32)
    (tmp_path / "a" / "b").mkdir(parents=True)
    write(tmp_path / "z_generic.fits", header("GAIN", SUBARRAY="GENERIC"), SCI=plane)
    write(tmp_path / "a" / "b" / "own.fits", header("GAIN"), SCI=2 * plane)
    write(tmp_path / "z_other.fits", header("GAIN", SUBARRAY="SUB64"), SCI=3 * plane)
    write(tmp_path / "z_near.fits", header("GAIN", INSTRUME="NIRCAM"), SCI=3 * plane)
    write(tmp_path / "fast.fits", header("READNOISE", READPATT="N/A", P_READPA="FASTR1|FAST|"), SCI=plane)
    write(tmp_path / "slow.fits", header("READNOISE", READPATT="SLOWR1"), SCI=plane)
    (tmp_path / "e.json").write_text(json.dumps({"reftype": "EXTRACT1D", "meta": {"instrument": {"name": "MIRI"}}}))
    found = library.find(tmp_path, META, ("gain", "readnoise", "extract1d", "dark"))
    assert {k: p.name for k, p in found.items()} == {
        "gain": "own.fits",
        "readnoise": "fast.fits",
        "extract1d": "e.json",
    }
    loaded = library.load({"gain": found["gain"]}, META, CLASSES)
    assert (loaded["gain"].data == 2).all()


def test_a_useless_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        library.find(tmp_path / "nowhere", META, ("gain",))
    with pytest.raises(InputError, match="no reference file in it"):
        library.find(tmp_path, META, ("gain",))
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE")
    with pytest.raises(InputError, match=r"broken\.fits"):
        library.find(tmp_path, META, ("gain",))


def test_emicorr_picks_the_case_of_the_exposure(tmp_path):
    import asdf

    wave = np.sin(np.arange(8.0))
    tree = {
        "reftype": "EMICORR",
        "meta": {"reftype": "EMICORR", "instrument": {"name": "MIRI"}},
        "frequencies": {
            "Hz390": {"frequency": 390.625, "phase_amplitudes": wave},
            "Hz10": {"frequency": 10.0, "phase_amplitudes": -wave},
        },
        "subarray_cases": {
            "SLITLESSPRISM": {
                "rowclocks": 28,
                "frameclocks": 15904,
                "freqs": {"FAST": ["Hz390", "Hz10"], "SLOW": {"MIRIMAGE": ["Hz10"]}},
            }
        },
    }
    path = tmp_path / "jwst_miri_emicorr_0001.asdf"
    asdf.AsdfFile(tree).write_to(path)
    assert library.find(tmp_path, META, ["emicorr"]) == {"emicorr": path}
    fast = Emicorr.from_file(path, META)
    np.testing.assert_allclose([w.period_clocks for w in fast.waves], [256.0, 10000.0])
    np.testing.assert_array_equal(fast.waves[1].waveform, -wave)
    assert (fast.row_clocks, fast.reset_clocks, fast.samples) == (28, 15904, 1)
    slow = Emicorr.from_file(path, replace(META, pattern="SLOW"))
    assert (len(slow.waves), slow.reset_clocks, slow.samples) == (1, 0, 9)
    assert Emicorr.from_file(path, replace(META, subarray="SUB64")).waves == ()
    broken = tmp_path / "broken.asdf"
    broken.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="broken.asdf"):
        Emicorr.from_file(broken, META)
