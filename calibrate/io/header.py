"""Primary headers of what we write: the record's keywords and those that follow from it."""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from astropy.io import fits
from astropy.time import Time

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.times import DAY_S


def primary(meta: ExposureMeta, model: str, filename: str, extra: dict[str, Any] | None = None) -> fits.PrimaryHDU:
    """A primary HDU that the official datamodels read: `model` is the DATAMODL class name."""
    start = Time(meta.start_mjd, format="mjd", scale="utc")
    header = fits.Header()
    header["DATE"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    header["ORIGIN"] = "uptheramp"
    header["TELESCOP"] = "JWST"
    header["FILENAME"] = filename
    header["DATAMODL"] = model
    header["CAL_VER"] = version("uptheramp")
    header.update(meta.cards())
    header["DATE-OBS"], header["TIME-OBS"] = start.isot.split("T")
    header["EXPEND"] = meta.start_mjd + meta.duration_s / DAY_S
    header["EFFINTTM"] = meta.integration_s
    header["EFFEXPTM"] = meta.integration_s * meta.nints
    header["DURATION"] = meta.duration_s
    header["TSAMPLE"] = 10.0
    header["NSAMPLES"] = 1
    header["NRESETS"] = 1
    header["NRSTSTRT"] = 1
    header["DRPFRMS1"] = 0
    header["ZEROFRAM"] = False
    header["VISITYPE"] = "PRIME_TARGETED_FIXED"
    header["SRCTYPE"] = "POINT" if meta.point_source else "EXTENDED"
    header.update(extra or {})
    return fits.PrimaryHDU(header=header)
