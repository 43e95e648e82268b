"""Each figure shows the arrays it was given, on a known scale, and leaves global settings alone."""

import matplotlib as mpl
import numpy as np
import pytest

from uptheramp.validate.figures import style
from uptheramp.validate.figures.jump_efficiency import jump_efficiency
from uptheramp.validate.figures.light_curve_2d import light_curve_2d
from uptheramp.validate.figures.pull_histogram import pull_histogram
from uptheramp.validate.figures.ramp import ramp
from uptheramp.validate.figures.raw_frame import raw_frame
from uptheramp.validate.figures.spectrum import spectrum
from uptheramp.validate.figures.white_light import white_light

RNG = np.random.default_rng(0)


def test_raw_frame_turns_the_dispersion_to_the_right():
    image = RNG.normal(100, 5, (30, 8))
    mask = np.zeros((30, 8), bool)
    mask[20, 3] = True
    figure = raw_frame(image, image * 2, image, saturated=mask, flagged=~mask, dispersion_axis=2)
    first, last = figure.axes[0].images[0].get_array(), figure.axes[1].images[0].get_array()
    np.testing.assert_array_equal(first, image.T)
    np.testing.assert_array_equal(last, 2 * image.T)
    np.testing.assert_array_equal(figure.axes[1].collections[0].get_offsets(), [[20, 3]])
    assert "239 pixels" in figure.axes[2].get_legend().get_texts()[0].get_text()


def test_raw_frames_of_an_image_stand_side_by_side():
    image, mask = RNG.normal(100, 5, (30, 32)), np.zeros((30, 32), bool)
    figure = raw_frame(image, image, image, saturated=mask, flagged=mask, dispersion_axis=0)
    panels = figure.axes[:3]
    assert [axes.get_aspect() for axes in panels] == [1.0] * 3
    assert len({axes.get_subplotspec().colspan.start for axes in panels}) == 3
    assert panels[0].get_xlabel() == "x (px)"


def test_light_curve_2d_is_normalised_and_sorted():
    time = np.linspace(-1, 1, 30)
    level = np.array([5.0, 2.0, 9.0])
    dip = np.where(np.abs(time) < 0.5, 0.98, 1.0)
    figure = light_curve_2d(time, np.array([3.0, 2.0, 1.0]), level[:, None] * dip)
    np.testing.assert_allclose(figure.axes[0].collections[0].get_array(), np.tile(dip, (3, 1)))
    low, high = figure.axes[0].get_ylim()
    assert low < 1.0 and high > 3.0


def test_light_curve_2d_survives_gaps_and_averages_many_rows():
    flux = RNG.normal(1, 0.01, (2048, 20))
    flux[7], flux[:, 4] = np.nan, np.nan
    array = light_curve_2d(np.arange(20.0), np.linspace(2, 4, 2048), flux).axes[0].collections[0].get_array()
    assert array.shape[0] <= 400 and array.shape[1] == 20


def test_white_light_states_rms_limit_and_beta():
    model = np.ones(50)
    residual = np.where(np.arange(50) % 2 == 0, 100e-6, -100e-6)
    figure = white_light(
        np.arange(50.0),
        model + residual,
        np.full(50, 1e-4),
        model,
        beta={"T14": 1.23, "none": np.nan},
        expected_ppm=90.0,
    )
    title = figure.axes[1].get_title(loc="left")
    assert "rms 100 ppm" in title and "limit 90 ppm" in title and "β(T14) = 1.23" in title and "none" not in title


def test_spectrum_shows_pulls_only_beside_a_truth():
    wl, truth = np.linspace(1, 5, 6), np.full(6, 0.02)
    depth, error = truth + np.arange(6) * 1e-4, np.full(6, 1e-4)
    figure = spectrum(wl, np.full(6, 0.1), depth, error, truth)
    points = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points[0].get_ydata(), np.arange(6), atol=1e-9)
    assert figure.axes[1].get_ylim()[1] > 5.0
    assert len(spectrum(wl, np.full(6, 0.1), depth, error).axes) == 1


def test_ramp_line_passes_through_the_usable_groups():
    t = np.arange(1.0, 7.0)
    linear = 500.0 + 30.0 * t
    usable = np.array([1, 1, 1, 1, 0, 0], bool)
    figure = ramp(t, linear - 0.01 * t**3, linear + np.where(usable, 0, 400), 30.0, usable)
    dots = next(line for line in figure.axes[1].lines if line.get_marker() == "o")
    np.testing.assert_allclose(dots.get_ydata(), 0.0, atol=1e-9)
    assert len(dots.get_ydata()) == 4


def test_pull_histogram_is_a_density():
    figure = pull_histogram(RNG.normal(size=(20, 30)))
    area = sum(p.get_height() * p.get_width() for p in figure.axes[0].patches)
    assert area == pytest.approx(1.0)


def test_style_is_local_and_export_reproducible():
    before = dict(mpl.rcParams)
    first, second = (style.to_svg(pull_histogram(np.linspace(-2, 2, 50))) for _ in range(2))
    assert dict(mpl.rcParams) == before
    assert first == second and first.startswith("<svg")
    assert style.to_png(pull_histogram(np.zeros(3)), 40.0).startswith(b"\x89PNG")


def test_jump_efficiency_has_a_panel_for_each_case_and_a_line_for_each_method():
    counts = {"two-point": ([3.0, 40.0], [10, 40]), "series": ([8.0, 40.0], [10, 40])}
    figure = jump_efficiency({"short": counts, "long": {"series": counts["series"]}}, (3.0, 6.0), "1e-05")
    short, long = figure.axes
    assert [len(ax.containers) for ax in (short, long)] == [2, 1]
    line = long.containers[0].lines[0]
    assert line.get_ydata() == pytest.approx([0.8, 1.0])
    assert long.get_title(loc="left") + long.get_title() == "long"
