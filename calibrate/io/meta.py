"""What a header says of an exposure, as one frozen record: which instrument and mode, how read, when, of what.

Both sides use it: the simulator writes headers from it, the calibrator builds it from headers, the reference look-up
matches against it. Keyword names are those of the official products (stdatamodels core schema).
"""

from dataclasses import dataclass, fields, replace
from typing import Any

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.io import geometry
from uptheramp.calibrate.io.geometry import Geometry

DAY_S = 86400.0
# field -> (keyword, extension is PRIMARY); fields that are not here are derived or come from the SCI header
KEYWORDS = {
    "instrument": "INSTRUME",
    "detector": "DETECTOR",
    "filter": "FILTER",
    "pupil": "PUPIL",
    "grating": "GRATING",
    "channel": "CHANNEL",
    "module": "MODULE",
    "exp_type": "EXP_TYPE",
    "subarray": "SUBARRAY",
    "x_start": "SUBSTRT1",
    "y_start": "SUBSTRT2",
    "x_size": "SUBSIZE1",
    "y_size": "SUBSIZE2",
    "fast_axis": "FASTAXIS",
    "slow_axis": "SLOWAXIS",
    "pattern": "READPATT",
    "nints": "NINTS",
    "ngroups": "NGROUPS",
    "nframes": "NFRAMES",
    "groupgap": "GROUPGAP",
    "frame_divisor": "FRMDIVSR",
    "outputs": "NOUTPUTS",
    "frame_time_s": "TFRAME",
    "group_time_s": "TGROUP",
    "integration_start": "INTSTART",
    "integration_end": "INTEND",
    "segment": "EXSEGNUM",
    "segments": "EXSEGTOT",
    "start_mjd": "EXPSTART",
    "middle_mjd": "EXPMID",
    "target": "TARGNAME",
    "tso": "TSOVISIT",
    "source_type": "SRCTYAPT",
    "background_target": "BKGDTARG",
    "program": "PROGRAM",
    "observation": "OBSERVTN",
    "visit": "VISIT",
    "mean_group_s": "GRPMEAN",
    "normal_reads": "NRS_NORM",
    "reference_reads": "NRS_REF",
}


@dataclass(frozen=True, kw_only=True)
class ExposureMeta:
    """One exposure, or one segment of it. Integration numbers are 1-based and inclusive, as in the headers."""

    instrument: str
    detector: str
    exp_type: str
    subarray: str
    x_start: int
    y_start: int
    x_size: int
    y_size: int
    fast_axis: int
    slow_axis: int
    pattern: str
    nints: int  # of the whole exposure
    ngroups: int
    nframes: int
    groupgap: int
    frame_divisor: int
    outputs: int
    frame_time_s: float
    group_time_s: float
    start_mjd: float
    filter: str = ""
    pupil: str = ""
    grating: str = ""
    channel: str = ""
    module: str = ""
    integration_start: int = 1
    integration_end: int = 0  # 0: the last of the exposure
    segment: int = 1
    segments: int = 1
    target: str = "UNKNOWN"
    tso: bool = True
    source_type: str = ""  # as the observer has it: POINT or EXTENDED, anything else says nothing
    background_target: bool | None = None
    program: str = "00000"
    observation: str = "001"
    visit: str = "001"
    middle_mjd: float | None = None  # of the exposure; None: from its start and clock
    mean_group_s: float | None = None  # mean time of the groups used, s after INT_START; None: all groups (ours alone)
    normal_reads: int | None = None  # IRS2: reads of pixels between those of reference pixels, and of these
    reference_reads: int | None = None
    geometry: Geometry | None = None

    def __post_init__(self):
        if self.integration_end == 0:
            object.__setattr__(self, "integration_end", self.nints)
        if self.middle_mjd is None:
            object.__setattr__(self, "middle_mjd", self.start_mjd + self.duration_s / 2 / DAY_S)

    @property
    def integration_s(self) -> float:
        """From the first reset to the last read of an integration: no gap is clocked after the last group."""
        return (self.ngroups - 1) * self.group_time_s + self.nframes * self.frame_time_s

    @property
    def duration_s(self) -> float:
        """Of the whole exposure, a reset frame before each integration."""
        return self.nints * (self.integration_s + self.frame_time_s)

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of an image."""
        return self.y_size, self.x_size

    @property
    def point_source(self) -> bool:
        """Whether the target counts as a point, as jwst 3.0.0 srctype has it: of time series, and where nobody says."""
        series = self.tso and self.nints > 1
        return not self.background_target and (series or self.source_type.upper() != "EXTENDED")

    @property
    def interleaved(self) -> bool:
        """Whether raw frames hold reference pixels between the lines of the image (`kernels.interleaved`)."""
        return "IRS2" in self.pattern

    def segment_of(self, number: int, total: int, first: int, last: int) -> "ExposureMeta":
        """The record of one segment holding integrations first..last (1-based)."""
        return replace(self, segment=number, segments=total, integration_start=first, integration_end=last)

    def cards(self) -> dict[str, Any]:
        """Keywords and values of the primary header; what is empty is left out."""
        values = {key: getattr(self, name) for name, key in KEYWORDS.items()}
        mine = {key: value for key, value in values.items() if value not in ("", None)}
        return mine | (self.geometry.cards("PRIMARY") if self.geometry else {})

    def sci_cards(self) -> dict[str, Any]:
        """Keywords and values that belong into the header of SCI."""
        return self.geometry.cards("SCI") if self.geometry else {}


def from_header(header: Any, path: str, sci: Any = None) -> ExposureMeta:
    """Build the record from a primary header and, where there is one, that of SCI; `path` is for the error text.

    Raises
    ------
    InputError
        Where keywords without which nothing can be reduced are missing: all of them are named at once.
    """
    values: dict[str, Any] = {}
    missing = []
    for f in fields(ExposureMeta):
        if f.name not in KEYWORDS:
            continue
        value = header.get(KEYWORDS[f.name])
        if value is None and f.name == "frame_divisor":
            value = header.get("NFRAMES")
        if value is None and f.name == "outputs":
            value = 1
        if value is None and f.name == "source_type":
            value = header.get("SRCTYPE")
        if value is None:
            if f.name in _OPTIONAL:
                continue
            missing.append(KEYWORDS[f.name])
            continue
        values[f.name] = f.type(value) if isinstance(f.type, type) else value
    if missing:
        raise InputError(f"{path}: header lacks {', '.join(missing)}; is it a JWST exposure (uncal, rateints, ...)?")
    return ExposureMeta(**values, geometry=geometry.from_headers({"PRIMARY": header, "SCI": sci or {}}))


_OPTIONAL = frozenset(
    ("filter", "pupil", "grating", "channel", "module", "integration_start", "integration_end", "segment", "segments")
    + ("target", "tso", "program", "observation", "visit", "middle_mjd", "mean_group_s")
    + ("normal_reads", "reference_reads", "source_type", "background_target")
)


def readout(meta: ExposureMeta, reference: dict[str, Any]) -> Readout:
    """The static read-out of an exposure; `reference` holds what headers do not say (from the subarray's table)."""
    return Readout(
        ngroups=meta.ngroups,
        nframes=meta.nframes,
        groupgap=meta.groupgap,
        frame_divisor=meta.frame_divisor,
        fast_axis=meta.fast_axis,
        slow_axis=meta.slow_axis,
        outputs=meta.outputs,
        **reference,
    )
