"""Bad input ends in one line that names the file and the remedy, exit code 2, and no product (DESIGN section 4)."""

import sys

import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate.io.times import GROUP, INT_TIMES
from uptheramp.scenarios import cache
from uptheramp.scenarios.cli import main

SCENARIO = """
name = "toy"
summary = "a toy"
[star]
teff_k = 5000.0
k_mag = 11.0
[planet]
period_d = 4.0
a_rs = 11.0
inclination_deg = 88.0
radius_ratio = {{ x = [0.5, 12.0], y = [{depth}, 0.14] }}
u1 = {{ x = [0.5, 12.0], y = [0.1, 0.1] }}
u2 = {{ x = [0.5, 12.0], y = [0.1, 0.1] }}
[[mode]]
mode = "{mode}"
ngroups = {ngroups}
nints = {nints}
{more}
"""


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path):
    """Run a command that must be refused; returns its one line."""
    monkeypatch.setattr(cache, "enable", lambda: None)

    def run(*words):
        out = tmp_path / "out"
        monkeypatch.setattr(sys, "argv", ["uptheramp", *map(str, words), "-o", str(out)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        text = capsys.readouterr().err
        line = next(row for row in text.splitlines() if row.startswith("uptheramp:"))
        assert text.strip().endswith(line)
        assert "Traceback" not in text
        assert not [p for p in out.rglob("*") if p.is_file()]
        return line

    return run


def edit(path, **cards):
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update(cards)


@pytest.fixture
def uncal(write_uncal):
    return write_uncal()[0][0]


@pytest.fixture
def refs(tmp_path, prism):
    from uptheramp.calibrate.references.superbias import Superbias

    folder = tmp_path / "refs"
    Superbias.neutral(prism()).to_file(folder / "superbias.fits", prism())
    return folder


def test_missing_file(refused, tmp_path):
    assert "nothing.fits: no such file" in refused("calibrate", tmp_path / "nothing.fits")


def test_truncated_file(refused, uncal, refs):
    uncal.write_bytes(uncal.read_bytes()[:500_000])
    line = refused("calibrate", uncal, "--refs", refs)
    assert uncal.name in line and "truncated" in line


def test_wrong_product(refused, tmp_path):
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros((3, 3), np.float32)).writeto(path)
    line = refused("calibrate", path)
    assert "image.fits" in line and "uncal, rateints" in line


def test_missing_references_are_listed_at_once(refused, uncal, refs):
    line = refused("calibrate", uncal, "--refs", refs)
    assert uncal.name in line
    for reftype in ("mask", "saturation", "linearity", "dark", "gain", "readnoise"):
        assert reftype in line
    assert "superbias (for" not in line


def test_no_reference_folder(refused, uncal, tmp_path):
    assert "no --refs folder" in refused("calibrate", uncal)
    assert "no such folder" in refused("calibrate", uncal, "--refs", tmp_path / "nowhere")


def test_crds_without_its_client(refused, uncal, monkeypatch):
    monkeypatch.setitem(sys.modules, "crds", None)
    assert "uptheramp[crds]" in refused("calibrate", uncal, "--crds")


def test_eclipses_are_simulated_but_not_judged(refused):
    line = refused("run", "wasp-43b-miri-lrs-eclipse")
    assert "wasp-43b-miri-lrs-eclipse" in line and "uptheramp simulate" in line


@pytest.mark.parametrize(("key", "says"), [("NGROUPS", "no groups"), ("NINTS", "no integrations")])
def test_zero_groups_or_integrations(refused, uncal, refs, key, says):
    edit(uncal, **{key: 0})
    line = refused("calibrate", uncal, "--refs", refs)
    assert uncal.name in line and says in line


def test_unknown_mode_in_a_file(refused, uncal, refs):
    edit(uncal, SUBARRAY="SUB513")
    line = refused("calibrate", uncal, "--refs", refs)
    assert uncal.name in line and "SUB513" in line


def test_interleaved_reference_pixels_are_refused(refused, uncal, refs):
    edit(uncal, READPATT="NRSIRS2RAPID")
    line = refused("calibrate", uncal, "--refs", refs)
    assert uncal.name in line and "NRSIRS2RAPID" in line and "official pipeline" in line


def test_one_integration_has_no_series(refused, write_uncal, prism, refs):
    (path,), _ = write_uncal(prism(nints=1))
    assert "one integration is no time series" in refused("calibrate", path, "--refs", refs)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("jump.rejection_treshold=4", "did you mean rejection_threshold"),
        ("jmp.skip=true", "did you mean jump"),
        ("jump.rejection_threshold=many", "expected float"),
        ("jump=4", "step.parameter=value"),
    ],
)
def test_settings(refused, uncal, refs, setting, says):
    assert says in refused("calibrate", uncal, "--refs", refs, "--set", setting)


