"""A fit of detector systematics as strict TOML: which ramps, which parameters, what is known before.

name = "linearity of NRS1"
family = "linearity"
mode = "nirspec_prism"            # its detector, window and clock

[[ramps]]                         # simulated under an even lamp; fill = 0 is dark
fill = 0.9                        # of the full well at the last group
ngroups = 12
nints = 30

[[ramps]]                         # or taken from files, the segments of one exposure
files = ["flat-seg001_uncal.fits"]
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from uptheramp.scenarios import layers

WHAT = "fit"


@dataclass(frozen=True)
class RampsBlock:
    """One exposure: simulated, or read."""

    files: tuple[str, ...] = ()
    fill: float = 0.0
    ngroups: int = 0
    nints: int = 0
    dark: bool = False  # whether these files were taken without light

    def __post_init__(self):
        if self.dark and not self.files:
            raise ValueError("dark tells what files are; a simulation is dark if its fill is 0")
        if self.files and (self.ngroups or self.nints or self.fill):
            raise ValueError("give either files, or fill, ngroups and nints of a simulation")
        if not self.files and (self.ngroups < 3 or self.nints < 2):
            raise ValueError("at least 3 groups and 2 integrations are needed")
        if not 0 <= self.fill <= 1:
            raise ValueError(f"fill is {self.fill}; it is a part of the well, 0 to 1")


@dataclass(frozen=True)
class LinearityBlock:
    """S = Q (1 - sum_n a_n (Q / W)^n), n from 1 to `terms`, by pixel; each a_n known before to `prior_sd`."""

    terms: int = 4
    prior_mean: float = 0.0
    prior_sd: float = 2.0

    def __post_init__(self):
        if not 1 <= self.terms <= 6:
            raise ValueError(f"terms is {self.terms}; 1 to 6")
        if self.prior_sd <= 0:
            raise ValueError("prior_sd must be positive")


@dataclass(frozen=True)
class NoiseBlock:
    """What is free of gain, read noise, coupling of neighbours, 1/f and its slope; the rest stays at the table's.

    `terms` of the law of charge (as in [linearity]) are found beside them where there is light. The first
    `skip_integrations` of each exposure are left out: what a reset leaves in them would look like 1/f noise.
    """

    free: tuple[Literal["gain", "read_noise", "ipc", "one_over_f", "one_over_f_slope"], ...] = ("gain", "read_noise")
    terms: int = 3
    optimiser: Literal["bfgs", "adam"] = "bfgs"
    skip_integrations: int = 0

    def __post_init__(self):
        if self.skip_integrations < 0:
            raise ValueError("skip_integrations must not be negative")
        if not self.free:
            raise ValueError("free is empty; name at least one of gain, read_noise, ipc, one_over_f, one_over_f_slope")


@dataclass(frozen=True)
class EmiBlock:
    """Phase, amplitude and frequency of the tones of the detector's table, each frequency sought within `search_hz`.

    The first `skip_integrations` are left out: what a reset leaves in them is not what it leaves in the others.
    """

    search_hz: float = 0.1
    skip_integrations: int = 1

    def __post_init__(self):
        if self.search_hz < 0 or self.skip_integrations < 0:
            raise ValueError("search_hz and skip_integrations must not be negative")


@dataclass(frozen=True)
class FitFile:
    """The whole question. `model` names the effects whose covariance the likelihood knows.

    `first_group` (from 0) is the first one used: earlier ones hold what the model does not know.
    """

    name: str
    family: Literal["linearity", "noise", "emi"]
    mode: str
    ramps: tuple[RampsBlock, ...]
    summary: str = ""
    subarray: str = ""
    seed: int = 1
    detector_seed: int = 1366
    effects_on: tuple[str, ...] = ()  # of the simulated ramps
    effects_off: tuple[str, ...] = ()
    effects: dict[str, dict[str, Any]] = field(default_factory=dict)  # knobs of the simulated ramps, as in a scenario
    model: tuple[str, ...] = ("poisson", "nonlinearity", "read_noise", "one_over_f", "adc")
    first_group: int = 0
    window: tuple[int, int] | None = None  # (x, y) pixels to simulate instead of the subarray, all of them lit
    linearity: LinearityBlock = LinearityBlock()
    noise: NoiseBlock = NoiseBlock()
    emi: EmiBlock = EmiBlock()

    def __post_init__(self):
        if not self.ramps:
            raise ValueError("no [[ramps]] block; at least one is needed")
        if self.window is not None and (min(self.window) < 4 or any(block.files for block in self.ramps)):
            raise ValueError("window is of simulated ramps and at least 4 pixels wide")


def catalogue() -> dict[str, Path]:
    """Fits that come with the package, by name."""
    return layers.shipped("systematics", "catalog")


def find(name: str) -> tuple[FitFile, Path]:
    """A fit by catalogue name or TOML path, and the folder from which it names files.

    Raises
    ------
    InputError
        If it is neither, or if the file has unknown keys, wrong types or senseless values.
    """
    return layers.asked(name, catalogue(), WHAT, FitFile)
