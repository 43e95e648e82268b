"""Derivatives of depths by references against finite differences of the whole chain, the fit of light curves included.

The files are those that the page shows.
"""

import json
import tomllib
from dataclasses import replace
from functools import wraps
from pathlib import Path

import equinox as eqx
import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.fit.channels import fit_channels
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.calibrate.reduce import quiet
from uptheramp.scenarios.judge import true_channels
from uptheramp.scenarios.scenario import find as find_scenario
from uptheramp.scenarios.scenario import observation_of
from uptheramp.scenarios.systematics import directions, sensitivity, sensitivity_file, sensitivity_run
from uptheramp.simulate.truth import load

PAGE = Path(__file__).parents[3] / "docs" / "systematics.md"
NOISE = ("poisson", "cosmic_rays", "ktc", "read_noise", "one_over_f", "telegraph")
# of a standard error: so small that no clip takes or leaves a pixel, and no edge of the aperture meets another one
STEP, STEP_OF_NUMBERS = 1e-3, 1e-4


def shown(name):
    """A file that the page shows."""
    page = PAGE.read_text()
    text = page[page.index(f"<!-- {name} -->") :]
    return text[text.index("```toml") + len("```toml") : text.index("```\n<!-- end -->")]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The page's example, run: its folder, its scenario, and what the reduction left."""
    folder, kept = tmp_path_factory.mktemp("sensitivity"), []
    (folder / "short-prism.toml").write_text(shown("short scenario"))
    (folder / "mine.toml").write_text(shown("sensitivity file"))
    original = sensitivity_run.reduction

    def reduction(*args):
        kept.append(original(*args))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensitivity_run, "reduction", reduction)
        sensitivity_run.sensitivity_file(str(folder / "mine.toml"), folder / "out")
    return folder / "out", find_scenario("short-prism.toml", folder=folder), *kept[0]


def asked():
    """The uncertainties of the example as directions."""
    text = tomllib.loads(shown("sensitivity file"))["uncertainty"]
    return {u["reference"]: (u["reference"], u.get("relative", 0.0), u.get("absolute", 0.0)) for u in text}


def slopes_of(reduced, response, gradient):
    known, shape = sensitivity.known(reduced, gradient), reduced.exposure.meta.shape
    sizes = {name: directions.size(of, known, shape) for name, (of, *_) in asked().items()}
    return sensitivity.derivatives(reduced, response, asked(), sizes, gradient)


def written(out):
    """Derivatives by pixel (where there are pixels) and channel from the files of the example, in its "exact" mode."""
    figures = json.loads((out / "sensitivity.json").read_text())["uncertainties"]
    maps = np.load(out / "maps.npz")
    by_name = {f"{u['of']}, each pixel" if u["errs"] == "pixel" else u["of"]: u for u in figures}
    return {u["of"]: np.asarray(maps[n] if n in maps else u["shift_ppm"]) / 1e6 for n, u in by_name.items()}


def chain_of(reduced):
    """The chain whose ramp fit makes its weights from references that are moved by amounts of their own."""
    everything = sensitivity.known(reduced, "exact")
    (chunk,) = sensitivity.chunks(reduced, reduced.exposure.nints)

    @eqx.filter_jit
    def flux(amounts, of_weights, known, ramps, outliers):
        library, _ = directions.moved(known, asked(), of_weights)

        def weighed(step):
            refs = step.select(library)

            @wraps(step.function)
            def function(state, _, params):
                return step.function(state, refs, params)

            return replace(step, function=function) if step.name == "ramp_fit" else step

        stage1 = tuple(map(weighed, reduced.recipe.stage1))
        chain = sensitivity.curves_of(replace(reduced, recipe=replace(reduced.recipe, stage1=stage1)), asked())
        return chain(amounts, known, ramps, outliers)

    return lambda amounts, of_weights: flux(amounts, of_weights, everything, chunk.ramps, chunk.outliers)


@pytest.mark.parametrize("gradient", ["exact", pytest.param("frozen", marks=pytest.mark.slow)])
def test_derivatives_are_finite_differences_of_the_whole_chain(example, gradient):
    """In "exact" the weights of the ramp fit move too, in "frozen" they do not."""
    out, scenario, reduced, fitted, response = example
    slopes = written(out) if gradient == "exact" else slopes_of(reduced, response, gradient)
    system = true_channels(reduced, observation_of(scenario, scenario.mode[0]), load(out / "truth")).system
    chain = chain_of(reduced)

    def depth(amounts):
        flux = chain(amounts, amounts if gradient == "exact" else nothing)
        return np.asarray(fit_channels(replace(reduced.curves, flux=np.asarray(flux)), system, fitted.white).depth)

    nothing = {name: np.zeros(slope.shape[1:]) for name, slope in slopes.items()}
    np.testing.assert_allclose(depth(nothing), fitted.planet.depth, rtol=1e-6)  # float64 against float32
    rng = np.random.default_rng(0)
    for name in written(out):  # in one order, so along the same directions in both modes
        zero = nothing[name]
        direction = rng.standard_normal(zero.shape) if zero.shape else np.ones(())
        step = STEP if zero.shape else STEP_OF_NUMBERS
        ahead, behind = (depth({**nothing, name: sign * step * direction}) for sign in (1, -1))
        difference = (ahead - behind) / (2 * step)
        found = (slopes[name] * direction).reshape(len(difference), -1).sum(1)
        if gradient == "frozen" and name in ("gain", "readnoise"):
            assert np.abs(found).max() == np.abs(difference).max() == 0  # they enter through the weights alone
        else:
            assert np.abs(difference).max() > 1e-10
            np.testing.assert_allclose(found, difference, rtol=1e-4, atol=1e-4 * np.abs(difference).max())


