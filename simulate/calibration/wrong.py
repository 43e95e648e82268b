"""The grade `wrong`: what the programme estimated, with one stated error for each type.

    mask          every second bad pixel is missing
    saturation    thresholds 5 % too high
    superbias     100 DN too high
    linearity     non-linearity over-corrected by 20 %: the fit's p_n are multiplied
    dark          signal and current 50 % too high
    gain          10 % too high
    readnoise     20 % too high
    reset         50 % too strong
    rscd          one group too many left out
    ipc           crosstalk taken for twice what it is
    flat (dflat)  contrast 20 % too strong
    photom        5 % too high
    speckernel    line spread 20 % too wide
    wavelengths   half a pixel off (wavemap, specwcs, pastasoss, camera, wavelengthrange)
    traces        one pixel off (extract1d, specwcs, pastasoss, specprofile)

The last two are errors of the solution (`solution.py`) and go by the name `wavemap`; those of types that are not named
(fflat, area, distortion, ...) have none, as nothing in a spectrum depends on them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import numpy as np

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.carried import Carried
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.references.photom_image import PhotomImage
from uptheramp.calibrate.references.photom_soss import PhotomSoss
from uptheramp.calibrate.references.rscd import Rscd

DEFICIT, GAIN, NOISE, DARK, RESET = 1.2, 1.1, 1.2, 1.5, 1.5
SATURATION, BIAS_DN, CONTRAST, COUPLING, FLUX, SPREAD = 1.05, 100.0, 1.2, 2.0, 1.05, 1.2
ALONG_PX, ACROSS_PX = 0.5, 1.0


def _scaled(name: str, factor: float) -> Callable[[Any], Any]:
    def scale(reference: Any) -> Any:
        value = getattr(reference, name)
        return eqx.tree_at(lambda r: getattr(r, name), reference, np.asarray(value * np.float32(factor)))

    return scale


def _mask(mask: Mask) -> Mask:
    dq = np.array(mask.dq)
    bad = np.flatnonzero(dq & flags.DO_NOT_USE)
    dq.flat[bad[::2]] = 0
    return Mask(dq)


def _superbias(reference: Any) -> Any:
    return eqx.tree_at(lambda r: r.data, reference, reference.data + np.float32(BIAS_DN))


def _dark(reference: Any) -> Any:
    return _scaled("current", DARK)(_scaled("data", DARK)(reference))


def _contrast(flat: Flat) -> Flat:
    return eqx.tree_at(lambda f: f.data, flat, 1 + np.float32(CONTRAST) * (flat.data - 1))


def _kernel(reference: Any) -> Any:
    identity = np.zeros_like(reference.kernel)
    identity[1, 1] = 1
    return eqx.tree_at(lambda r: r.kernel, reference, identity + np.float32(COUPLING) * (reference.kernel - identity))


def _photom(photom: Photom | PhotomImage | PhotomSoss | Carried) -> Photom | PhotomImage | PhotomSoss | Carried:
    if not isinstance(photom, Carried):
        return _scaled("conversion", FLUX)(photom)
    table = photom.content["phot_table"].copy()
    factor = next(name for name in table.dtype.names if name.startswith("photmj"))
    table[factor] *= FLUX
    return replace(photom, content={"phot_table": table})


def _rscd(rscd: Rscd) -> Rscd:
    return Rscd(rscd.group_skip1 + 1, rscd.group_skip + 1)


# REFTYPE -> error; those of linearity, dflat and the solution enter where these are made
ERRORS: dict[str, Callable[[Any], Any]] = {
    "mask": _mask,
    "saturation": _scaled("data", SATURATION),
    "superbias": _superbias,
    "dark": _dark,
    "gain": _scaled("data", GAIN),
    "readnoise": _scaled("data", NOISE),
    "reset": _scaled("data", RESET),
    "rscd": _rscd,
    "ipc": _kernel,
    "flat": _contrast,
    "photom": _photom,
}
NAMES = (*ERRORS, "linearity", "wavemap", "speckernel")  # what can be told to err
