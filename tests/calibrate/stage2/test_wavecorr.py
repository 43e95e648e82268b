"""Wavelengths of a point source off the middle of its slit."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references import library
from uptheramp.calibrate.references.optics import source
from uptheramp.calibrate.references.wavecorr import Wavecorr
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.calibrate.stage2.assign_wcs import AssignWcsRefs, assign_wcs
from uptheramp.calibrate.stage2.wavecorr import WavecorrRefs, wavecorr
from uptheramp.calibrate.state import Rates

GOLDEN = Path(__file__).parents[2] / "golden" / "wavelengths.npz"
SLITS = pytest.mark.parametrize("name", ["slit_grating", "slit_grating_nrs2", "slit_prism"])
pytestmark = pytest.mark.filterwarnings("ignore")


def rates(meta):
    plane = jnp.ones((1, *meta.shape), jnp.float32)
    return Rates(plane, plane, plane, plane, jnp.zeros(plane.shape, jnp.uint32), jnp.arange(1))


def corrected(meta, paths):
    """The wavelengths of the two steps, from a folder's files."""
    classes = {"wavemap": Wavemap, "wavecorr": Wavecorr}
    loaded = library.load(paths, meta, classes)
    state, _ = assign_wcs(rates(meta), AssignWcsRefs(loaded["wavemap"]), None)
    state, _ = jax.jit(lambda s: wavecorr(s, WavecorrRefs(loaded["wavecorr"]), None))(state)
    return np.asarray(state.wavelength_um), loaded


@SLITS
def test_wavelengths_are_the_official_ones_on_record(tmp_path, name):
    case = optics.CASES[name]
    found, loaded = corrected(case.meta, case.write(tmp_path, case.meta))
    with np.load(GOLDEN) as golden:
        where = np.ix_(golden[f"{name}_rows"], golden[f"{name}_columns"])
        np.testing.assert_allclose(found[where], golden[f"{name}_corrected"], rtol=2e-7)
    moved = found - loaded["wavemap"].wavelength_um
    assert np.nanmin(np.abs(moved)) > 1e-5  # um: the source is not in the middle


@pytest.mark.peer
@pytest.mark.parametrize("name", ["slit_grating_nrs2", "slit_prism"])
def test_wavelengths_are_the_official_ones(tmp_path, name):
    pytest.importorskip("jwst")
    case = optics.CASES[name]
    paths = case.write(tmp_path, case.meta)
    official, _ = optics.official(case.meta, paths, corrected=True)
    np.testing.assert_allclose(corrected(case.meta, paths)[0], official, rtol=2e-7)


def test_source_in_the_middle_of_the_aperture_stays(tmp_path):
    case = optics.CASES["slit_grating"]
    paths = case.write(tmp_path, case.meta)
    unknown = replace(case.meta, geometry=replace(case.meta.geometry, x_offset_arcsec=None))
    assert source.place(paths, unknown) == (0.0, 0.0)
    found = Wavecorr.from_parts(paths, unknown)
    np.testing.assert_allclose(found.correction_um, 0, atol=1e-12)


def test_slit_without_a_correction_stays(tmp_path):
    case = optics.CASES["fixed_slit"]
    found = Wavecorr.from_parts(case.write(tmp_path, case.meta), case.meta)
    assert not found.correction_um.any()


def test_correction_needs_the_optics(tmp_path):
    case = optics.CASES["slit_grating"]
    paths = case.write(tmp_path, case.meta)
    with pytest.raises(InputError, match=r"wavecorr\.asdf: wavecorr needs camera, collimator, .*wavecorr\.skip=true"):
        library.load({"wavecorr": paths["wavecorr"]}, case.meta, {"wavecorr": Wavecorr})


def test_ends_go_on_in_straight_lines_and_derivatives_are_finite():
    reference = Wavecorr(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.3, 0.2]))
    lam = np.array([[0.5, 1.5, 2.5, 4.0, np.nan]], np.float32)
    state = replace(rates(type("Meta", (), {"shape": lam.shape})), wavelength_um=jnp.asarray(lam))

    def moved(correction):
        refs = WavecorrRefs(replace(reference, correction_um=correction))
        return wavecorr(state, refs, None)[0].wavelength_um

    np.testing.assert_allclose(moved(reference.correction_um), [[0.5, 1.7, 2.75, 4.1, np.nan]], rtol=1e-6)
    slope = jax.grad(lambda correction: jnp.nansum(moved(correction)))(jnp.asarray(reference.correction_um))
    # the weights of the knots: those of each wavelength add up to one
    np.testing.assert_allclose(slope, [2.0, -0.5, 2.5], atol=1e-6)
