"""Remove the background of each dispersion element."""

from dataclasses import replace

import equinox as eqx

from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.background import clipped, level, windows
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step


class BkgSubtractRefs(eqx.Module):
    """What bkg_subtract takes from the library."""

    extract1d: Extract1d


class BkgSubtractParams(eqx.Module):
    """`sigma`: window pixels further than this many standard errors from the fit are left out."""

    sigma: float = 4.0


@step(cite="uptheramp; windows as those of jwst 3.0.0 extract_1d")
def bkg_subtract(state: Rates, refs: BkgSubtractRefs, params: BkgSubtractParams) -> tuple[Rates, None]:
    """Subtract the clipped mean (or line) of the background windows, per integration and dispersion element.

    It takes with it the sky and whatever 1/f noise is constant across an element. Per-pixel variances stay as they are:
    the error of the level is common to all pixels of an element and does not add like theirs, so extract_1d, which
    knows the same windows, adds it once (`background = "removed"`).
    """
    chosen = clipped(state, windows(state, refs.extract1d), params.sigma)
    return replace(state, data=state.data - level(state, chosen)), None
