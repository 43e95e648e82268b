"""Light that is lost at the edges of a slit."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
import slit_losses
from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references import library
from uptheramp.calibrate.references.optics import rows, sky, source
from uptheramp.calibrate.references.pathloss import Pathloss
from uptheramp.calibrate.references.wavecorr import Wavecorr
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.calibrate.stage2.assign_wcs import AssignWcsRefs, assign_wcs
from uptheramp.calibrate.stage2.pathloss import PathlossParams, PathlossRefs, pathloss
from uptheramp.calibrate.stage2.table import TABLES
from uptheramp.calibrate.stage2.wavecorr import WavecorrRefs, wavecorr
from uptheramp.calibrate.state import Rates

pytestmark = pytest.mark.filterwarnings("ignore")
SLIT = replace(optics.FIXED_SLIT, subarray="SUBS400A1", y_start=1035, y_size=48, tso=False)
# of the slit that has a wavelength correction
WIDE = replace(SLIT, subarray="ALLSLITS", y_start=1016, y_size=64, geometry=replace(SLIT.geometry, slit="S1600A1"))
PRISM = replace(
    optics.LRS_SLIT,
    tso=False,
    geometry=replace(optics.POINTING, target_ra_deg=10.0, target_dec_deg=20.0, va_scale=1.0001),
)


def at(meta, **place):
    return replace(meta, geometry=replace(meta.geometry, **place))


def toward(meta, v2_arcsec, v3_arcsec):
    """The target so far from the reference point, in the telescope's axes (small angles)."""
    g = meta.geometry
    roll = np.deg2rad(g.roll_ref_deg)
    east = v2_arcsec * np.cos(roll) + v3_arcsec * np.sin(roll)
    north = -v2_arcsec * np.sin(roll) + v3_arcsec * np.cos(roll)
    ra = g.ra_ref_deg + east / 3600 / np.cos(np.deg2rad(g.dec_ref_deg))
    return at(meta, target_ra_deg=ra, target_dec_deg=g.dec_ref_deg + north / 3600)


def standing(meta, paths, across, along):
    """The target at a place in the slit of NIRSpec: the offsets that lead there, as the made-up optics are linear."""

    def place(x, y):
        return np.array(source.place(paths, at(meta, x_offset_arcsec=x, y_offset_arcsec=y)))

    zero = place(0.0, 0.0)
    slopes = np.column_stack([place(1.0, 0.0) - zero, place(0.0, 1.0) - zero])
    x, y = np.linalg.solve(slopes, np.array([across, along]) - zero)
    return at(meta, x_offset_arcsec=float(x), y_offset_arcsec=float(y))


def noise(meta):
    rng = np.random.default_rng(3)
    planes = [np.float32(rng.uniform(0.5, 2, (meta.nints, *meta.shape))) for _ in range(4)]
    dq = np.zeros((meta.nints, *meta.shape), np.uint32)
    return Rates(*planes, dq, np.arange(meta.nints))


def files(folder, meta):
    if meta.instrument == "MIRI":
        return optics.rows(folder, meta) | {"pathloss": slit_losses.of_prism(folder, meta)}
    return optics.slit(folder, meta) | {"pathloss": slit_losses.of_slit(folder, meta)}


def corrected(meta, paths, offset=0.0):
    """The rates before and after, with our reading of the files."""
    loaded = library.load(paths, meta, {"wavemap": Wavemap, "wavecorr": Wavecorr, "pathloss": Pathloss})
    before, _ = assign_wcs(noise(meta), AssignWcsRefs(loaded["wavemap"]), None)
    before, _ = wavecorr(before, WavecorrRefs(loaded.get("wavecorr")), None)
    refs = PathlossRefs(loaded["pathloss"], loaded["wavemap"])
    after, _ = jax.jit(lambda s: pathloss(s, refs, PathlossParams(offset)))(before)
    return before, after


def planes(state):
    return {"data": state.data, "err": state.err, "var_poisson": state.var_poisson, "var_rnoise": state.var_rnoise,
            "var_flat": state.var_flat}  # fmt: skip


def same(ours, theirs):
    """Equal where the official image has a value; elsewhere ours is not used or has no wavelength."""
    theirs, good = np.asarray(theirs), np.isfinite(theirs)
    unusable = ((np.asarray(ours.dq) & flags.DO_NOT_USE) != 0) | np.isnan(ours.wavelength_um)
    np.testing.assert_array_equal(good, ~unusable)
    return good


