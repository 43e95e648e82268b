"""Files of CRDS itself: the optics of NIRSpec and a NIRCam grism, against the official pipeline on the same files.

Of NIRSpec only MSA is not among them; it is made here, with S1600A1 where its aperture lies in V2 and V3.
"""

from dataclasses import replace

import numpy as np
import pytest
from astropy.modeling.models import Identity

import optics
from uptheramp.calibrate.references.optics import slit, source, trees
from uptheramp.calibrate.references.optics.models import MODELS

V2, V3 = 321.53, -473.75  # arcsec, S1600A1
pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
AT_S1600A1 = replace(
    optics.BOTS.geometry, v2_ref_arcsec=V2, v3_ref_arcsec=V3, v3_ideal_angle_deg=138.5, x_offset_arcsec=0.3,
    y_offset_arcsec=0.2,
)  # fmt: skip
G395H = replace(optics.BOTS, detector="NRS2", y_start=962, y_size=46, geometry=AT_S1600A1)
PRISM = replace(
    optics.BOTS_PRISM, x_start=1025, x_size=512, y_start=959, y_size=32, geometry=AT_S1600A1
)  # fmt: skip


@pytest.fixture
def folder(shared):
    return shared / "realdata" / "crds_refs_jwst_validation_notebooks"


def nirspec(folder, made, disperser, fore):
    numbers = {"camera": "0004", "collimator": "0004", "fpa": "0005", "ote": "0005", "wavelengthrange": "0004"}
    numbers |= {"disperser": disperser, "fore": fore}
    paths = {name: folder / "nirspec" / f"jwst_nirspec_{name}_{n}.asdf" for name, n in numbers.items()}
    return paths | {"msa": slits(paths, made / "msa.asdf")}


def slits(paths, path):
    """An MSA whose fixed slits are all 1.6 arcsec wide and high, at V2 and V3."""
    from stdatamodels.jwst import datamodels

    (telescope,), (fore,) = (trees.read(paths[name], "model") for name in ("ote", "fore"))

    def plane(v2, v3):
        return np.array([float(np.squeeze(x)) for x in fore.inverse(*telescope.inverse(v2, v3), 2e-6)])

    middle = plane(V2, V3)
    table = np.zeros(5, [("NO", "i4"), ("XC", "f8"), ("YC", "f8"), ("SIZEX", "f8"), ("SIZEY", "f8")])
    table["XC"], table["YC"] = middle
    table["SIZEX"] = table["SIZEY"] = 1.6 * np.hypot(*(plane(V2 + 1, V3) - middle))
    quadrants = [f"Q{n}" for n in range(1, 6)]
    made = datamodels.MSAModel(models=dict.fromkeys(quadrants, Identity(2)), data=dict.fromkeys(quadrants, table))
    made.meta.reftype = "msa"
    return optics.write(made, optics.BOTS, path)


@pytest.mark.parametrize(
    ("meta", "disperser", "fore", "ends_um"),
    [
        pytest.param(G395H, "0035", "0022", (3.83, 5.20), id="G395H"),
        pytest.param(PRISM, "0034", "0028", (0.54, 5.38), id="PRISM"),
    ],
)
def test_nirspec(tmp_path, folder, meta, disperser, fore, ends_um):
    pytest.importorskip("jwst")
    paths = nirspec(folder, tmp_path, disperser, fore)
    model = optics.slit_model(meta, paths)
    found = slit.light(paths, meta)
    assert found.corner == (model.xstart - 1, model.ystart - 1)
    height, width = model.wavelength.shape
    x, y = found.corner
    np.testing.assert_allclose(found.wavelength_um[y:, x:][:height, :width], model.wavelength, rtol=1e-7)
    assert ends_um[0] < np.nanmin(found.wavelength_um) < np.nanmax(found.wavelength_um) < ends_um[1]
    np.testing.assert_allclose(source.place(paths, meta), (model.source_xpos, model.source_ypos), rtol=1e-9)


def test_nircam(tmp_path, folder):
    pytest.importorskip("jwst")
    specwcs = folder / "nircam" / "jwst_nircam_specwcs_0010.asdf"
    paths = {"specwcs": specwcs, "distortion": optics.grism(tmp_path, optics.GRISM, inverse=True)["distortion"]}
    official, _ = optics.official(optics.GRISM, paths)
    found = MODELS["NRC_TSGRISM"].light(paths, optics.GRISM).wavelength_um
    np.testing.assert_allclose(found, official, rtol=1e-12)
