"""White light curves (`_whtlt.ecsv`), columns as the official step writes them."""

from pathlib import Path

import numpy as np
from astropy import units
from astropy.table import Table

from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.state import LightCurves


def write(path: Path, light: LightCurves, mjd_utc: np.ndarray, unit: str) -> None:
    """Write one channel: MJD_UTC and BJD_TDB (d, the latter less 2400000.5), flux and its error."""
    table = Table(
        {
            "MJD_UTC": mjd_utc,
            "BJD_TDB": np.asarray(light.time),
            "whitelight_flux": np.asarray(light.flux[0]),
            "whitelight_flux_error": np.asarray(light.err[0]),
        },
        units={"MJD_UTC": units.d, "BJD_TDB": units.d},
        meta={
            "flux_unit": unit,
            "time": "BJD_TDB - 2400000.5, at the mean time of the groups used",
            "exposure_s": float(light.exposure_s),
        },
    )
    with whole(path) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)
