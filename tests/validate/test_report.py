"""The report is valid HTML, asks nothing of the network, and shows what it was given."""

import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.image import imread

from uptheramp.validate import report
from uptheramp.validate.metrics_file import summarise_run
from uptheramp.validate.record import Record
from uptheramp.validate.report_parts import gauge
from uptheramp.validate.report_types import (
    DepthSpectrum,
    Frames,
    LightCurveMap,
    ModeReport,
    RampExample,
    Report,
    WhiteLight,
)
from uptheramp.validate.report_words import headline, number

VOID = {"meta", "img", "input", "br"}


class Checker(HTMLParser):
    """Collects attributes that load something, and the stack of open elements."""

    def __init__(self):
        super().__init__()
        self.loaded, self.open, self.errors, self.ids, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.loaded += [v for k, v in attrs if k in ("src", "href", "srcset", "action", "data")]
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def mode(name="nirspec_prism", *, truth=True, bias=0.0, disp=1):
    rng = np.random.default_rng(0)
    shape = (8, 24) if disp == 1 else (24, 8)
    rate = rng.normal(100, 10, shape)
    rate[2, 3] = np.nan
    time = np.linspace(-1, 1, 40)
    wl, depth_true = np.linspace(1, 5, 6), np.full(6, 0.02)
    depth = depth_true + rng.normal(0, 1e-4, 6) + bias
    metrics = summarise_run(
        name, wavelength_um=wl, depth=depth, covariance=np.eye(6) * 1e-8, truth=depth_true, twin=depth_true
    )
    t = np.arange(1, 6) * 0.9
    return ModeReport(
        name=name,
        title=f"Mode <{name}>",
        scenario=(("Groups", "5"),),
        effects=(("read noise", "6 e- & more"),) if truth else (),
        steps=("jump", "ramp_fit"),
        references="estimated",
        approximate="a straight trace",
        warnings=("few groups",),
        frames=Frames(
            first_group_dn=rate.astype(np.float32),
            last_group_dn=rate * 2,
            rate=rate,
            saturated=rate > 110,
            flagged=np.isnan(rate),
            dispersion_axis=disp,
        ),
        ramps=(
            RampExample(
                title="a pixel",
                time_s=t,
                raw_dn=10 * t,
                linear_dn=None if disp == 2 else 11 * t,
                slope_dn_per_s=11.0,
                usable=np.array([1, 1, 1, 1, 0], bool),
            ),
        ),
        light_curve_map=LightCurveMap(time_h=time, wavelength_um=wl[::-1], flux=rng.normal(1, 0.01, (6, 40))),
        white_light=WhiteLight(time_h=time, flux=np.ones(40), error=np.full(40, 1e-4), model=np.ones(40) + 1e-5),
        spectrum=DepthSpectrum(
            wavelength_um=wl,
            half_width_um=np.full(6, 0.3),
            depth=depth,
            covariance=np.eye(6) * 1e-8,
            truth=depth_true if truth else None,
        ),
        metrics=metrics if truth else None,
    )


def page(*modes, **changes):
    given = {"title": "a < b", "summary": "s & t", "command": "uptheramp run quickstart --seed 1"}
    return Report(modes=modes, **{**given, **changes})


@pytest.fixture(scope="module")
def simulated():
    return report.html(page(mode(), mode("miri_lrs", disp=2), footer=(("version", "0.1.0"),), created="today"))


def check(text):
    checker = Checker()
    checker.feed(text)
    checker.close()
    return checker


def test_it_parses_and_is_self_contained(simulated):
    found = check(simulated)
    assert not found.errors and not found.open
    assert len(found.ids) == len(set(found.ids))
    assert found.loaded and all(v.startswith("data:image/") for v in found.loaded)
    assert not re.search(r"https?://|@import|url\(|<script|<link|<iframe", simulated)


def test_images_decode(simulated):
    kinds = []
    for source in check(simulated).loaded:
        head, content = source.split(",", 1)
        raw = b64decode(content, validate=True)
        if head == "data:image/svg+xml;base64":
            assert ET.fromstring(raw).tag.endswith("svg")
        else:
            image = imread(BytesIO(raw))
            assert image.shape[0] > 300 and image.std() > 0.05
        kinds.append(head)
    assert kinds.count("data:image/png;base64") == 4 and kinds.count("data:image/svg+xml;base64") == 8


def test_it_says_what_it_was_given_escaped(simulated):
    text = " ".join(check(simulated).text)
    for words in ("a < b", "Mode <miri_lrs>", "6 e- & more", "uptheramp run quickstart --seed 1", "few groups"):
        assert words in text
    for words in ("Size of the error bars", "ramp_fit", "straight trace", "estimated", "0.1.0", "Decides with S ="):
        assert words in text


def test_real_data_have_no_truth_columns():
    text = report.html(page(mode(truth=False)))
    assert "no truth" in text
    assert '<table class="metrics">' not in text and "What the detector did to it" not in text
    assert "honest" not in text and "not decided" not in text


def test_sections_without_content_are_left_out():
    empty = ModeReport(name="x", title="X", scenario=())
    found = check(report.html(page(empty)))
    assert not found.errors and not found.loaded


def test_headline_follows_the_worst_mode():
    good = mode()
    bad = mode("miri_lrs", bias=5e-4)
    assert headline(page(good))[0] == "not decided"
    verdict, sentence = headline(page(good, bad))
    assert verdict == "fail" and "miri_lrs" in sentence and "nirspec" not in sentence
    passed = replace(good, metrics=replace(good.metrics, verdict="pass"))
    assert headline(page(passed)) == ("pass", "What went in came out.")


def test_gauge_puts_the_value_in_or_out_of_the_band():
    def marks(value, low, high):
        text = gauge(Record(name="n", value=value, unit="", definition="", limit_low=low, limit_high=high))
        left, width = (float(v) for v in re.search(r"left:([\d.]+)%;width:([\d.]+)%", text).groups())
        at = float(re.search(r'<u class="\w+" style="left:([\d.]+)%', text).group(1))
        return left <= at <= left + width, at

    assert marks(0.9, -1.0, 1.0)[0] and not marks(1.2, -1.0, 1.0)[0]
    assert marks(20.0, None, 30.0)[0] and not marks(31.0, None, 30.0)[0]
    assert marks(1e9, None, 30.0)[1] == 100.0
    assert gauge(Record(name="n", value=1.0, unit="", definition="")) == ""


def test_numbers_have_the_digits_their_errors_allow():
    assert number(12.3456, 2.345) == "12.3 ± 2.3"
    assert number(-1234.6, 250.0) == "-1235 ± 250"
    assert number(0.0123456, 0.00012) == "0.01235 ± 0.00012"
    assert number(40494.2) == "40,494" and number(0.98765) == "0.9877"


def test_write_leaves_one_file(tmp_path):
    report.write(tmp_path / "report.html", page(ModeReport(name="x", title="X", scenario=())))
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
