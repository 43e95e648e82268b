"""The official aperture of a slit spectrum: counted from the corner of the cut-out, or moved to the source."""

import json

import numpy as np
import pytest

import optics
from uptheramp.calibrate.references import library
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.optics import slit

pytestmark = pytest.mark.filterwarnings("ignore")


EDGES = {
    "rows": {"ystart": 3, "ystop": 8},
    "of pixels": {"src_coeff": [[2.3, 1e-3], [7.1, 1e-3]]},
    "of wavelength": {"independent_var": "wavelength", "src_coeff": [[1.2, 0.4, 0.01], [6.3, 0.4]]},
    "regions": {"independent_var": "wavelength", "src_coeff": [[1.2, 0.4], [4.3, 0.4], [6.3, 0.2], [8.7, 0.2]]},
}


def placed(folder, aperture, name="slit_prism"):
    case = optics.CASES[name]
    paths = case.write(folder, case.meta)
    del paths["wavecorr"]
    content = {"reftype": "EXTRACT1D", "apertures": [{"id": "S1600A1", "dispaxis": 1, **aperture}]}
    paths["extract1d"] = folder / "extract1d.json"
    paths["extract1d"].write_text(json.dumps(content))
    loaded = library.load(paths, case.meta, {"extract1d": Extract1d})
    return loaded["extract1d"], slit.box(paths, case.meta), case.meta, paths


def edges(aperture, column):
    return [np.polyval(edge[::-1], column) for edge in (aperture.lower, aperture.upper)]


def test_pixels_count_from_the_corner_of_the_cut_out(tmp_path):
    coefficients = [[2.0, 0.01, 1e-5], [9.0, 0.01, 1e-5]]
    windows = {"bkg_coeff": [[0.0], [1.0, 0.002]], "xstart": 3, "xstop": 300}
    found, cut, _, _ = placed(tmp_path, {"src_coeff": coefficients, "use_source_posn": False, **windows})
    x, y = cut.columns[0], cut.rows[0]
    assert x > 0 and y > 0
    column = np.arange(x, x + 300.0)
    expected = [np.polyval(edge[::-1], column - x) + y for edge in coefficients]
    np.testing.assert_allclose(edges(found, column), expected, rtol=1e-12)
    np.testing.assert_allclose(np.polyval(found.background[0, 1][::-1], column), 1 + 0.002 * (column - x) + y)
    assert (found.first, found.last) == (3 + x, 300 + x)


def test_without_edges_it_is_the_whole_cut_out(tmp_path):
    found, cut, _, _ = placed(tmp_path, {"use_source_posn": False})
    np.testing.assert_allclose(edges(found, 100.0), [cut.rows[0] - 0.5, cut.rows[1] - 0.5])


def test_without_the_optics_the_file_is_read_as_it_is(tmp_path):
    _, _, meta, paths = placed(tmp_path, {"ystart": 3, "ystop": 9})
    alone = library.load({"extract1d": paths["extract1d"]}, meta, {"extract1d": Extract1d})["extract1d"]
    np.testing.assert_allclose(edges(alone, 100.0), [2.5, 9.5])


@pytest.mark.peer
@pytest.mark.parametrize("edges_of", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize("name", ["slit_prism", "slit_grating_nrs2"])
def test_aperture_stands_where_the_official_one_does(tmp_path, name, edges_of):
    official = pytest.importorskip("jwst.extract_1d.extract")
    found, cut, meta, paths = placed(tmp_path, edges_of, name)
    model = optics.slit_model(meta, paths)
    parameters = official.get_extract_parameters(
        json.loads(paths["extract1d"].read_text()), model, "S1600A1", 1, model.meta
    )
    assert parameters["use_source_posn"]
    parameters["dispaxis"] = 1
    profile = official.define_aperture(model, None, parameters, meta.exp_type)[3]
    rows, columns = (slice(max(first, 0), stop) for first, stop in (cut.rows, cut.columns))
    ours = np.asarray(found.inside(meta.shape))[rows, columns]
    theirs = profile[: ours.shape[0], : ours.shape[1]]
    lit = np.isfinite(cut.wavelength_um(*cut.pixels()))[: ours.shape[0], : ours.shape[1]]
    np.testing.assert_allclose(np.where(lit, ours, 0), theirs, atol=2e-5)
    assert theirs.sum() > 1000
