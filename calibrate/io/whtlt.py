"""White light curves (`_whtlt.ecsv`), columns as the official step writes them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy import units
from astropy.table import Table

from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.state import LightCurves


def write(path: Path, light: LightCurves, orders: Sequence[int], mjd_utc: np.ndarray, unit: str) -> None:
    """Write a channel for each order: MJD_UTC and BJD_TDB (d, the latter less 2400000.5), flux and its error."""
    columns = {"MJD_UTC": mjd_utc, "BJD_TDB": np.asarray(light.time)}
    for order, flux, err in zip(orders, light.flux, light.err, strict=True):
        which = f"_order_{order}" if len(orders) > 1 else ""
        columns |= {f"whitelight_flux{which}": np.asarray(flux), f"whitelight_flux_error{which}": np.asarray(err)}
    table = Table(
        columns,
        units={"MJD_UTC": units.d, "BJD_TDB": units.d},
        meta={
            "flux_unit": unit,
            "time": "BJD_TDB - 2400000.5, at the mean time of the groups used",
            "exposure_s": float(light.exposure_s),
        },
    )
    with whole(path) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)
