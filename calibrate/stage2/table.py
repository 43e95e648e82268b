"""The step tables of Stage 2, time series: one tuple per exposure type, in run order.

Tuples of spectroscopy hold extract_1d, which makes Spectra of Rates; the steps before it make calints. The spectra of
SOSS are converted after it. Tuples of images make calints alone: the light of the star is summed in Stage 3, as
officially.
"""

from typing import Any

from uptheramp.calibrate.stage2 import nirspec_flat, photom_soss, soss_extract, soss_sky
from uptheramp.calibrate.stage2.assign_wcs import assign_wcs
from uptheramp.calibrate.stage2.badpix_selfcal import badpix_selfcal
from uptheramp.calibrate.stage2.bkg_subtract import bkg_subtract
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, extract_1d
from uptheramp.calibrate.stage2.flat_field import flat_field
from uptheramp.calibrate.stage2.pathloss import pathloss
from uptheramp.calibrate.stage2.photom import photom
from uptheramp.calibrate.stage2.photom_image import photom as photom_image
from uptheramp.calibrate.stage2.pixel_replace import PixelReplaceParams, pixel_replace
from uptheramp.calibrate.stage2.wavecorr import wavecorr
from uptheramp.calibrate.step import Step

_SLITS = ("NRS_BRIGHTOBJ", "NRS_FIXEDSLIT")
_LOSING = ("NRS_FIXEDSLIT", "MIR_LRS-FIXEDSLIT")  # light at the edges of a slit; time series are not corrected for it
_ONE_ORDER = (*_SLITS, "NRC_TSGRISM", "MIR_LRS-SLITLESS", "MIR_LRS-FIXEDSLIT")
_SOSS = "NIS_SOSS"
_IMAGED = ("NRC_TSIMAGE", "MIR_IMAGE")

_OURS = (assign_wcs, badpix_selfcal, flat_field, bkg_subtract, photom, pixel_replace, extract_1d)
_OFFICIAL = (assign_wcs, badpix_selfcal, flat_field, photom, pixel_replace, extract_1d)
# wavelengths, by order and column, come with PASTASOSS into the extraction, as in the official step
_OF_SOSS = (soss_sky.bkg_subtract, flat_field, soss_extract.extract_1d, photom_soss.photom)
# all that photometry wants of assign_wcs is the target's pixel, and that is in the header (references/target.py)
_OF_IMAGES = (flat_field, photom_image)


def _behind_a_slit(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Where the source stands in the slit moves the wavelengths, on which the response of NIRSpec depends."""
    instead = {assign_wcs: (assign_wcs, wavecorr), flat_field: (nirspec_flat.flat_field,)}
    return tuple(s for step in steps for s in instead.get(step, (step,)))


def _and_losing(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """With pathloss before photom: behind the flat, and behind the background, whose windows may lie outside of it."""
    return tuple(s for step in steps for s in ((pathloss, step) if step is photom else (step,)))


def _by_type(steps: tuple[Step, ...]) -> dict[str, tuple[Step, ...]]:
    spectra = dict.fromkeys(_ONE_ORDER, steps) | dict.fromkeys(_SLITS, _behind_a_slit(steps)) | {_SOSS: _OF_SOSS}
    spectra |= {exp_type: _and_losing(spectra[exp_type]) for exp_type in _LOSING}
    return spectra | dict.fromkeys(_IMAGED, _OF_IMAGES)


TABLES: dict[str, dict[str, tuple[Step, ...]]] = {
    "recommended": _by_type(_OURS),
    "jwst_3_0": _by_type(_OFFICIAL),
    "jwst_2021": _by_type(_OFFICIAL),
}

OFF = (badpix_selfcal.name, pixel_replace.name)  # run when asked for: `--set pixel_replace.skip=false`

# the official step subtracts the background itself, unclipped, and loses the light of bad pixels
_EXTRACT_OFFICIAL = {extract_1d.name: Extract1dParams(background="subtract", missing="omit", trace=False)}
# that of SOSS with soss_atoca = False: its ATOCA is not here
_BOX_OFFICIAL: dict[str, Any] = {
    soss_sky.bkg_subtract.name: soss_sky.BkgSubtractParams(images="all"),
    soss_extract.extract_1d.name: soss_extract.Extract1dParams(
        method="box", background="none", decontaminate=False, trace=False
    ),
}
_DEFAULTS_OFFICIAL = dict.fromkeys(_ONE_ORDER, _EXTRACT_OFFICIAL) | {_SOSS: _BOX_OFFICIAL}

_DEFAULTS_OURS: dict[str, dict[str, Any]] = {
    exp_type: {pixel_replace.name: PixelReplaceParams(variance="sum")} for exp_type in _ONE_ORDER
}
# a line of a NIRCam grism lies along the dispersion and is read by four outputs
_DEFAULTS_OURS["NRC_TSGRISM"] |= {extract_1d.name: Extract1dParams(outputs=4)}

DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "recommended": _DEFAULTS_OURS,
    "jwst_3_0": _DEFAULTS_OFFICIAL,
    "jwst_2021": _DEFAULTS_OFFICIAL,
}
