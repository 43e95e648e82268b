from types import SimpleNamespace

import equinox as eqx
import jax
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.calibrate.references import library
from uptheramp.calibrate.references.emicorr import Emicorr
from uptheramp.calibrate.stage1.emicorr import EmicorrParams, EmicorrRefs, emicorr
from uptheramp.calibrate.state import Ramps
from uptheramp.simulate.calibration import slit_spectrograph
from uptheramp.simulate.observation import observe
from uptheramp.simulate.optics import trace
from uptheramp.simulate.ramps import references, render
from uptheramp.simulate.scene.star import Star


@pytest.fixture(scope="module", params=["near_ir", "mid_ir"])
def made(request, small, planet):
    """Return an observation, its constants and its references by grade."""
    if request.param == "near_ir":
        observation = small()
    else:
        observation = observe("miri_lrs", ngroups=8, nints=2, star=Star(8.5), planet=planet)
    constants = render.build(observation)
    return observation, constants, {g: references.make(observation, constants, g) for g in references.GRADES}


def _corrected(observation, constants, library, charge_e):
    """Return the linearised signal and the true one (DN, no bias) of pixels that see light, for charges (e-)."""
    maps = constants.maps
    y, x = (i[::53] for i in np.nonzero((maps.light > 0) & ~maps.dead))
    law, scale = maps.charge_physics, maps.deficit_scale[y, x].astype(float)
    signal = np.asarray(law(charge_e[:, None], scale)) / maps.gain[y, x]
    pedestal = maps.bias_dn[y, x] if "superbias" not in library else 0.0
    raw = signal + pedestal
    linear = sum(np.asarray(c, float) * raw**n for n, c in enumerate(library["linearity"].coeffs[:, y, x]))
    return linear - pedestal, charge_e[:, None] / maps.gain[y, x]


def test_oracle_linearity_undoes_the_charge_physics(made):
    observation, constants, grades = made
    charge = np.linspace(0.02, 0.95, 40) * float(constants.maps.well_e)
    found, true = _corrected(observation, constants, grades["oracle"], charge)
    assert np.abs(found / true - 1).max() < 3e-4  # the scale is free: it cancels with the rate
    slope = np.diff(found, axis=0) / np.diff(true, axis=0)
    assert slope == pytest.approx(np.ones_like(slope), abs=1e-3)


def test_grades_err_as_they_say(made):
    observation, constants, grades = made
    charge = np.array([0.01, 0.8]) * float(constants.maps.well_e)
    uncorrected = 1 - 1 / 1.05
    errors = {}
    for grade, library_ in grades.items():
        found, true = _corrected(observation, constants, library_, charge)
        errors[grade] = (found / true)[1] - (found / true)[0]
    assert np.abs(errors["oracle"]).max() < np.abs(errors["estimated"]).std()
    assert errors["estimated"].std() < 0.1 * uncorrected
    assert 0.1 * uncorrected < errors["wrong"].mean() < uncorrected
    ratio = np.median(grades["wrong"]["gain"].data / grades["estimated"]["gain"].data)
    assert ratio == pytest.approx(1.1, rel=1e-6)
    gains = grades["estimated"]["gain"].data / constants.maps.gain - 1
    assert 0 < np.abs(gains).max() < 0.03


def test_oracle_maps_are_the_truth(made):
    observation, constants, grades = made
    maps, oracle = constants.maps, grades["oracle"]
    assert oracle["gain"].data == pytest.approx(maps.gain)
    assert oracle["readnoise"].data * maps.gain / np.sqrt(2) == pytest.approx(maps.read_noise_e, rel=1e-6)
    alive = ~maps.dead
    flat = maps.flat * maps.gain.mean() / maps.gain  # measured in DN
    assert oracle["flat"].data[alive] == pytest.approx(flat[alive])
    dq = oracle["mask"].dq
    assert ((dq & flags.DO_NOT_USE) != 0).sum() == (maps.hot | maps.dead).sum() > 0
    assert ((dq & flags.REFERENCE_PIXEL) != 0).sum() == (maps.light == 0).sum()
    saturated = oracle["saturation"].data
    full = maps.charge_physics(maps.well_e, maps.deficit_scale) / maps.gain + maps.bias_dn
    assert (saturated < np.minimum(full, 65535.0))[maps.light > 0].all()
    assert (saturated > 0.9 * np.minimum(full, 65000.0))[maps.light > 0].all()


def test_estimated_noise_is_that_of_the_programme(made):
    _, constants, grades = made
    maps = constants.maps
    lit = (maps.light > 0) & ~maps.dead
    flat = maps.flat * maps.gain.mean() / maps.gain
    error = (grades["estimated"]["flat"].data - flat)[lit] / grades["estimated"]["flat"].err[lit]
    assert error.std() == pytest.approx(1.0, abs=0.05)
    ratio = (grades["estimated"]["readnoise"].data / grades["oracle"]["readnoise"].data)[lit]
    assert ratio.std() == pytest.approx(1 / np.sqrt(2 * 59), rel=0.1)


