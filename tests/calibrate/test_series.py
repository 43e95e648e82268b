from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.calibrate.references.target import Target
from uptheramp.calibrate.series import aperture_of


def test_light_curves_are_timed_by_the_geometry_that_their_spectra_were_made_with():
    """In SOSS and images EXTRACT1D is there for a step of Stage 1 alone, and has another number of elements."""
    slitless, soss, star = (object.__new__(kind) for kind in (Extract1d, Pastasoss, Target))
    assert aperture_of({"extract1d": slitless, "pastasoss": soss}) is soss
    assert aperture_of({"extract1d": slitless, "target": star}) is star
    assert aperture_of({"extract1d": slitless, "pastasoss": None}) is slitless
    assert aperture_of({"gain": None}) is None
