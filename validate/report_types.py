"""What a report shows: plain frozen records that a run fills. What only a simulation knows is optional."""

from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Num
from numpy import ndarray

from uptheramp.validate.metrics_file import ModeMetrics

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Images of one integration. `rate` in `rate_unit`; `saturated` in the last group, `flagged` = DO_NOT_USE."""

    first_group_dn: Num[ndarray, "y x"]
    last_group_dn: Num[ndarray, "y x"]
    rate: Float[ndarray, "y x"]
    saturated: Bool[ndarray, "y x"]
    flagged: Bool[ndarray, "y x"]
    dispersion_axis: int  # 1 along x, 2 along y
    rate_unit: str = "DN/s"


@dataclass(frozen=True, kw_only=True)
class RampExample:
    """One pixel's ramp in one integration: as read, after the last step before the fit (None: not kept), the slope."""

    title: str  # which pixel, which integration
    time_s: Float[ndarray, "group"]  # mean time of each group since reset
    raw_dn: Float[ndarray, "group"]
    linear_dn: Float[ndarray, "group"] | None
    slope_dn_per_s: float
    usable: Bool[ndarray, "group"]


@dataclass(frozen=True, kw_only=True)
class LightCurveMap:
    """Extracted spectra against time; any unit, any wavelength order, NaN where unused."""

    time_h: Float[ndarray, "time"]  # from mid-transit
    wavelength_um: Float[ndarray, "wavelength"]
    flux: Float[ndarray, "wavelength time"]


@dataclass(frozen=True, kw_only=True)
class WhiteLight:
    """The white light curve, normalised, with the fitted model (baseline included)."""

    time_h: Float[ndarray, "time"]  # from mid-transit
    flux: Float[ndarray, "time"]
    error: Float[ndarray, "time"]
    model: Float[ndarray, "time"]
    beta: dict[str, float] = field(default_factory=dict)  # bin length in words -> beta(N)
    expected_ppm: float | None = None  # limit on the scatter of one point, where it is known


@dataclass(frozen=True, kw_only=True)
class DepthSpectrum:
    """The planet's spectrum, depths as fractions; `truth` only for simulations."""

    wavelength_um: Float[ndarray, "bin"]
    half_width_um: Float[ndarray, "bin"]
    depth: Float[ndarray, "bin"]
    covariance: Float[ndarray, "bin bin"]
    truth: Float[ndarray, "bin"] | None = None


@dataclass(frozen=True, kw_only=True)
class ModeReport:
    """One mode (or one exposure): what was observed, what was seen, what came out. None leaves a section out."""

    name: str  # as the command line calls it
    title: str  # as a person calls it
    scenario: Rows  # (label, value with unit) in the order shown
    effects: Rows = ()  # (effect, its size or setting); simulations
    steps: tuple[str, ...] = ()  # steps that ran, in order
    references: str = ""  # grade (estimated, oracle, wrong) or where they came from
    approximate: str = ""  # what is not as in flight, in words
    warnings: tuple[str, ...] = ()
    frames: Frames | None = None
    ramps: tuple[RampExample, ...] = ()
    light_curve_map: LightCurveMap | None = None
    white_light: WhiteLight | None = None
    spectrum: DepthSpectrum | None = None
    metrics: ModeMetrics | None = None  # None for real data without truth


@dataclass(frozen=True, kw_only=True)
class Report:
    """The whole report. `created` is a date in words; `footer` e.g. versions and timings."""

    title: str
    summary: str  # one or two sentences for a person who knows nothing of the run
    command: str  # what reproduces it
    modes: tuple[ModeReport, ...]
    created: str = ""
    footer: Rows = ()
