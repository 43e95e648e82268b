"""The instrument tables: complete, consistent with themselves, with the frame-time formulae and with the facts."""

import dataclasses
import subprocess
import sys
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.instruments.core import Sourced, readout_of
from uptheramp.calibrate.io.meta import ExposureMeta, readout

CLOCK_S = 1e-5
PAIRS = [(i, m) for i in lookup.instruments() for m in i.modes]
MODES = pytest.mark.parametrize(("instrument", "mode"), PAIRS, ids=[m.name for _, m in PAIRS])
WINDOWS = pytest.mark.parametrize(
    ("instrument", "window"),
    [(i, s) for i in lookup.instruments() for s in i.subarrays],
    ids=lambda v: "-".join((v.name, v.detector, str(v.outputs), *v.gratings[:1])) if hasattr(v, "outputs") else v.name,
)


def meta_of(instrument, mode, subarray, pattern, **changes):
    detector = lookup.detector(instrument, mode.detector)
    meta = ExposureMeta(
        instrument=instrument.name,
        detector=mode.detector,
        exp_type=mode.exp_type,
        subarray=subarray.name,
        x_start=subarray.start[0],
        y_start=subarray.start[1],
        x_size=subarray.size[0],
        y_size=subarray.size[1],
        fast_axis=detector.fast_axis,
        slow_axis=detector.slow_axis,
        pattern=pattern.name,
        nints=3,
        ngroups=5,
        nframes=pattern.nframes,
        groupgap=pattern.groupgap,
        frame_divisor=pattern.nframes,
        outputs=subarray.outputs,
        frame_time_s=subarray.frame_time_s,
        group_time_s=subarray.frame_time_s,
        start_mjd=60000.0,
        filter=mode.filter,
        pupil=mode.pupil,
        grating=mode.grating,
    )
    return replace(meta, **changes)


@MODES
def test_what_a_mode_names_exists(instrument, mode):
    lookup.detector(instrument, mode.detector)
    assert mode.subarrays
    assert mode.patterns
    for name in mode.patterns:
        lookup.pattern(instrument, name)
    for name in mode.subarrays:
        window = lookup.window(instrument, mode, name)
        moved = lookup.placed(instrument, mode, window)
        assert bool(moved.orders) != bool(moved.image)
        if moved.image:
            assert all(0 <= c <= size - 1 for c, size in zip(moved.image.centre_px, window.size, strict=True))


@MODES
def test_curves_are_curves(instrument, mode):
    curves = {"image": mode.image.throughput} if mode.image else {}
    for order in mode.orders:
        for name in ("wavelength_um", "trace_px", "throughput", "resolving_power", "fwhm_px"):
            curves[f"{name} {order.number}"] = getattr(order, name)
    assert curves
    for name, curve in curves.items():
        assert len(curve.x) == len(curve.y) >= 2, name
        assert np.all(np.diff(curve.x) > 0), name
        assert np.all(np.asarray(curve.y) > (0 if "trace" not in name else -1)), name
    for name in (n for n in curves if "throughput" in n or n == "image"):
        assert max(curves[name].y) < 1


@MODES
def test_orders_stay_in_the_light(instrument, mode):
    low, high = mode.useful_range_um
    assert 0.5 < low < high < 30
    window = lookup.window(instrument, mode)
    along, across = window.size if mode.dispersion_axis == 1 else window.size[::-1]
    left, right = window.reference_columns if mode.dispersion_axis == 1 else window.reference_rows
    for order in mode.orders:
        step = np.diff(order.wavelength_um.y)
        assert np.all(step > 0) or np.all(step < 0)
        assert left <= order.wavelength_um.x[0] < order.wavelength_um.x[-1] <= along - 1 - right
        assert (order.trace_px.x[0], order.trace_px.x[-1]) == (order.wavelength_um.x[0], order.wavelength_um.x[-1])
        assert 0 < min(order.trace_px.y) < max(order.trace_px.y) + 1 < across
    used = [order for order in mode.orders if order is mode.orders[0] or order.useful_range_um]
    for order in used:
        first, last = order.useful_range_um or (low, high)
        assert low <= first < last <= high
        assert min(order.wavelength_um.y) <= first < last <= max(order.wavelength_um.y)
        assert order.throughput.x[0] <= first < last <= order.throughput.x[-1]
    if not used:
        assert mode.image.throughput.x[0] < low < high < mode.image.throughput.x[-1]