def test_the_dark_and_the_reset_are_what_the_exposure_has(made):
    observation, constants, grades = made
    on = tuple(name for name in ("dark", "reset_anomaly", "reference_pixels") if name in observation.effects)
    twin = np.asarray(render.mean_ramps(constants, np.int64(0), 2, on, {})[0])
    oracle = grades["oracle"]
    for ramp, integration in zip(twin, (0, 1), strict=True):
        model = oracle["dark"].data[0] + observe_light(observation, constants)
        if "reset" in oracle:
            model = model + oracle["reset"].data[integration]
        assert ramp == pytest.approx(model, rel=1e-4, abs=0.01)


def test_groups_that_hold_the_residue_of_the_reset_are_to_be_skipped(made):
    observation, constants, grades = made
    table = observation.detector.rscd
    if table is None:
        assert "rscd" not in grades["oracle"]
        return
    signal = 0.5 * observation.detector.full_well_e / constants.maps.gain.mean()
    first = max(table.scale) * signal ** (1 + table.power) * (1 - np.exp(-signal / table.turnover_dn))
    reads = table.decay_reads * np.log(first) - (observation.pattern.reset_frames + 1)  # until 1 DN is left
    rscd = grades["oracle"]["rscd"]
    assert (rscd.group_skip1, rscd.group_skip) == (0, int(np.ceil(reads)))
    assert 3 <= rscd.group_skip < observation.ngroups


def observe_light(observation, constants):
    """Return the mean ramps of light alone."""
    return np.asarray(render.mean_ramps(constants, np.int64(0), 1, ("reference_pixels",), {})[0])[0]


def test_the_box_holds_the_light_and_the_windows_hold_none(made):
    observation, constants, grades = made
    aperture, spectrum = grades["oracle"]["extract1d"], constants.spectra[0]
    axis = observation.mode.dispersion_axis
    profile = spectrum.profile if axis == 1 else spectrum.profile.T
    lit = np.isfinite(spectrum.along_um)
    across, along = np.arange(profile.shape[0])[:, None], np.arange(profile.shape[1])

    def edge(coefficients):
        return np.polynomial.polynomial.polyval(along, coefficients)

    box = (across > edge(aperture.lower)) & (across < edge(aperture.upper))
    assert (profile * box).sum(0)[lit] == pytest.approx(np.ones(lit.sum()), abs=1e-4)
    assert len(aperture.background) == 2
    for lower, upper in aperture.background:
        window = (across > edge(lower)) & (across < edge(upper))
        assert window.sum(0)[lit].min() >= 1
        assert (profile * window).sum(0)[lit].max() < 1e-4


def test_written_references_are_found_and_read_back(made, tmp_path):
    observation, constants, grades = made
    paths = references.save(observation, grades["estimated"], tmp_path)
    found = library.find(tmp_path, observation.meta, grades["estimated"].keys())
    assert sorted(found) == sorted(grades["estimated"])
    assert {p.name for p in found.values()} == {p.name for p in paths}
    again = type(grades["estimated"]["linearity"]).from_file(found["linearity"], observation.meta)
    assert (again.coeffs == grades["estimated"]["linearity"].coeffs).all()


def test_an_unknown_grade_is_refused(small):
    observation = small()
    with pytest.raises(InputError, match="grade"):
        references.make(observation, render.build(observation), "perfect")


def test_the_photometric_response_gives_back_the_star(small):
    table = Curve((0.5, 2.0, 6.0), (1.0, 3.0, 2.0))
    observation = small(star=Star(11.0, table=table))
    constants = render.build(observation)
    photom = references.make(observation, constants, "oracle")["photom"]
    spectrum = constants.spectra[0]
    rate = np.asarray(spectrum.response(spectrum.photons)) / constants.maps.gain.mean()
    lit = (spectrum.along_um > 1.0) & (spectrum.along_um < 5.0)
    response = np.interp(spectrum.along_um[lit], photom.wavelength_um, photom.response) * photom.conversion
    shape = np.interp(spectrum.along_um[lit], table.x, table.y)
    flux = rate[lit] * response / shape
    assert flux == pytest.approx(np.full(lit.sum(), flux.mean()), rel=1e-4)


def test_the_interference_is_taken_out_with_its_reference(bench, tmp_path):
    """All clocks from the reference's own file; what is left of the waves beside straight lines is a tenth at most."""
    made = bench("miri_image_f770w", (72, 64), subarray="SUB64", ngroups=12, nints=3)
    o = made.observation
    dn = np.concatenate(
        [made.drawn(jax.random.key(1), 3, ("superbias", "read_noise", *on))[0] for on in ((), ("emi",))]
    )
    constants = SimpleNamespace(maps=made.maps, own=made.own)
    reference = references.interference(o, constants, np.random.default_rng(4))
    reference.to_file(tmp_path / "emicorr.asdf", o.meta)
    again = Emicorr.from_file(tmp_path / "emicorr.asdf", o.meta)
    assert (again.row_clocks, again.reset_clocks) == (28, 8512)
    assert [float(w.period_clocks) for w in again.waves] == pytest.approx([256.0, 1e5 / 10.039216])
    times = np.float64(o.subarray.frame_time_s), np.float64(o.subarray.frame_time_s)
    dq = np.zeros((3, 12, 64, 72), np.uint8), np.zeros((64, 72), np.uint32)
    state = Ramps(dn[3:], *dq, np.arange(3), *times, o.readout)
    after, _ = eqx.filter_jit(emicorr)(state, EmicorrRefs(again, None), EmicorrParams())
    before, left = (np.asarray(data, float) - dn[:3] for data in (dn[3:], after.data))
    assert before.std() == pytest.approx(np.sqrt((3.7257**2 + 0.7475**2 + 0.2230**2 + 1.5**2) / 2), rel=0.05)
    bent = left - np.polynomial.polynomial.polyval(np.arange(12), straight(left)).transpose(0, 3, 1, 2)
    assert bent.std() < 0.1 * before.std()


