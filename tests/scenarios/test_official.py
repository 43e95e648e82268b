"""The official Detector1 runs on our Level-1b and reference files as they are, and its slopes match our truth."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate import truth
from uptheramp.simulate.ramps import level1b, references
from uptheramp.simulate.ramps.render import build

STAGE1 = ("mask", "saturation", "superbias", "linearity", "dark", "gain", "readnoise", "reset", "rscd")


def offline_cache(shared, root, observation, files):
    """Serve our reference files from a local CRDS cache, built by the harness."""
    sys.path.insert(0, str(shared / "peer"))
    try:
        import fake_crds

        keys = {
            "META.INSTRUMENT.DETECTOR": observation.detector.name,
            "META.SUBARRAY.NAME": observation.subarray.name,
            "META.EXPOSURE.TYPE": observation.mode.exp_type,
        }
        entries = [
            {"instrument": observation.instrument.name, "reftype": name, "parkeys": keys, "path": path}
            for name, path in files.items()
        ]
        fake_crds.build(root, entries, fake_crds.all_reftypes())
    finally:
        sys.path.remove(str(shared / "peer"))


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("label", ["nirspec_prism", "nircam_f322w2", "miri_lrs"])
def test_official_slopes_match_our_truth(shared, tmp_path, label):
    pytest.importorskip("jwst")
    scenario = find("quickstart")
    block = next(b for b in scenario.mode if b.label == label)
    block = replace(block, nints=6, integrations_in_transit=0.001)  # all out of transit but for an instant
    observation = observation_of(scenario, block)
    constants = build(observation)
    (uncal,) = level1b.write(observation, tmp_path, constants=constants)
    library = references.make(observation, constants, "oracle")
    mine = {name: library[name] for name in STAGE1 if name in library}
    paths = references.save(observation, mine, tmp_path / "refs")
    offline_cache(shared, tmp_path / "crds", observation, dict(zip(mine, paths, strict=True)))
    command = [sys.executable, shared / "peer" / "run_peer.py", "detector1", uncal, tmp_path / "official"]
    done = subprocess.run([*map(str, command), "--crds", str(tmp_path / "crds")], capture_output=True, text=True)
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["error"] is None, done.stderr[-2000:]

    (product,) = (tmp_path / "official").glob("*_rateints.fits")
    with fits.open(product) as hdus:
        rate, error, dq = (np.asarray(hdus[name].data) for name in ("SCI", "ERR", "DQ"))
    true = truth.load(tmp_path / "truth").rate_dn_per_s
    bright = true > 0.3 * np.nanmax(true)
    good = bright & ((dq & (flags.DO_NOT_USE | flags.JUMP_DET | flags.SATURATED)) == 0) & np.isfinite(rate)
    pull = ((rate - true) / error)[good]
    ratio = np.median((rate / true)[good])
    print(f"{label}: {good.sum()} pixels, ratio {ratio:.5f}, pulls {pull.mean():.3f} +- {pull.std():.3f}")  # noqa: T201
    # the median of n pulls of unit width is known to 1.25 / sqrt(n); 1/f noise correlates neighbours, so allow 3 of it
    assert abs(np.median(pull)) < 3 * 1.25 / np.sqrt(good.sum()) + 0.15
    assert 0.9 < pull.std() < 1.25
