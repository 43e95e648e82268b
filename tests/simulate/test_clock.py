from itertools import product

import numpy as np
import pytest

from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.header import primary
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


def clocks_h2rg(subarray, detector):
    """Physics sheet, section 2: (pixels of a line per output + 12) * (lines + pad) + 1 with several outputs."""
    pixels, lines = subarray.size if abs(detector.fast_axis) == 1 else subarray.size[::-1]
    several = subarray.outputs > 1
    return (pixels // subarray.outputs + 12) * (lines + (1 if several else 2)) + several


def clocks_si_as(subarray, detector):
    """The same section, and the burst over skipped columns of the facts: FAST, one sample a pixel."""
    (column, _), (width, height) = subarray.start, subarray.size
    first, last = (column - 1) // 4 + 1, (column + width - 2) // 4 + 1  # columns of the amplifiers
    if first == 1:
        line = 7 + 4 + (last - 1) if last < 258 else 7 + 4 + (last - 2) + 4
    else:
        line = 7 + 4 + int(np.ceil((first - 2) / 5)) + last - first + 1
    return line * height + 7 * (detector.shape[0] - height)


@pytest.mark.parametrize("instrument", lookup.instruments(), ids=lambda i: i.name)
def test_frame_times_follow_from_the_clocks(instrument):
    for s in instrument.subarrays:
        detector = lookup.detector(instrument, s.detector)
        clocks = {"H2RG": clocks_h2rg, "SiAs": clocks_si_as}[detector.kind](s, detector)
        assert s.frame_time_s * 1e5 == pytest.approx(clocks, abs=0.5), s.name


def readouts(instrument):
    """Each mode with each of its windows and patterns, one of all modes that are read alike."""
    modes = {(m.detector, m.subarrays, m.patterns): m for m in instrument.modes}
    return [(m.name, *pair) for m in modes.values() for pair in product(m.subarrays, m.patterns)]


@pytest.mark.parametrize("instrument", lookup.instruments(), ids=lambda i: i.name)
def test_headers_and_times_agree(planet, instrument):
    for mode, subarray, pattern in readouts(instrument):
        headers_and_times_agree(planet, mode, subarray, pattern)


def headers_and_times_agree(planet, mode, subarray, pattern):
    o = observe(mode, subarray=subarray, pattern=pattern, ngroups=3, nints=3, star=Star(9.0), planet=planet)
    header, table = primary(o.meta, "Level1bModel", "x_uncal.fits").header, clock.int_times(o)
    r, frame_s = o.readout, o.subarray.frame_time_s
    assert (header["TFRAME"], header["NINTS"], header["NGROUPS"]) == (frame_s, 3, 3)
    assert header["TGROUP"] == pytest.approx((r.nframes + r.groupgap) * frame_s, rel=1e-12)
    length_s = (table["int_end_BJD_TDB"] - table["int_start_BJD_TDB"]) * 86400
    assert header["EFFINTTM"] == pytest.approx(length_s, abs=2e-5)  # days in float64: 1e-6 s at best
    assert header["EFFEXPTM"] == pytest.approx(3 * header["EFFINTTM"])
    assert o.reads_per_integration * frame_s == pytest.approx(header["EFFINTTM"])
    cadence_s = np.diff(table["int_start_MJD_UTC"]) * 86400
    assert cadence_s == pytest.approx(np.full(2, header["EFFINTTM"] + o.pattern.reset_frames * frame_s), abs=2e-5)
    ends = clock.group_table(o, 1, 1)["bary_end_time"]
    assert (ends[-1] - table["int_end_BJD_TDB"][1]) * 86400 == pytest.approx(0, abs=2e-5)


def test_outputs_read_stripes_or_interleaved_columns():
    stripes = read_offset_s((2, 8), 1, 2, 4, 1, 1.0)
    assert stripes[0] * 1e5 == pytest.approx([1, 2, 1, 2, 1, 2, 1, 2])
    assert stripes[1] * 1e5 == pytest.approx([4, 5, 4, 5, 4, 5, 4, 5])
    interleaved = read_offset_s((2, 8), -1, 2, 4, 1, 1.0, interleaved=True)
    assert interleaved[0] * 1e5 == pytest.approx([2, 2, 2, 2, 1, 1, 1, 1])
    with pytest.raises(ValueError, match="do not fit"):
        read_offset_s((2, 8), 1, 2, 4, 1, 1e-5)