def test_a_channel_without_light_leaves_the_limb_darkening_of_the_others(example):
    """All of its pixels are lost, as where a star saturates: the system's table goes across it."""
    out, scenario, reduced, *_ = example
    given = observation_of(scenario, scenario.mode[0]), load(out / "truth")
    whole, gone = true_channels(reduced, *given), 3
    dark = reduced.binning.weights[gone] > 0
    cut = true_channels(replace(reduced, lost=reduced.lost | dark), *given)
    kept = np.arange(len(whole.depth)) != gone
    for name in ("wavelength_um", "u1", "u2"):
        before, after = (np.asarray(getattr(t.system.limb_darkening, name)) for t in (whole, cut))
        np.testing.assert_allclose(after, before[kept], rtol=1e-12)
    np.testing.assert_allclose(cut.depth[kept], whole.depth[kept], rtol=1e-12)


@pytest.mark.slow
def test_what_does_not_move_cancels(tmp_path, example):
    """A grey planet, no noise, a telescope that stands still: flat and superbias divide out, the curvature does not."""
    scenario, dark = example[1], Curve((0.5, 14.0), (0.1, 0.1))
    planet = replace(scenario.planet, radius_ratio=Curve((0.5, 14.0), (0.146, 0.146)), u1=dark, u2=dark)
    static = replace(scenario, planet=planet, mode=(replace(scenario.mode[0], effects_off=NOISE),))
    done, _, response = sensitivity_run.reduction(static, tmp_path, quiet)
    slopes = slopes_of(done, response, "exact")

    def largest(name, errs):
        return np.abs(sensitivity.depth_shift(slopes[name], errs)).max()

    assert largest("linearity", "common") > 5  # ppm, of 2 % of the correction
    assert largest("superbias", "pixel") < 0.05  # of 2 DN in each pixel
    assert largest("dflat", "pixel") < 1  # of 0.5 % in each pixel; what is left is rounding to whole DN, in faint bins
    assert largest("dflat", "common") < 1e-3


def test_the_example_ranks_and_draws(example):
    out = example[0]
    figures = json.loads((out / "sensitivity.json").read_text())
    sizes = [u["rms_ppm"] for u in figures["uncertainties"]]
    assert sizes == sorted(sizes, reverse=True)
    maps, by_name = np.load(out / "maps.npz"), {u["of"]: u for u in figures["uncertainties"]}
    alike, single = (1e-6 * np.asarray(by_name[name]["shift_ppm"]) for name in ("linearity", "dflat"))
    np.testing.assert_allclose(1e-6 * maps["linearity"].sum((1, 2)), alike, rtol=1e-4)
    by_pixel = 1e-6 * maps["dflat, each pixel"].reshape(len(single), -1)
    np.testing.assert_allclose(np.linalg.norm(by_pixel, axis=1), single, rtol=1e-4)
    assert "Which pixels matter" in (out / "report.html").read_text()


HEAD = 'name = "x"\nscenario = "quickstart"\nmode = "nirspec_prism"\n'


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ('reference = "gian"\nrelative = 0.1', "unknown reference 'gian'"),
        ('parameter = "extract_1d.minimum_fraction"\nabsolute = 0.1', "unknown continuous parameter"),
        ('reference = "gain"', "either relative or absolute"),
        ('reference = "gain"\nrelative = 0.1\nabsolute = 1.0', "either relative or absolute"),
        ('reference = "linearity"\nabsolute = 0.1', "can only be relative"),
        ('reference = "ipc"\nrelative = 0.1\nerrs = "pixel"', "no values of single pixels"),
        ('reference = "gain"\nparameter = "refpix.side_gain"\nrelative = 0.1', "either a reference or a parameter"),
        ('reference = "gain"\nrelative = 0.1\n[[uncertainty]]\nreference = "gain"\nrelative = 0.2', "the same thing"),
    ],
)
def test_senseless_files_are_refused(tmp_path, block, message):
    (tmp_path / "a.toml").write_text(f"{HEAD}[[uncertainty]]\n{block}\n")
    with pytest.raises(InputError, match=message):
        sensitivity_file.find(str(tmp_path / "a.toml"))


def test_what_the_mode_does_not_have_is_refused(example):
    reduced = example[2]
    known, shape = sensitivity.known(reduced, "exact"), reduced.exposure.meta.shape
    with pytest.raises(InputError, match="uses no reset reference"):
        directions.size("reset", known, shape)
    with pytest.raises(InputError, match="no step of this mode has the parameter extract_1d.neighbour_spread"):
        directions.size("extract_1d.neighbour_spread", known, shape)


@pytest.mark.parametrize("name", sensitivity_file.catalogue())
def test_every_question_of_the_catalogue_names_a_mode(name):
    file, folder = sensitivity_file.find(name)
    assert file.mode in {block.label for block in find_scenario(file.scenario, folder=folder).mode}