@WINDOWS
def test_windows_lie_on_their_detector(instrument, window):
    detector = lookup.detector(instrument, window.detector)
    for start, size, length in zip(window.start, window.size, detector.shape[::-1], strict=True):
        assert start >= 1
        assert start - 1 + size <= length
    (left, right), (bottom, top) = window.reference_columns, window.reference_rows
    for pixels, edge, at_edge in (
        (left, 4, window.start[0] == 1),
        (right, 4, window.start[0] - 1 + window.size[0] == detector.shape[1]),
        (bottom, 4, window.start[1] == 1 and detector.kind == "H2RG"),
        (top, 4, window.start[1] - 1 + window.size[1] == detector.shape[0] and detector.kind == "H2RG"),
    ):
        assert pixels == (edge if at_edge else 0)
    assert window.reference_correction in ("amplifiers", "interleaved", "edge_rows", "none")
    assert (window.edge_rows > 0) == (window.reference_correction == "edge_rows")
    if window.reference_correction in ("amplifiers", "interleaved"):
        assert left + right + bottom + top > 0


@WINDOWS
def test_frame_times_follow_from_the_clocks(instrument, window):
    detector = lookup.detector(instrument, window.detector)
    fast, slow = window.size if abs(detector.fast_axis) == 1 else window.size[::-1]
    line = fast // window.outputs + window.row_overhead_clocks
    if detector.kind == "H2RG":
        clocks = line * (slow + window.extra_lines) + (1 if window.outputs == 4 else 0)
    else:
        clocks = line * slow + 7 * (detector.shape[0] - slow)
        assert abs(line * (slow + window.extra_lines) - clocks) <= line / 2  # skipped rows as whole lines
    assert window.frame_time_s == pytest.approx(clocks * CLOCK_S, abs=1e-9)


def test_frame_times_known_from_flight_and_documents():
    known = {
        "SLITLESSPRISM": 0.15904,
        "SUB512": 0.22616,
        "SUBGRISM64": 0.34061,
        "SUBGRISM256": 1.34669,
        "SUBSTRIP256": 5.494,
        "SUBSTRIP96": 2.214,
        "SUB2048": 0.902,
    }
    for instrument in lookup.instruments():
        first = {s.name: s.frame_time_s for s in reversed(instrument.subarrays)}
        for name in known.keys() & first.keys():
            assert first[name] == pytest.approx(known.pop(name), abs=1e-6)
    assert not known


def test_detectors():
    for instrument in lookup.instruments():
        for d in instrument.detectors:
            assert sorted((abs(d.fast_axis), abs(d.slow_axis))) == [1, 2]
            assert d.nonlinearity.kind in ("junction", "debiasing")
            assert 0 < d.nonlinearity.deficit_at_half_well < d.nonlinearity.deficit_at_80_percent < 0.2
            assert len(d.cosmic_rays.ion_charge) == len(d.cosmic_rays.ion_share)
            assert 0 < d.cosmic_rays.track_um[0] < d.cosmic_rays.track_um[1]
            assert d.persistence is None or len(d.persistence.time_s) == len(d.persistence.fraction)
            # the well fits the converter even where the bias is high
            assert d.bias_dn + 2.5 * d.bias_scatter_dn + d.full_well_e / d.gain_e_per_dn < 65535
    fast = {d.name: d.fast_axis for i in lookup.instruments() for d in i.detectors}
    assert fast["NRS1"] == 2
    assert fast["NRS2"] == -2
    assert fast["NIS"] == -2
    assert (fast["NRCALONG"], fast["NRCBLONG"], fast["MIRIMAGE"]) == (-1, 1, 1)


