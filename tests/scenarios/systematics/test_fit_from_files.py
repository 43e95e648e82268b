"""A fit of official-format flats, and the official step with the reference that came of it."""

import json

import numpy as np
import pytest

from uptheramp.calibrate.io.uncal import UncalWriter
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.scenarios.systematics import exposures, fit_file, run
from uptheramp.simulate.ramps import clock, lamp, render

FILLS, NGROUPS, NINTS = (0.4, 0.8), 5, 6
HEAD = """
name = "flats"
family = "linearity"
mode = "nirspec_prism"
subarray = "SUB512S"
effects_off = ["one_over_f"]
model = ["poisson", "nonlinearity", "read_noise", "adc"]
linearity = { terms = 3 }
"""


def simulated(file, number):
    """Observation and sensor of one flat."""
    o = exposures.observed(file, NGROUPS, NINTS, number)
    return o, lamp.build(o, lamp.rate_to_fill(o, FILLS[number]))


def written(o, data, folder, root, each):
    """Write the segments of an exposure, `each` integrations in one; return their names."""
    starts, names = range(0, len(data), each), []
    for number, first in enumerate(starts):
        part, times = data[first : first + each], clock.int_times(o)[first : first + each]
        meta = o.meta.segment_of(number + 1, len(starts), first + 1, first + each)
        names.append(f"{root}-seg{number + 1:03d}_uncal.fits")
        with UncalWriter(folder / names[-1], meta, times, clock.group_table(o, first, each)) as file:
            file.append(part)
    return names


@pytest.fixture(scope="module")
def flats(tmp_path_factory):
    """The fit file beside the files that it names: two exposures, the second one in two segments."""
    folder = tmp_path_factory.mktemp("flats")
    path, blocks = folder / "flats.toml", ""
    path.write_text(HEAD + f"[[ramps]]\nngroups = {NGROUPS}\nnints = {NINTS}\n")
    asked, _ = fit_file.find(str(path))
    for number in range(len(FILLS)):
        o, lit = simulated(asked, number)
        made = written(o, render.draw_chunk(o, lit, 0, NINTS)[0], folder, f"flat{number}", NINTS // (number + 1))
        blocks += f"[[ramps]]\nfiles = {json.dumps(made)}\n"
    path.write_text(HEAD + blocks)
    return path


@pytest.fixture(scope="module")
def fitted(flats):
    return run.fit_file(str(flats), flats.parent / "out")


def test_segments_are_read_as_one_exposure(flats):
    file, folder = fit_file.find(str(flats))
    found = exposures.ramp_sets(file, folder)
    assert found[1].observation.nints == NINTS
    assert found[1].constants is None
    for number, ramps in enumerate(found):
        np.testing.assert_array_equal(ramps.data, render.draw_chunk(*simulated(file, number), 0, NINTS)[0])


def test_files_without_truth_are_fitted(fitted):
    figures = json.loads((fitted / "fit.json").read_text())
    assert figures["converged"] > 0.995
    assert "truth" not in figures
    assert abs(figures["checks"]["chi_square"]["sigma"]) < 5


@pytest.mark.peer
def test_the_official_step_takes_the_reference(flats, fitted):
    pytest.importorskip("jwst")
    from jwst.linearity import LinearityStep
    from stdatamodels.jwst.datamodels import RampModel

    path = fitted / "references" / "fitted" / "nirspec_nrs1_linearity.fits"
    file, _ = fit_file.find(str(flats))
    o, lit = simulated(file, 1)
    ramps = render.mean_ramps(lit, np.int64(0), 1, ("flat", "poisson", "nonlinearity", "reference_pixels"), {})[0]
    data = np.asarray(ramps, np.float32)
    with RampModel(data=data, groupdq=np.zeros(data.shape, np.uint8), pixeldq=np.zeros(o.shape, np.uint32)) as model:
        model.meta.instrument.name, model.meta.instrument.detector = "NIRSPEC", "NRS1"
        s = model.meta.subarray
        s.name, s.xstart, s.ystart, s.xsize, s.ysize = "SUB512S", *o.subarray.start, *o.subarray.size
        s.fastaxis, s.slowaxis = o.readout.fast_axis, o.readout.slow_axis
        step = LinearityStep()
        step.override_linearity = str(path)
        straight = step.process(model)  # the step itself: run() would ask a CRDS server for its context
    assert straight.meta.cal_step.linearity == "COMPLETE"
    reference = Linearity.from_file(path, o.meta)
    ours = np.polynomial.polynomial.polyval(data.astype(float), reference.coeffs.astype(float), tensor=False)
    np.testing.assert_allclose(straight.data, ours, rtol=1e-6)
    good = (np.asarray(reference.dq) == 0) & ~np.asarray(lit.maps.dead)
    before, after = (np.diff(d, axis=1)[0, -1, good] / np.diff(d, axis=1)[0, 0, good] for d in (data, straight.data))
    assert np.median(before) < 0.93
    assert np.median(after) == pytest.approx(1, abs=0.005)