@pytest.mark.parametrize("key", ["dq_init.user_supplied_dq", "clean_flicker_noise.user_mask"])
def test_files_among_the_parameters(refused, uncal, refs, tmp_path, key):
    line = refused("calibrate", uncal, "--refs", refs, "--set", f"{key}={tmp_path / 'nothing.fits'}")
    assert "nothing.fits" in line and "FITS image" in line
    fits.PrimaryHDU(np.zeros((3, 3), np.int32)).writeto(tmp_path / "small.fits")
    assert "(32, 512)" in refused("calibrate", uncal, "--refs", refs, "--set", f"{key}={tmp_path / 'small.fits'}")


def test_unknown_table_and_stages(refused, uncal, refs):
    assert "jwst_3_0" in refused("calibrate", uncal, "--refs", refs, "--table", "jwst_30")
    assert "--stages" in refused("calibrate", uncal, "--refs", refs, "--stages", "1,3")


def test_stage_that_comes_before_the_file(refused, tmp_path, prism, times_of):
    from uptheramp.calibrate.io import images

    path, meta = tmp_path / "x_rateints.fits", prism()
    with images.writer(path, meta, times_of(meta), "DN/s", {}):
        pass
    assert "enters at Stage 2" in refused("calibrate", path, "--stages", "1")


def test_empty_int_times(refused, tmp_path, prism):
    from uptheramp.calibrate.io.uncal import UncalWriter

    meta = prism()
    path = tmp_path / "untimed_uncal.fits"
    with UncalWriter(path, meta, np.zeros(0, INT_TIMES), np.zeros(0, GROUP)) as file:
        file.append(np.zeros((7, 3, 32, 512), np.uint16))
    assert "INT_TIMES is missing or empty" in refused("calibrate", path)


def scenario(tmp_path, depth=0.14, mode="nirspec_prism", ngroups=5, nints=10, more=""):
    path = tmp_path / "toy.toml"
    path.write_text(SCENARIO.format(depth=depth, mode=mode, ngroups=ngroups, nints=nints, more=more))
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mode": "nirspec_prizm"}, "did you mean nirspec_prism"),
        ({"depth": -0.1}, "negative"),
        ({"ngroups": 0}, "ngroups is 0"),
        ({"nints": 0}, "nints is 0"),
        ({"mode": "nircam_f322w2", "ngroups": 5000}, "allows"),
        ({"more": "n_groups = 3"}, "unknown key"),
        ({"more": 'pattern = "FASTR1"'}, "FASTR1"),
        ({"more": "label = 3"}, "label"),
    ],
)
def test_scenarios(refused, tmp_path, changes, says):
    line = refused("run", scenario(tmp_path, **changes))
    assert says in line


def test_unknown_scenario_and_mode_of_it(refused):
    assert "quickstart" in refused("run", "quikstart")
    assert "no mode" in refused("run", "quickstart", "--mode", "soss")
    assert "unknown step table" in refused("run", "quickstart", "--pipeline", "mine", "--mode", "nirspec_prism")


def test_validate_needs_products_and_truth(refused, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds 0 planet spectra" in refused("validate", empty, "--truth", empty)
