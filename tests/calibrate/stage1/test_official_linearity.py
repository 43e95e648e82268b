"""linearity against the official function."""

import numpy as np
import pytest

from official_ramps import call, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.stage1.linearity import LinearityParams, LinearityRefs, linearity

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


def test_linearity_of_ramps_and_zeroframe():
    from stcal.linearity.linearity import linearity_correction
    from stdatamodels.jwst.datamodels import dqflags

    state = ramps(nframes=4, zeroframe=True)
    state.zeroframe[0, 2, 2] = 0
    state.groupdq[:, 3:, 1] |= flags.SATURATED
    coeffs = np.zeros((4, *state.pixeldq.shape), np.float32)
    coeffs[1], coeffs[2], coeffs[3] = 1.01, 2e-6, 3e-12
    theirs = linearity_correction(
        state.data.copy(),
        state.groupdq,
        state.pixeldq,
        coeffs.copy(),
        state.pixeldq,
        dqflags.pixel,
        zframe=state.zeroframe.copy(),
    )
    ours, _ = call(linearity, state, LinearityRefs(Linearity(coeffs, state.pixeldq)), LinearityParams())
    np.testing.assert_allclose(ours.data, theirs[0], rtol=3e-7)
    np.testing.assert_allclose(ours.zeroframe, theirs[2], rtol=3e-7)
    assert float(ours.zeroframe[0, 2, 2]) == 0
