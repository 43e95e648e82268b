import numpy as np
import pytest

from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.times import mean_group_time
from uptheramp.calibrate.kernels.readout import oriented, read_offset_s
from uptheramp.simulate.observation import observe
from uptheramp.simulate.ramps import clock, multiaccum
from uptheramp.simulate.scene.star import Star


def test_int_times_follow_the_frames(small):
    observation = small(ngroups=4, nints=5)
    table = clock.int_times(observation)
    frame_d = observation.subarray.frame_time_s / 86400.0
    start = table["int_start_BJD_TDB"]
    assert np.diff(start) == pytest.approx(np.full(4, 5 * frame_d), rel=1e-6)  # 4 reads and a reset
    assert table["int_end_BJD_TDB"] - start == pytest.approx(np.full(5, 4 * frame_d), rel=1e-6)
    assert start == pytest.approx(observation.int_start(), abs=1e-12)
    assert (table["int_end_BJD_TDB"][:-1] < start[1:]).all()


def test_mean_group_time_agrees_with_the_calibrator(planet):
    observation = observe(
        "nircam_f322w2", ngroups=3, nints=2, star=Star(8.5), planet=planet, pattern="SHALLOW4", subarray="SUBGRISM64"
    )
    ours = observation.int_start() + clock.group_mean_s(observation).mean() / 86400.0
    theirs = mean_group_time(clock.int_times(observation), observation.meta)
    assert (ours - theirs) * 86400.0 == pytest.approx([0.0, 0.0], abs=1e-5)


def test_group_table_ends_with_the_last_averaged_frame(planet):
    observation = observe(
        "nircam_f322w2", ngroups=3, nints=2, star=Star(8.5), planet=planet, pattern="SHALLOW4", subarray="SUBGRISM64"
    )
    table = clock.group_table(observation, 1, 1)
    assert table["integration_number"].tolist() == [2, 2, 2]
    frames = (table["bary_end_time"] - observation.int_start()[1]) * 86400.0 / observation.subarray.frame_time_s
    assert frames == pytest.approx([4, 9, 14], abs=1e-3)


def test_multiaccum_averages_drops_and_truncates(planet):
    observation = observe(
        "nircam_f322w2", ngroups=2, nints=1, star=Star(8.5), planet=planet, pattern="SHALLOW4", subarray="SUBGRISM64"
    )
    frames = np.arange(9, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    assert observation.reads_per_integration == 9  # four, a gap of one, four
    groups = np.asarray(multiaccum.averaged(frames, observation.readout))
    assert groups[:, 0, 0].tolist() == [(0 + 1 + 2 + 3) // 4, (5 + 6 + 7 + 8) // 4]
    assert np.asarray(multiaccum.mean(frames, observation.readout))[:, 0, 0].tolist() == [1.5, 6.5]


def test_every_window_of_every_instrument_is_read_within_its_frame():
    checked = 0
    for instrument in lookup.instruments():
        for s in instrument.subarrays:
            detector = lookup.detector(instrument, s.detector)
            axes = detector.fast_axis, detector.slow_axis
            interleaved = detector.kind == "SiAs"
            shape = s.size[::-1]
            offset = read_offset_s(shape, *axes, s.outputs, s.row_overhead_clocks, s.frame_time_s, interleaved)
            assert 0 < offset.min() < offset.max() <= s.frame_time_s * (1 + 1e-9)
            line = oriented(offset, *axes)
            assert (np.diff(line, axis=0) > 0).all()
            checked += 1
    assert checked > 10


def test_outputs_read_stripes_or_interleaved_columns():
    stripes = read_offset_s((2, 8), 1, 2, 4, 1, 1.0)
    assert stripes[0] * 1e5 == pytest.approx([1, 2, 1, 2, 1, 2, 1, 2])
    assert stripes[1] * 1e5 == pytest.approx([4, 5, 4, 5, 4, 5, 4, 5])
    interleaved = read_offset_s((2, 8), -1, 2, 4, 1, 1.0, interleaved=True)
    assert interleaved[0] * 1e5 == pytest.approx([2, 2, 2, 2, 1, 1, 1, 1])
    with pytest.raises(ValueError, match="do not fit"):
        read_offset_s((2, 8), 1, 2, 4, 1, 1e-5)
