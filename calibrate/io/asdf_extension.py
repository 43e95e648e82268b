"""The ASDF extension of official FITS products: the metadata once more, as a tree.

The official pipeline reads it before it looks at any keyword, so a product without one cannot enter there.
"""

import tempfile
from pathlib import Path

from astropy.io import fits


def asdf_extension(primary: fits.PrimaryHDU) -> fits.BinTableHDU:
    """Make the extension from the keywords of a primary header, by the schema of the model that DATAMODL names."""
    from stdatamodels.jwst import datamodels

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metadata.fits"
        with getattr(datamodels, primary.header["DATAMODL"])(fits.HDUList([primary.copy()])) as model:
            model.save(path)
        with fits.open(path, memmap=False) as hdus:
            return fits.BinTableHDU(hdus["ASDF"].data.copy(), hdus["ASDF"].header)
