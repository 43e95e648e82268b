"""The ASDF extension of official FITS products: the metadata once more, as a tree.

The official pipeline reads it before it looks at any keyword, so a product without one cannot enter there.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astropy.io import fits


def asdf_extension(primary: fits.PrimaryHDU, sci_cards: Mapping[str, Any] | None = None) -> fits.BinTableHDU:
    """Make the extension from the keywords of the primary and SCI headers, by the schema that DATAMODL names."""
    from stdatamodels.jwst import datamodels

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metadata.fits"
        hdus = fits.HDUList([primary.copy()])
        if sci_cards:
            hdus.append(fits.ImageHDU(header=fits.Header(dict(sci_cards)), name="SCI"))
        with getattr(datamodels, primary.header["DATAMODL"])(hdus) as model:
            model.save(path)
        with fits.open(path, memmap=False) as hdus:
            return fits.BinTableHDU(hdus["ASDF"].data.copy(), hdus["ASDF"].header)
