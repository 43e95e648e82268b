"""`uptheramp sensitivity` as strict TOML: of which scenario and mode, for which uncertainties.

name = "PRISM"
scenario = "quickstart"
mode = "nirspec_prism"           # label of a mode of the scenario

[[uncertainty]]
reference = "gain"               # a REFTYPE
relative = 0.005                 # of its values; or absolute, in their unit
errs = "common"                  # all pixels alike; "pixel": each by itself

[[uncertainty]]
parameter = "refpix.side_gain"   # a continuous parameter of a step
absolute = 0.1
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uptheramp.scenarios import layers
from uptheramp.scenarios.systematics.directions import PARAMETERS, REFERENCES, WITHOUT_PIXELS

WHAT = "sensitivity"


@dataclass(frozen=True)
class Uncertainty:
    """Standard error of a reference or a parameter, as a part of its values or in their unit."""

    reference: str = ""
    parameter: str = ""
    relative: float = 0.0
    absolute: float = 0.0
    errs: Literal["pixel", "common"] = "common"

    def __post_init__(self):
        if bool(self.reference) == bool(self.parameter):
            raise ValueError("give either a reference or a parameter")
        known, what = (REFERENCES, "reference") if self.reference else (PARAMETERS, "continuous parameter")
        if self.of not in known:
            raise ValueError(f"unknown {what} {self.of!r}; known: {', '.join(known)}")
        if (self.relative > 0) == (self.absolute > 0):
            raise ValueError(f"{self.of}: give either relative or absolute, above 0")
        kind = "relative" if self.relative else "absolute"
        if kind not in known[self.of]:
            raise ValueError(f"{self.of}: its uncertainty can only be {known[self.of][0]}")
        if self.errs == "pixel" and (self.parameter or self.reference in WITHOUT_PIXELS):
            raise ValueError(f"{self.of} has no values of single pixels; leave errs out")

    @property
    def of(self) -> str:
        """What is uncertain."""
        return self.reference or self.parameter

    @property
    def name(self) -> str:
        """The uncertainty in a word, unique in a file."""
        return f"{self.of}, each pixel" if self.errs == "pixel" else self.of


@dataclass(frozen=True)
class SensitivityFile:
    """The whole question."""

    name: str
    scenario: str
    mode: str
    uncertainty: tuple[Uncertainty, ...]
    summary: str = ""
    gradient: Literal["exact", "frozen"] = "exact"

    def __post_init__(self):
        names = [u.name for u in self.uncertainty]
        if not names:
            raise ValueError("no [[uncertainty]] block; at least one is needed")
        if len(set(names)) < len(names):
            raise ValueError("two blocks are of the same thing; join them in one")


def catalogue() -> dict[str, Path]:
    """Questions that come with the package, by name."""
    return layers.shipped("systematics", "sensitivities")


def find(name: str) -> tuple[SensitivityFile, Path]:
    """A question by catalogue name or TOML path, and the folder from which it names its scenario.

    Raises
    ------
    InputError
        If it is neither, or if the file has unknown keys, wrong types or senseless values.
    """
    return layers.asked(name, catalogue(), WHAT, SensitivityFile)
