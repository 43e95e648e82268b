"""`calibrate --crds`: references through the crds client, from a local cache without a server."""

import sys

import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.reduce import reftypes
from uptheramp.calibrate.references import crds as references
from uptheramp.calibrate.settings import recipe
from uptheramp.scenarios.real import calibrate_files

pytest.importorskip("crds")


def quiet(*_):
    pass


@pytest.fixture
def cache(shared, tmp_path, monkeypatch, prism):
    """Neutral references of Stage 1 in a cache; two files of one type, of which one is for another subarray."""
    monkeypatch.syspath_prepend(str(shared / "peer"))
    import fake_crds
    from crds.core import utils

    meta, made = prism(), tmp_path / "made"
    classes = reftypes(recipe("jwst_3_0", "near_ir", meta.exp_type).stage1)
    entries = []
    for reftype in ("mask", "saturation", "superbias", "linearity", "dark", "gain", "readnoise"):
        for subarray in ("SUB512", "SUB2048") if reftype == "superbias" else ("SUB512",):
            path = made / f"{reftype}_{subarray}.fits"
            reference = classes[reftype].neutral(meta)
            reference.to_file(path, meta)
            keys = {"META.INSTRUMENT.DETECTOR": "NRS1", "META.SUBARRAY.NAME": subarray}
            entries.append({"instrument": "NIRSPEC", "reftype": reftype, "parkeys": keys, "path": path})
    fake_crds.build(tmp_path / "cache", entries, [*classes, "flat"])
    for name, value in fake_crds.env(tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    utils.clear_function_caches()
    yield tmp_path / "cache" / "references" / "jwst" / "nirspec"
    utils.clear_function_caches()
    sys.modules.pop("fake_crds")


def test_rules_choose_and_what_they_lack_is_left_out(cache, write_uncal):
    (path,), _ = write_uncal()
    found = references.find(path, ["superbias", "gain", "flat", "wavemap"])
    assert found == {"gain": cache / "gain_SUB512.fits", "superbias": cache / "superbias_SUB512.fits"}


def test_reduction_is_that_with_a_folder(cache, write_uncal, prism, tmp_path):
    (path,), _ = write_uncal(prism(nints=2))

    def rates(name, refs, from_crds):
        calibrate_files([path], tmp_path / name, refs, (1,), "jwst_3_0", None, {}, quiet, from_crds=from_crds)
        return fits.getdata(tmp_path / name / "toy_rateints.fits", "SCI")

    ours = rates("crds", None, True)
    (cache / "superbias_SUB2048.fits").unlink()  # its header says SUB512 too
    assert np.isfinite(ours).any()
    np.testing.assert_array_equal(ours, rates("folder", cache, False))


def test_types_that_the_rules_lack_are_listed_at_once(cache, write_uncal, tmp_path):
    (path,), _ = write_uncal()
    with pytest.raises(InputError, match=r"toy.*in CRDS for extract1d .*, wavemap"):
        calibrate_files([path], tmp_path / "out", None, (1, 2), "jwst_3_0", None, {}, quiet, from_crds=True)
    assert not (tmp_path / "out").exists()


def test_files_that_the_cache_lacks_are_named(cache, write_uncal):
    (path,), _ = write_uncal()
    for name in ("gain", "dark"):
        (cache / f"{name}_SUB512.fits").unlink()
    with pytest.raises(InputError, match=r"cannot fetch dark_SUB512\.fits, gain_SUB512\.fits .*CRDS_PATH is"):
        references.find(path, ["superbias", "gain", "dark"])


def test_an_unknown_context_is_named(cache, write_uncal, monkeypatch):
    (path,), _ = write_uncal()
    monkeypatch.setenv("CRDS_CONTEXT", "jwst_0001.pmap")
    with pytest.raises(InputError, match=r"jwst_0001\.pmap"):
        references.find(path, ["gain"])


def test_without_cache_and_server(cache, write_uncal, monkeypatch, tmp_path):
    from crds.core import utils

    (path,), _ = write_uncal()
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "nowhere"))
    utils.clear_function_caches()
    with pytest.raises(InputError, match=r"neither a cache nor a server; CRDS_PATH is .*nowhere"):
        references.find(path, ["gain"])
