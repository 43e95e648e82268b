"""Predict the out-of-transit scatter of flight light curves, before they are compared.

    python benchmarks/predict_scatter.py ../shared/realdata/lightcurves docs/predictions

Writes one JSON file for each observation. Of the flight light curves only the wavelengths of the channels and the
number of integrations are read.
"""

import argparse
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.atomic import whole
from uptheramp.scenarios import cache, identity, prediction
from uptheramp.scenarios.prediction import Channel, Extraction
from uptheramp.scenarios.scenario import find, observation_of

HAT, WASP = "hat-p-18b-niriss-soss", "wasp-39b-niriss-soss"
BOXES = (30.0, 40.0)  # white light is also predicted for other widths than the default
MEANING = "relative standard deviation of one integration out of transit, ppm; see README.md beside this file"


def flight_channels(path: Path, order: int, nints: int) -> list[Channel]:
    """The channels of a file of ExoIris, from the wavelengths alone."""
    with fits.open(path) as file:
        suffix = f"NIRISS-O{order}"
        if file[f"TIME_{suffix}"].header["NAXIS1"] != nints:
            raise InputError(f"{path}: not {nints} integrations; the scenario is of another exposure")
        return prediction.bins(np.asarray(file[f"WAVE_{suffix}"].data, float), order)


def rows(plan: prediction.Plan, channels: list[Channel]) -> list[dict]:
    """Predictions as plain values, rounded to what they are worth."""

    def rounded(value):
        if isinstance(value, dict):
            return {key: rounded(v) for key, v in value.items()}
        return float(f"{value:.5g}") if isinstance(value, float) else value

    found = prediction.scatter(plan, channels)
    return [rounded(asdict(c)) | rounded(asdict(s)) for c, s in zip(channels, found, strict=True)]


def predict(name: str, white: list[Channel], channels: list[Channel]) -> dict:
    """All of one scenario."""
    scenario = find(name)
    (block,) = scenario.mode
    o = observation_of(scenario, block)
    default = Extraction()
    plan = prediction.plan(o, default)
    full = ~plan.usable[-1]
    others = {f"{b:g}": rows(replace(plan, extraction=replace(default, box_px=b)), white) for b in BOXES}
    d = o.detector
    return {
        "what": MEANING,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": {
            "scenario": name,
            "case_id": identity.case_id(scenario, block, "prediction"),
            "question": identity.question(scenario, block, "prediction", full=True),
            "code": asdict(identity.code()),
            "extraction": asdict(default),
            "noise": ["poisson", "read_noise", "adc rounding", "one_over_f"],
            "read_noise_e": d.read_noise_e,
            "gain_e_per_dn": d.gain_e_per_dn,
            "dark_e_per_s": d.dark_e_per_s,
            "full_well_e": d.full_well_e,
            "one_over_f": asdict(d.one_over_f),
            "cadence_s": o.cadence_s,
            "frame_time_s": o.subarray.frame_time_s,
        },
        "brightest_pixel_e": float(
            f"{(plan.rate_e_per_s.max() * plan.observation.ngroups * o.subarray.frame_time_s):.4g}"
        ),
        "pixels_full_before_the_last_group": int(full.sum()),
        "background_pixels_a_column": [int(plan.sky[:, 4:-4].sum(0).min()), int(plan.sky.sum(0).max())],
        "white": rows(plan, white),
        "white_by_box_px": others,
        "channels": rows(plan, channels),
    }


def main() -> None:
    """Write the predictions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lightcurves", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    cache.enable()
    folder = given.lightcurves / "hat-p-18b_niriss_soss"
    nints = find(HAT).mode[0].nints
    binned = {n: flight_channels(folder / f"hat-p-18b-2022-06-niriss-o{n}.fits", n, nints) for n in (1, 2)}
    wide = [Channel(n, c[0].low_um, c[-1].high_um) for n, c in binned.items()]
    questions = {HAT: (wide, binned[1] + binned[2]), WASP: ([Channel(1, 0.85, 2.83)], [])}
    for name, (white, channels) in questions.items():
        path = given.out / f"{name}.json"
        content = predict(name, white, channels)
        with whole(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")
        print(path, flush=True)
        for row in content["white"]:
            print(f"  order {row['order']} white: {row['l_pr_ppm']:.1f} ppm, {row['l_all_ppm']}")


if __name__ == "__main__":
    main()
