"""Numbers that mix in the read-out: which pixels are read together and after each other says the clock."""

import numpy as np
import pytest

from uptheramp.calibrate.kernels.readout import read_offset_s
from uptheramp.simulate.detector.crosstalk import CrosstalkSettings
from uptheramp.simulate.detector.post_pixel import PostPixelSettings
from uptheramp.simulate.ramps import chain
from uptheramp.simulate.state import Frames

MODES = ["nircam_f322w2", "miri_lrs"]


def lit(made, name, y, x):
    """Frames of one bright pixel after an effect, DN."""
    dn = np.zeros((1, *made.observation.shape), np.float32)
    dn[0, y, x] = 1e4
    return np.asarray(made_effect(made, name)(Frames(dn, np.int64(0))).dn)[0], dn[0]


def made_effect(made, name):
    return lambda state: chain.EFFECTS[name].mean(state, made.maps, made.params.of(made.own[name]))


def clock(made):
    o = made.observation
    s, r = o.subarray, o.readout
    return read_offset_s(
        o.shape, r.fast_axis, r.slow_axis, r.outputs, s.row_overhead_clocks, s.frame_time_s, o.interleaved
    )


@pytest.mark.parametrize("mode", MODES)
def test_crosstalk_shows_in_the_pixels_read_at_the_same_time(bench, mode):
    made = bench(mode, (32, 8), settings={"crosstalk": CrosstalkSettings(scale=10.0)})
    seen, alone = lit(made, "crosstalk", 3, 13)
    together = np.isclose(clock(made), clock(made)[3, 13], atol=1e-7)
    assert together.sum() == 4
    ghost = 10 * made.observation.detector.crosstalk.share * 1e4
    assert seen - alone == pytest.approx(np.where(together & (alone == 0), ghost, 0), abs=1e-3)


@pytest.mark.parametrize("mode", MODES[:1] + ["nircam_image_f210m"])
def test_post_pixel_coupling_reaches_the_pixel_read_next(bench, mode):
    made = bench(mode, (32, 8), settings={"post_pixel": PostPixelSettings(scale=2.0)})
    seen, alone = lit(made, "post_pixel", 3, 13)
    share = 2 * made.observation.detector.post_pixel.share
    times = clock(made)
    line = np.s_[3, :] if abs(made.observation.readout.fast_axis) == 1 else np.s_[:, 13]
    later = np.isclose(times[line] - times[3, 13], 1e-5, atol=1e-7)
    changed = (seen - alone)[line]
    # outputs are told apart by distance: of the pixels one clock later, the one in the same output is next to it
    (next_one,) = [i for i in np.flatnonzero(later) if abs(i - 13) == 1]
    assert changed[next_one] == pytest.approx(share * 1e4, rel=1e-3)
    assert changed[13] == pytest.approx(-share * 1e4, rel=1e-3)
    changed[[13, next_one]] = 0
    assert not changed.any()


def test_one_output_has_no_crosstalk(bench):
    made = bench("nircam_image_f210m", (32, 8))
    seen, alone = lit(made, "crosstalk", 3, 13)
    assert (seen == alone).all()


def test_the_light_of_even_illumination_stays(bench):
    made = bench("nircam_f322w2", (32, 8))
    even = Frames(np.full((2, *made.observation.shape), 500.0, np.float32), np.int64(0))
    assert np.asarray(made_effect(made, "post_pixel")(even).dn) == pytest.approx(500.0)
