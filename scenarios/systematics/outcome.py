"""What every family of fits hands over."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from uptheramp.validate.report_figures import Picture
from uptheramp.validate.report_types import Rows

SUSPICIOUS = 5.0  # sigma by which a diagnostic may be off before the page warns


@dataclass(frozen=True)
class Outcome:
    """`figures` go to JSON, `arrays` to a file of maps, `library` to reference files; the rest to the page."""

    figures: dict[str, Any]
    arrays: dict[str, np.ndarray]
    library: dict[str, Any]
    sections: tuple[tuple[str, Rows], ...]
    warnings: tuple[str, ...]
    pictures: tuple[Picture, ...]