def straight(data):
    """Coefficients (2, integration, y, x) of lines through the groups."""
    groups = np.moveaxis(data, 1, 0)
    lines = np.polynomial.polynomial.polyfit(np.arange(len(groups)), groups.reshape(len(groups), -1), 1)
    return lines.reshape(2, *groups.shape[1:])


def test_wrong_references_err_by_what_is_stated(made):
    observation, constants, grades = made
    right, off = grades["estimated"], grades["wrong"]
    for name, field, factor in (("readnoise", "data", 1.2), ("saturation", "data", 1.05), ("dark", "data", 1.5)):
        assert getattr(off[name], field) == pytest.approx(factor * getattr(right[name], field), rel=1e-6)
    # both are medians over the wavelengths that are lit, and those differ a little
    assert off["photom"].conversion == pytest.approx(1.05 * right["photom"].conversion, rel=0.01)
    missing = (right["mask"].dq & flags.DO_NOT_USE) & ~off["mask"].dq
    assert np.count_nonzero(missing) == -(-np.count_nonzero(right["mask"].dq & flags.DO_NOT_USE) // 2)
    assert off["flat"].data - 1 == pytest.approx(1.2 * (right["flat"].data - 1), abs=1e-5)
    assert off["extract1d"].lower[0] - right["extract1d"].lower[0] == pytest.approx(1.0, abs=1e-6)
    axis = observation.mode.dispersion_axis
    lam, moved = (np.moveaxis(grade["wavemap"].wavelength_um, axis % 2, 0)[:, 10] for grade in (right, off))
    assert np.nanmedian((moved - lam) / np.gradient(lam)) == pytest.approx(
        -0.5, abs=0.05
    )  # the wavelength of a pixel now stands half a pixel on


def test_only_the_types_asked_for_are_wrong(made):
    observation, constants, grades = made
    library_ = references.make(observation, constants, "wrong", only=("gain",))
    assert (library_["gain"].data == grades["wrong"]["gain"].data).all()
    for name in ("linearity", "readnoise", "wavemap", "flat", "mask"):
        for mine, estimated in zip(*(vars(lib[name]).values() for lib in (library_, grades["estimated"])), strict=True):
            assert np.array_equal(mine, estimated, equal_nan=np.issubdtype(np.asarray(mine).dtype, np.floating))


def test_optical_models_say_the_tables_wavelengths(small):
    """The grating equation, solved through the camera's own table, gives back each pixel's wavelength."""
    for mode in ("nirspec_g395h_nrs2", "nirspec_prism"):
        observation = small() if mode.endswith("prism") else observe_grating(mode, small)
        camera = slit_spectrograph.camera(observation).content["model"]
        fpa = slit_spectrograph.fpa(observation).content[f"{observation.detector.name.lower()}_model"]
        disperser = slit_spectrograph.disperser(observation).content
        x, y = np.add(observation.subarray.start, -1)
        column = np.arange(observation.shape[1]) + x
        row = np.full(column.shape, y + observation.shape[0] / 2)
        sca = (2047 - column, 2047 - row) if observation.detector.name == "NRS2" else (column, row)
        slope, across = camera(*fpa(*sca))
        alpha = slope / np.sqrt(1 + slope**2 + across**2)
        slit = slit_spectrograph.msa(observation).content["data"]["Q5"]["XC"][3] / 0.6
        alpha_in = slit / np.hypot(1, slit)
        if "groovedensity" in disperser:
            lam = (alpha + alpha_in) / disperser["groovedensity"] * 1e6
        else:
            s, c = np.sin(np.radians(disperser["angle"])), np.cos(np.radians(disperser["angle"]))
            index = np.hypot((alpha + alpha_in * (1 - 2 * s**2)) / (2 * s * c), alpha_in)
            grid = np.linspace(7.9, 0.31, 20000)
            lam = np.interp(index, slit_spectrograph.refractive_index(grid), grid)
        order = observation.mode.orders[0]
        lit = trace.covered(order, np.arange(observation.shape[1], dtype=float))
        true = trace.wavelength(order, np.arange(observation.shape[1], dtype=float))
        assert lam[lit] == pytest.approx(true[lit], rel=2e-6)


def observe_grating(mode, small):
    """Return a short exposure of another mode with the same star and planet."""
    like = small()
    return observe(mode, ngroups=3, nints=2, star=like.star, planet=like.planet)
