"""The official Stages 1 to 3 run on our Level-1b and reference files as they are, and find our truth, in every mode."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.scenarios.real import calibrate_files
from uptheramp.simulate import truth
from uptheramp.simulate.observation import observe
from uptheramp.simulate.optics import trace
from uptheramp.simulate.ramps import level1b, references
from uptheramp.simulate.ramps.render import build
from uptheramp.simulate.scene import star
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star

# what our files offer and the official pipeline does not ask for: WAVEMAP is ours, and it takes NIRSpec's three flats
OURS_ALONE = {"wavemap"}
# the extraction of SOSS with its default wavelength grid needs minutes and up to 12 GB
LIGHT_SOSS = {"extract_1d": {"soss_n_os": 1, "soss_rtol": 0.1, "soss_max_grid_size": 2000}}


@dataclass(frozen=True)
class Case:
    """A test mode; how far the official wavelengths (pixels) and flux (relative) may be from ours."""

    mode: str
    ngroups: int
    nints: int
    k_mag: float
    subarray: str | None = None
    wavelength_px: float = 0.02
    flux: float = 0.005
    steps: dict = field(default_factory=dict)


# wide wings reach into what the official step takes for sky
SOSS_FLUX = 0.05
SOSS_STEPS = {"spec2": LIGHT_SOSS, "tso3": LIGHT_SOSS}
SLOW = pytest.mark.slow
CASES = [
    pytest.param(Case("nirspec_prism", 4, 4, 11.5), id="prism"),
    pytest.param(Case("nircam_f322w2", 5, 2, 9.0), id="f322w2"),
    # the official step smooths the table of wavelengths
    pytest.param(Case("miri_lrs", 12, 4, 9.0, wavelength_px=0.1), id="lrs"),
    pytest.param(Case("nircam_image_f210m", 4, 3, 10.0), id="nircam_image"),
    pytest.param(Case("miri_image_f1500w", 12, 3, 7.0, "SUB128"), id="miri_image", marks=SLOW),
    pytest.param(Case("nirspec_g395h_nrs1", 5, 2, 10.2), id="g395h_nrs1", marks=SLOW),
    pytest.param(Case("nirspec_g395h_nrs2", 5, 2, 10.2), id="g395h_nrs2", marks=SLOW),
    pytest.param(Case("nircam_f444w", 4, 2, 8.0, "SUBGRISM256"), id="f444w", marks=SLOW),
    pytest.param(Case("niriss_soss", 4, 2, 8.0, "SUBSTRIP96", 0.2, SOSS_FLUX, SOSS_STEPS), id="soss96", marks=SLOW),
    pytest.param(Case("niriss_soss", 4, 2, 9.0, None, 0.2, SOSS_FLUX, SOSS_STEPS), id="soss256", marks=SLOW),
]


@dataclass(frozen=True)
class Run:
    """An exposure and what the official pipeline made of it."""

    case: Case
    observation: object
    truth: truth.Truth
    refs: Path
    out: Path
    report: dict

    def product(self, suffix: str) -> fits.HDUList:
        (path,) = self.out.glob(f"*_{suffix}.fits")
        return fits.open(path, memmap=False)


def no_planet():
    """Out of transit throughout: slopes are compared with one rate."""
    curve = Curve((0.5, 30.0), (0.0, 0.0))
    return Planet(period_d=4.0, a_rs=11.4, inclination_deg=87.7, radius_ratio=curve, u1=curve, u2=curve)


@pytest.fixture(scope="module", params=CASES)
def run(request, shared, tmp_path_factory):
    """Simulate, write references, and run the three stages in a process of their own."""
    pytest.importorskip("jwst")
    case, folder = request.param, tmp_path_factory.mktemp("official")
    observation = observe(
        case.mode,
        ngroups=case.ngroups,
        nints=case.nints,
        star=Star(case.k_mag, 5485.0),
        planet=no_planet(),
        subarray=case.subarray,
    )
    constants = build(observation)
    (uncal,) = level1b.write(observation, folder, constants=constants)
    library = references.make(observation, constants, "oracle")
    paths = references.save(observation, library, folder / "refs")
    keys = {
        "META.INSTRUMENT.DETECTOR": observation.detector.name,
        "META.SUBARRAY.NAME": observation.subarray.name,
        "META.EXPOSURE.TYPE": observation.mode.exp_type,
    }
    entries = [
        {"instrument": observation.instrument.name, "reftype": name, "parkeys": keys, "path": str(path)}
        for name, path in zip(library, paths, strict=True)
        if name not in OURS_ALONE | ({"flat"} if "dflat" in library else set())
    ]
    job = {
        "harness": str(shared / "peer"),
        "cache": str(folder / "crds"),
        "entries": entries,
        "uncal": str(uncal),
        "out": str(folder / "out"),
        "stages": ["detector1", "spec2" if observation.mode.image is None else "image2", "tso3"],
        "steps": case.steps,
    }
    (folder / "out").mkdir()
    (folder / "job.json").write_text(json.dumps(job))
    script = Path(__file__).with_name("official_stages.py")
    done = subprocess.run([sys.executable, str(script), str(folder / "job.json")], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr[-3000:]
    report = json.loads(lines[0].removeprefix("RESULT "))
    assert set(report["references"].values()) <= {Path(entry["path"]).name for entry in entries}
    return Run(case, observation, truth.load(folder / "truth"), folder / "refs", folder / "out", report)


def say(run, text):
    """Figures for docs/parity.md; shown by pytest -s."""
    print(f"{run.case.mode} {run.observation.subarray.name}: {text}")  # noqa: T201


def true_wavelength_um(observation, number=1):
    """By dispersion element, NaN where the table has none; and the dispersion (um per pixel)."""
    order = next(o for o in observation.mode.orders if o.number == number)
    along = observation.shape[observation.mode.dispersion_axis % 2]
    position = np.arange(along, dtype=float)
    lam = np.where(trace.covered(order, position), trace.wavelength(order, position), np.nan)
    return lam, np.abs(np.gradient(lam))


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_slopes_are_the_true_rates(run):
    with run.product("rateints") as hdus:
        rate, error, dq = (np.asarray(hdus[name].data) for name in ("SCI", "ERR", "DQ"))
    light = run.truth.star_e_per_s
    bright = light > (0.3 if run.observation.mode.image is None else 0.05) * light.max()
    usable = np.isfinite(rate) & ((dq & (flags.DO_NOT_USE | flags.JUMP_DET | flags.SATURATED)) == 0)
    good = bright & usable
    true = np.broadcast_to(run.truth.rate_dn_per_s, rate.shape)[good]
    pull = (rate[good] - true) / error[good]
    ratio = np.median(rate[good] / true)
    say(
        run,
        f"{len(pull)} slopes, ratio {ratio:.5f}, pulls {pull.mean():.3f} +- {pull.std():.3f}; {run.report['cpu_s']}",
    )
    # the median of n pulls of unit width is known to 1.25 / sqrt(n); 1/f noise correlates neighbours, so allow 3 of it
    assert abs(np.median(pull)) < 3 * 1.25 / np.sqrt(len(pull)) + 0.15
    # the width of n pulls is known to 1 / sqrt(2 n); errors are of the estimated rate, and 1/f is not among them
    spread = 3 / np.sqrt(2 * len(pull))
    assert 0.9 - spread < pull.std() < 1.25 + spread


@pytest.mark.peer
def test_wavelengths_are_those_of_our_table(run):
    if run.observation.mode.image is not None:
        return
    axis = run.observation.mode.dispersion_axis
    with run.product("x1dints") as hdus:
        tables = [hdu for hdu in hdus if hdu.name == "EXTRACT1D"]
        for table in tables:
            number = table.header["SPORDER"] if len(tables) > 1 else 1
            lam, dispersion = true_wavelength_um(run.observation, number)
            found = np.asarray(table.data["WAVELENGTH"][0], float)
            # the extraction leaves out what its aperture does not cover: each is compared with the nearest element
            nearest = np.nanargmin(np.abs(lam[:, None] - found[None]), axis=0)
            inside = (found > np.nanmin(lam)) & (found < np.nanmax(lam))
            off = (np.abs(found - lam[nearest]) / dispersion[nearest])[inside]
            say(run, f"order {number}: {inside.sum()} wavelengths, farthest {np.nanmax(off):.4f} px from the table")
            assert inside.sum() > 0.8 * np.isfinite(lam).sum()
            assert np.nanmax(off) < run.case.wavelength_px
    with run.product("calints") as hdus:
        if "WAVELENGTH" not in hdus:  # SOSS
            return
        image = np.asarray(hdus["WAVELENGTH"].data, float)
    lam, dispersion = true_wavelength_um(run.observation)
    off = (image - (lam if axis == 1 else lam[:, None])) / (dispersion if axis == 1 else dispersion[:, None])
    say(run, f"image: farthest {np.nanmax(np.abs(off)):.4f} px")
    assert np.nanmax(np.abs(off)) < run.case.wavelength_px


@pytest.mark.peer
def test_products_hold_the_flux_of_the_star(run):
    mode = run.observation.mode
    with run.product("a3001_crfints") as hdus:
        assert len(hdus["SCI"].data) == run.case.nints
    if mode.image is not None:
        (path,) = run.out.glob("*_phot.ecsv")
        assert len(path.read_text().splitlines()) > run.case.nints
        return
    (path,) = run.out.glob("*_whtlt.ecsv")
    with run.product("x1dints") as hdus:
        tables = [hdu for hdu in hdus if hdu.name == "EXTRACT1D"]
        for table in tables:
            lam, flux = (np.asarray(table.data[name], float) for name in ("WAVELENGTH", "FLUX"))
            order = table.header["SPORDER"] if len(tables) > 1 else 1
            own = {o.number: o.useful_range_um for o in mode.orders}
            low, high = own.get(order) or mode.useful_range_um
            good = np.isfinite(flux) & (flux != 0) & (lam > low) & (lam < high)
            scale = 1e6 if table.columns["FLUX"].unit == "MJy" else 1.0
            ratio = scale * flux[good] / star.flux_jy(run.observation.star, lam[good])
            scatter = 1.4826 * np.median(np.abs(ratio - np.median(ratio)))
            say(run, f"order {order}: flux / star {np.median(ratio):.4f}, scatter {scatter:.4f}, {good.sum()} elements")
            if order == 1:
                noise = 3 * 1.25 * scatter / np.sqrt(good.sum())
                assert np.median(ratio) == pytest.approx(1.0, abs=run.case.flux + noise)


def agreement(ours, theirs, error):
    """Largest difference in units of METRICS.md: 1e-5 of the value and 1e-3 of the error."""
    return np.nanmax(np.abs(ours - theirs) / (1e-5 * np.abs(theirs) + 1e-3 * error))


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_images_and_their_photometry_are_ours(run, tmp_path):
    """Our Image2 on the official rateints and our Stage 3 on the official calints, with the same references."""
    if run.observation.mode.image is None:
        return
    for product, stage in (("rateints", 2), ("calints", 3)):
        (path,) = run.out.glob(f"*_{product}.fits")
        calibrate_files([path], tmp_path, run.refs, (stage,), "jwst_3_0", None, {}, lambda *_: None)
    with run.product("calints") as theirs, fits.open(next(tmp_path.glob("*_calints.fits"))) as ours:
        assert ours["SCI"].header["BUNIT"] == theirs["SCI"].header["BUNIT"]
        for card in ("PIXAR_SR", "PIXAR_A2"):
            assert ours["SCI"].header[card] == pytest.approx(theirs["SCI"].header[card], rel=1e-6)
        good = [((hdus["DQ"].data & flags.DO_NOT_USE) == 0) & np.isfinite(hdus["SCI"].data) for hdus in (ours, theirs)]
        np.testing.assert_array_equal(*good)
        error = theirs["ERR"].data[good[0]]
        images = [agreement(ours[n].data[good[0]], theirs[n].data[good[0]], error) for n in ("SCI", "ERR")]
    theirs, ours = (QTable.read(next(folder.glob("*_phot.ecsv"))) for folder in (run.out, tmp_path))
    assert ours.colnames[: len(theirs.colnames)] == theirs.colnames
    off = {}
    for column in theirs.colnames:
        assert ours[column].unit == theirs[column].unit
        a, b = (np.asarray(table[column], float) for table in (ours, theirs))
        off[column] = float(np.abs(a / b - 1).max())
    say(run, f"calints {max(images):.2g} of what METRICS.md allows; phot {off}")
    assert max(images) < 1
    sums = [c for c in theirs.colnames if c.startswith(("aperture_sum", "annulus", "aperture_bkg", "net"))]
    assert max(off[c] for c in (*sums, "aperture_x", "aperture_y", "centroid_x", "centroid_y", "MJD")) < 1e-5
