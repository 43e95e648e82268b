"""metrics.json: what is written is read back; what is not such a file is refused in one line."""

import json

import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.validate import metrics_file
from uptheramp.validate.record import FAIL, NOT_DECIDED, PASS, Record, inside, judged, overall


def one_seed(**changes):
    wavelength = np.linspace(1.0, 5.0, 12)
    truth = np.full(12, 0.02)
    errors = np.random.default_rng(3).normal(0, 1e-4, 12)
    given = {
        "wavelength_um": wavelength,
        "depth": truth + errors,
        "covariance": np.eye(12) * 1e-8,
        "truth": truth,
        "residuals": 130,
        "scenario": {"orbit_compression": 12.5, "weights": np.float64(1.0)},
    }
    return metrics_file.summarise_run("nirspec_prism", **{**given, **changes})


def test_one_seed_is_not_decided_and_says_what_would_decide():
    metrics = one_seed()
    assert metrics.verdict == NOT_DECIDED and metrics.seeds == 1
    chi = next(r for r in metrics.records if r.name == "chi_square")
    assert chi.verdict == NOT_DECIDED and "Decides with S = " in chi.definition
    assert one_seed(depth=np.full(12, 0.021)).verdict == FAIL


def test_round_trip(tmp_path):
    twin = np.full(12, 0.02 + 2e-6)
    written = (one_seed(twin=twin, extra=(Record(name="x", value=1.0, unit="s", definition="d", verdict=PASS),)),)
    path = tmp_path / "metrics.json"
    metrics_file.write(path, written)
    read = metrics_file.read(path)
    assert read[0].records == written[0].records
    assert read[0].scenario == {"orbit_compression": 12.5, "weights": 1.0}
    np.testing.assert_allclose(read[0].bins["algorithmic_ppm"], 2.0, rtol=1e-6)
    content = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["format"] == "uptheramp.metrics" and content["version"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_twin_is_null_not_nan(tmp_path):
    metrics_file.write(tmp_path / "m.json", [one_seed()])
    assert "NaN" not in (tmp_path / "m.json").read_text()
    assert np.isnan(metrics_file.read(tmp_path / "m.json")[0].bins["algorithmic_ppm"]).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("{", "not valid JSON"),
        ("[]", "not a metrics file"),
        ('{"format": "uptheramp.metrics", "version": 99}', "version 99"),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    path = tmp_path / "m.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        metrics_file.read(path)
    assert "m.json" in str(caught.value) and "\n" not in str(caught.value)


def test_verdicts():
    assert inside(1.0, None, 1.0) and not inside(float("nan"), None, None) and not inside(0.0, 0.1, None)
    assert judged(2.0, 0.0, 1.0) == FAIL and judged(0.5, 0.0, 1.0) == PASS

    def records(*verdicts):
        return tuple(Record(name="n", value=0.0, unit="", definition="", verdict=v) for v in verdicts)

    assert overall(records(PASS, NOT_DECIDED, FAIL)) == FAIL
    assert overall(records(PASS, NOT_DECIDED, "reported")) == NOT_DECIDED
    assert overall(records(PASS, "reported")) == PASS
    assert overall(records("reported")) == NOT_DECIDED
