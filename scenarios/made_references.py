"""Reference files of simulated exposures, made once in each process and kept for the seeds that follow."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.io import fits

from uptheramp.scenarios.task import Asked, exposure_id
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import references
from uptheramp.simulate.ramps.render import Constants

KEPT = 6  # folders; a full set of a large subarray is some hundred MB
_folders: dict[tuple[str, str, tuple[str, ...]], tuple[TemporaryDirectory, str]] = {}


def made(asked: Asked, observation: Observation, constants: Constants) -> tuple[Path, str]:
    """The folder of the case's grade and a hash of the data in it; they depend on the detector, never on the seed."""
    grade, wrong = asked.scenario.reduction.references, asked.scenario.reduction.wrong
    key = exposure_id(asked), grade, wrong
    if key not in _folders:
        while len(_folders) >= KEPT:
            _folders.pop(next(iter(_folders)))[0].cleanup()
        folder = TemporaryDirectory(prefix="uptheramp-references-")
        references.write(observation, constants, Path(folder.name), grades=(grade,), only=wrong)
        _folders[key] = folder, data_id(Path(folder.name))
    folder, name = _folders[key]
    return Path(folder.name) / "references" / grade, name


def data_id(folder: Path) -> str:
    """20 digits of SHA-256 over the arrays of all FITS files in a folder; headers, so dates, do not count."""
    hashed = hashlib.sha256()
    for path in sorted(folder.rglob("*.fits")):
        with fits.open(path) as hdus:
            for hdu in hdus:
                if hdu.data is not None and hdu.name != "ASDF":
                    hashed.update(f"{path.name}[{hdu.name}]".encode() + np.ascontiguousarray(hdu.data).tobytes())
    return hashed.hexdigest()[:20]