def test_every_time_series_mode_of_the_design_is_there():
    names = {m.name for m in lookup.modes()}
    assert len(names) == len(lookup.modes())
    wanted = {"niriss_soss", "niriss_soss_f277w", "nirspec_prism", "miri_lrs"}
    wanted |= {f"nircam_{f}" for f in ("f277w", "f322w2", "f356w", "f444w", "image_f210m", "wlp8_f210m_nrca3")}
    wanted |= {f"nirspec_{g}_{d}" for g in ("g140h_f100lp", "g235h", "g395h") for d in ("nrs1", "nrs2")}
    wanted |= {"nirspec_g140h_f070lp_nrs1", "nirspec_g140m_f070lp", "nirspec_g140m_f100lp"}
    wanted |= {"nirspec_g235m", "nirspec_g395m", "miri_image_f1500w", "miri_image_f560w"}
    assert wanted <= names
    assert [o.number for o in lookup.find_mode("niriss_soss")[1].orders] == [1, 2, 3]


def test_every_block_says_where_it_comes_from_and_how_far_to_trust_it():
    for instrument in lookup.instruments():
        blocks = [*instrument.detectors, *instrument.subarrays, *instrument.patterns, *instrument.modes]
        values = [getattr(d, f.name) for d in instrument.detectors for f in dataclasses.fields(d)]
        blocks += [value for value in values if isinstance(value, Sourced)]
        blocks += [b for m in instrument.modes for b in (*m.orders, m.image) if b]
        assert all(b.source and b.confidence in ("documented", "approximate", "guess") for b in blocks)


def test_sources_move_with_the_corner_of_the_window():
    niriss, soss = lookup.find_mode("niriss_soss")
    strip = lookup.placed(niriss, soss, lookup.window(niriss, soss, "SUBSTRIP96"))
    assert [o.number for o in strip.orders] == [1, 2]  # the third misses this window
    np.testing.assert_allclose(strip.orders[0].trace_px.y, np.subtract(soss.orders[0].trace_px.y, 10))
    nirspec, g395h = lookup.find_mode("nirspec_g395h_nrs2")
    small = lookup.placed(nirspec, g395h, lookup.window(nirspec, g395h, "SUB512S"))
    np.testing.assert_allclose(small.orders[0].wavelength_um.x, np.subtract(g395h.orders[0].wavelength_um.x, 1024))
    np.testing.assert_allclose(small.orders[0].trace_px.y, np.subtract(g395h.orders[0].trace_px.y, 8))
    miri, image = lookup.find_mode("miri_image_f1500w")
    assert lookup.placed(miri, image, lookup.window(miri, image, "SUB64")).image.centre_px == (37.5, 31.5)
    for instrument, mode in PAIRS:
        assert lookup.placed(instrument, mode, lookup.window(instrument, mode)) == mode


def test_windows_by_name_outputs_and_grating():
    nirspec, nircam = lookup.instrument("nirspec"), lookup.instrument("NIRCam")
    assert lookup.subarray(nirspec, "SUB512", "NRS1").start == (1025, 959)
    assert lookup.subarray(nirspec, "SUB512", "NRS1", grating="G395H").start == (1025, 965)
    assert lookup.subarray(nirspec, "SUB2048", "NRS2", grating="G235H").start == (1, 1053)
    assert lookup.subarray(nircam, "SUBGRISM64", "NRCALONG").outputs == 4
    assert lookup.subarray(nircam, "SUBGRISM64", "NRCALONG", 1).frame_time_s == pytest.approx(1.3596)
    with pytest.raises(InputError, match="SUBGRISM64 with 2 outputs"):
        lookup.subarray(nircam, "SUBGRISM64", "NRCALONG", 2)
    with pytest.raises(InputError, match="unknown subarray of mode nirspec_prism: SUB2048"):
        lookup.window(nirspec, lookup.find_mode("nirspec_prism")[1], "SUB2048")


def test_unknown_names_end_in_one_line_with_the_nearest_name():
    with pytest.raises(InputError, match=r"unknown mode: nirspec_prsm; did you mean nirspec_prism\?"):
        lookup.find_mode("nirspec_prsm")
    with pytest.raises(InputError, match="unknown instrument: NICMOS"):
        lookup.instrument("NICMOS")
    miri = lookup.instrument("Miri")
    with pytest.raises(InputError, match="unknown detector of MIRI: MIRIMAG; did you mean MIRIMAGE"):
        lookup.detector(miri, "MIRIMAG")
    with pytest.raises(InputError, match="unknown read-out pattern of MIRI: RAPID"):
        lookup.pattern(miri, "RAPID")
    with pytest.raises(InputError, match="unknown subarray of MIRI MIRIMAGE: SLITLESPRISM"):
        lookup.subarray(miri, "SLITLESPRISM", "MIRIMAGE")