def official_slit(meta, paths, before):
    from jwst.pathloss.pathloss import do_correction_fixedslit
    from stdatamodels.jwst import datamodels

    model = optics.slit_model(meta, paths, corrected=True)
    rows_, columns = (slice(start - 1, start - 1 + size) for start, size in zip(
        (model.ystart, model.xstart), model.data.shape[-2:], strict=True))  # fmt: skip
    for name, plane in planes(before).items():
        setattr(model, name, np.asarray(plane)[:, rows_, columns].copy())
    whole = datamodels.MultiSlitModel()
    whole.update(optics.exposure(meta))
    whole.slits.append(model)
    with datamodels.PathlossModel(paths["pathloss"]) as reference:
        do_correction_fixedslit(whole, reference)
    return whole, (rows_, columns)


ROUGH = 5e-5  # the table jumps by half within 0.025 um, and wavelengths are float32
OFF, EDGE = (0.21, -0.1), (-0.52, 0.45)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("meta", "kind", "place"),
    [(SLIT, "POINT", OFF), (SLIT, "EXTENDED", OFF), (WIDE, "POINT", EDGE), (WIDE, "EXTENDED", EDGE)],
    ids=["narrow, point", "narrow, extended", "wide, point at the edge", "wide, extended"],
)
def test_slit_of_nirspec_as_the_official_step(tmp_path, meta, kind, place):
    pytest.importorskip("jwst")
    paths = files(tmp_path, meta)
    meta = replace(standing(meta, paths, *place), source_type=kind)
    before, after = corrected(meta, paths)
    whole, (rows_, columns) = official_slit(meta, paths, before)
    theirs = whole.slits[0]
    assert (theirs.source_xpos, theirs.source_ypos) == pytest.approx(source.place(paths, meta), abs=1e-9)
    cut = replace(
        after,
        dq=after.dq[:, rows_, columns],
        wavelength_um=after.wavelength_um[rows_, columns],
    )
    assert whole.meta.cal_step.pathloss == "COMPLETE"
    assert theirs.pathloss_correction_type == {"POINT": "POINT", "EXTENDED": "UNIFORM"}[kind]
    good = same(cut, theirs.data)
    assert 0.3 < good.mean() < 0.9
    for name, plane in planes(after).items():
        ours = np.asarray(plane)[:, rows_, columns]
        np.testing.assert_allclose(ours[good], np.asarray(getattr(theirs, name))[good], rtol=ROUGH)
    for name in ("pathloss_point", "pathloss_uniform"):
        ours, image = np.asarray(getattr(after, name))[rows_, columns], np.asarray(getattr(theirs, name))
        told = np.isfinite(image)
        np.testing.assert_allclose(ours[told], image[told], rtol=ROUGH)
        np.testing.assert_array_equal(ours[~told], 1)


@pytest.mark.peer
def test_source_outside_of_the_slit_of_nirspec_is_left_alone(tmp_path):
    pytest.importorskip("jwst")
    paths = files(tmp_path, SLIT)
    meta = standing(SLIT, paths, 0.9, 0.0)
    before, after = corrected(meta, paths)
    whole, _ = official_slit(meta, paths, before)
    assert whole.meta.cal_step.pathloss == "SKIPPED"
    np.testing.assert_array_equal(after.data, before.data)
    np.testing.assert_array_equal(after.dq, before.dq)
    with pytest.warns(UserWarning, match="outside of S400A1"):
        Pathloss.from_parts(paths, meta)


def official_prism(meta, paths, before, offset=None):
    from jwst.pathloss import pathloss as official
    from stdatamodels.jwst import datamodels

    model = optics.with_wcs(meta, paths)
    for name, plane in planes(before).items():
        setattr(model, name, np.asarray(plane).copy())
    model.dq = np.asarray(before.dq).copy()
    model.meta.wcsinfo.dispersion_direction = 2
    place = official.get_center(meta.exp_type, model)
    with datamodels.MirLrsPathlossModel(paths["pathloss"]) as reference:
        official.do_correction(model, reference, user_slit_loc=offset)
    return model, place


@pytest.mark.peer
@pytest.mark.parametrize(
    ("target", "offset"),
    [((0.0, 0.0), 0.0), ((0.13, 0.0), 0.08), ((-0.31, 0.17), -0.11), ((2.0, 0.0), 0.0)],
    ids=["middle", "along", "askew", "outside"],
)
def test_slit_of_miri_as_the_official_step(tmp_path, target, offset):
    pytest.importorskip("jwst")
    meta = toward(PRISM, *target)
    paths = files(tmp_path, meta)
    before, after = corrected(meta, paths, offset)
    theirs, place = official_prism(meta, paths, before, offset or None)
    assert place == pytest.approx(rows.place(paths, meta)[:2], abs=1e-6)
    good = same(after, theirs.data)
    assert good.sum() > 3000
    for name, plane in planes(after).items():
        np.testing.assert_allclose(np.asarray(plane)[good], np.asarray(getattr(theirs, name))[good], rtol=2e-5)
    told = np.isfinite(theirs.pathloss_point)
    np.testing.assert_allclose(after.pathloss_point[told], theirs.pathloss_point[told], rtol=2e-5)


