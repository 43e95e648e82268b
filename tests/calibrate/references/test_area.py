"""The solid angle of a NIRSpec pixel, from the table of its slits."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references import library
from uptheramp.calibrate.references.photom import Photom


@pytest.fixture
def folder(tmp_path, prism):
    """A folder with PHOTOM and AREA of the bright-object slit."""
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    one = np.ones(2, np.float32)
    Photom(np.float32(2), one * [1, 5], one, "MJy", pixel_sr=1e-13).to_file(tmp_path / "photom.fits", prism())
    table = np.array([("S200A1", 0.02), ("S1600A1", 0.01)], dtype=[("slit_id", "S15"), ("pixarea", "f4")])
    with datamodels.NirspecSlitAreaModel(area_table=table) as model:
        model.meta.instrument.name, model.meta.reftype, model.meta.exposure.type = "NIRSPEC", "AREA", "NRS_BRIGHTOBJ"
        model.save(tmp_path / "area.fits")
    return tmp_path


def load(folder, meta):
    wanted = library.wanted({"photom": Photom}, meta)
    return library.load(library.find(folder, meta, wanted), meta, {"photom": Photom})["photom"]


def test_it_is_that_of_the_official_step(folder, prism):
    found = load(folder, prism()).pixel_sr
    official = pytest.importorskip("jwst.photom.photom")
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    slit = SimpleNamespace(name="S1600A1", meta=SimpleNamespace(photometry=SimpleNamespace()))
    setup = SimpleNamespace(exptype="NRS_BRIGHTOBJ", input=slit)
    with datamodels.open(folder / "area.fits") as model:
        official.DataSet.save_area_nirspec(setup, model)
    assert found == pytest.approx(slit.meta.photometry.pixelarea_steradians, rel=1e-6)
    assert found == pytest.approx(0.01 / 4.2545e10, rel=1e-4)


def test_without_it_that_of_photom_stands(folder, prism):
    (folder / "area.fits").unlink()
    assert load(folder, prism()).pixel_sr == 1e-13


def test_a_slit_that_it_lacks_is_refused(folder, prism):
    other = replace(prism(), exp_type="NRS_FIXEDSLIT", geometry=SimpleNamespace(slit="S400A1"))
    load(folder, prism()).to_file(folder / "other.fits", other)
    with pytest.raises(InputError, match=r"area\.fits: no area for slit S400A1; it has S1600A1, S200A1"):
        Photom.from_parts({"photom": folder / "other.fits", "area": folder / "area.fits"}, other)