@MODES
def test_a_header_leads_back_to_its_entries(instrument, mode):
    for name in mode.subarrays:
        window = lookup.window(instrument, mode, name)
        meta = meta_of(instrument, mode, window, lookup.pattern(instrument, mode.patterns[0]))
        assert lookup.match(meta) == (instrument, mode, window)


def test_headers_that_fit_no_mode_or_no_window():
    instrument, mode = lookup.find_mode("nircam_f322w2")
    window, pattern = lookup.window(instrument, mode), lookup.pattern(instrument, "RAPID")
    meta = meta_of(instrument, mode, window, pattern)
    assert lookup.match(replace(meta, filter="F150W"))[1] is None
    assert lookup.match(replace(meta, outputs=1))[2].frame_time_s > 1
    assert lookup.match(replace(meta, outputs=3))[2] == window
    with pytest.raises(InputError, match="unknown subarray of NIRCAM NRCALONG: SUB9"):
        lookup.match(replace(meta, subarray="SUB9"))
    with pytest.raises(InputError, match="unknown instrument"):
        lookup.match(replace(meta, instrument="WFC3"))


@MODES
def test_the_readout_from_a_header_equals_that_of_the_table(instrument, mode):
    window, pattern = lookup.window(instrument, mode), lookup.pattern(instrument, mode.patterns[-1])
    table = readout_of(window, pattern, lookup.detector(instrument, mode.detector), 5)
    header = readout(meta_of(instrument, mode, window, pattern), lookup.reference_layout(window))
    assert header == table
    assert hash(header) == hash(table)
    assert replace(header, ngroups=6) != table


def test_looking_up_never_imports_jax():
    code = (
        "import sys; from uptheramp.calibrate.instruments import lookup; lookup.modes(); sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wavelengths_against_the_published_solutions(shared):
    """Linear interpolation of our knots against polynomials and tables: within 0.02 px (PRISM and MIRI: at knots)."""
    read = lambda name: tomllib.loads((shared / "facts" / f"{name}.toml").read_text())  # noqa: E731
    nircam, nirspec, miri, niriss = (read(n) for n in ("nircam", "nirspec", "miri", "niriss"))
    poly = np.polynomial.polynomial.polyval

    def difference_px(mode, x, expected, order=0):
        curve = lookup.find_mode(mode)[1].orders[order].wavelength_um
        x, expected = np.asarray(x, float), np.asarray(expected)
        inside = (x >= curve.x[0]) & (x <= curve.x[-1])
        assert inside.sum() > 10
        dispersion = np.interp(x, curve.x, np.gradient(curve.y, curve.x))
        return np.max(np.abs((np.interp(x, curve.x, curve.y) - expected) / dispersion)[inside])

    x = np.arange(2048)
    for f, c in nircam["mode"]["TSGRISM"]["filter"].items():
        assert difference_px(f"nircam_{f.lower()}", x, poly(x - 1024, c["wavelength_um_poly_dx"])) < 0.02
    bots = nirspec["mode"]["BOTS"]["configuration"]
    for d in ("nrs1", "nrs2"):
        c = bots["G395H_F290LP"][f"wavelength_{d}"]
        assert difference_px(f"nirspec_g395h_{d}", x, poly((x - 1024) / 1024, c["wavelength_um_poly_u"])) < 0.02
    c = bots["PRISM_CLEAR"]["wavelength"]
    assert difference_px("nirspec_prism", c["x_px_sub512"], c["wavelength_um"]) < 0.02
    c = miri["mode"]["LRS_SLITLESS"]["wavelength"]
    assert difference_px("miri_lrs", c["y_px"], c["wavelength_um"]) < 0.02
    c = niriss["mode"]["SOSS"]["trace_pwcpos_reference"]["order1"]  # an independent solution of another pupil angle
    assert difference_px("niriss_soss", x, poly((x - 1024) / 1024, c["wavelength_um_poly_u"])) < 6