@pytest.mark.peer
def test_extended_source_in_the_slit_of_miri_is_left_alone(tmp_path):
    pytest.importorskip("jwst")
    meta = replace(PRISM, source_type="EXTENDED")
    paths = files(tmp_path, meta)
    before, after = corrected(meta, paths)
    model, _ = official_prism(meta, paths, before)
    assert model.meta.cal_step.pathloss == "SKIPPED"
    np.testing.assert_array_equal(after.data, before.data)


def test_pointing_finds_the_reference_point_and_its_axes():
    """V2 and V3 of targets a little off the reference point, by small angles; the stretch of aberration goes out."""
    for v2, v3 in ((0.0, 0.0), (0.3, 0.0), (0.0, -0.4)):
        found = sky.target_v2v3(toward(PRISM, v2, v3).geometry)
        expected = 80.0 + v2 / 1.0001, -500.0 + v3 / 1.0001
        np.testing.assert_allclose(found, expected, atol=3e-6)


def test_target_without_coordinates_is_in_the_middle(tmp_path):
    paths = files(tmp_path, PRISM)
    assert rows.place(paths, at(PRISM, target_ra_deg=None))[:2] == (0.0, 0.0)


def cube(**kwargs):
    point = np.arange(1, 28, dtype=float).reshape(3, 3, 3)
    return Pathloss(np.array([1.0, 2.0, 4.0]), point, np.array([0.5, 1.25]), **kwargs)


def small(*wavelengths):
    lam = jnp.asarray([wavelengths], jnp.float32)
    one = jnp.ones((1, *lam.shape), jnp.float32)
    return Rates(one, one, one, one, jnp.zeros(one.shape, jnp.uint32), jnp.arange(1), wavelength_um=lam)


def test_bilinear_in_place_then_linear_in_wavelength():
    state, _ = pathloss(small(1.5, 3.0, np.nan, 5.0), PathlossRefs(cube(), None), PathlossParams())
    # column 0.5, row 1.25 of planes that start at 1, 10, 19: 1 + 0.5 + 3 * 1.25
    value = np.array([5.25 + 4.5, 5.25 + 13.5])
    np.testing.assert_allclose(state.data[0, 0], [*1 / value, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(state.var_flat[0, 0], [*1 / value**2, 1, 1], rtol=1e-6)
    np.testing.assert_array_equal(state.dq[0, 0], [0, 0, 0, flags.DO_NOT_USE])


def test_derivatives_to_the_place_and_the_table_are_right():
    state, table = small(1.5, 3.0, np.nan, 5.0), cube(multiplies=True)

    def total(place, point):
        refs = PathlossRefs(replace(table, place_px=place, point=point), None)
        return pathloss(state, refs, PathlossParams())[0].data.sum()

    by_place, by_point = jax.grad(total, (0, 1))(jnp.asarray(table.place_px), jnp.asarray(table.point))
    np.testing.assert_allclose(by_place, [2.0, 6.0])  # a column adds 1 and a row 3 to each of two pixels
    assert np.isfinite(by_point).all() and float(by_point.sum()) == pytest.approx(2.0)


def test_neutral_changes_nothing():
    before = small(1.5, 3.0, np.nan, 5.0)
    meta = type("Meta", (), {"shape": (1, 4)})
    after, _ = pathloss(before, PathlossRefs(Pathloss.neutral(meta), None), PathlossParams())
    for name in ("data", "var_poisson", "var_rnoise", "var_flat", "dq"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    alone, _ = pathloss(before, PathlossRefs(None, None), PathlossParams())
    assert alone is before


def test_file_alone_is_refused_and_wavelengths_are_needed(tmp_path):
    path = slit_losses.of_slit(tmp_path, SLIT)
    with pytest.raises(InputError, match=r"pathloss needs camera, .*pathloss\.skip=true"):
        library.load({"pathloss": path}, SLIT, {"pathloss": Pathloss})
    with pytest.raises(InputError, match="skip pathloss too"):
        pathloss(replace(small(1.0), wavelength_um=None), PathlossRefs(cube(), None), PathlossParams())


@pytest.mark.parametrize("table", TABLES)
def test_stands_between_flat_and_photom_of_slits_alone(table):
    for exp_type, steps in TABLES[table].items():
        names = [step.name for step in steps]
        if exp_type not in ("NRS_FIXEDSLIT", "MIR_LRS-FIXEDSLIT"):
            assert "pathloss" not in names
        else:
            assert names.index("flat_field") < names.index("pathloss") == names.index("photom") - 1
