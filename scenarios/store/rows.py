"""What the store holds, as the rest of the house sees it: plain frozen records."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from uptheramp.scenarios.identity import Code
from uptheramp.validate.record import Record


@dataclass(frozen=True)
class Case:
    """A question: a scenario with one mode, asked at one level. `parameters` are its values in full."""

    id: str
    scenario: str
    mode: str
    level: str
    parameters: dict[str, Any]


class Key(NamedTuple):
    """What makes a result the only one of its kind."""

    case: str
    seed: int
    mirror: bool  # the antithesis: every normal deviate with the other sign
    source: str  # of the code


@dataclass(frozen=True, kw_only=True)
class Result:
    """One answer: a case with one seed by one version of the code, with its figures and what they cost.

    `arrays` are what ensembles are judged by (depth, covariance, truth, ...). `references` is a hash over the reference
    files' data, `machine` says where it ran; times are wall and processor seconds, memory is the peak of the process.
    """

    case: Case
    seed: int
    mirror: bool
    code: Code
    grade: str
    references: str
    records: tuple[Record, ...]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    started: str = ""  # UTC, ISO 8601
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0

    @property
    def key(self) -> Key:
        """What makes it the only one of its kind."""
        return Key(self.case.id, self.seed, self.mirror, self.code.source)

    def value(self, name: str) -> float | None:
        """The value of a record, None where the result has none of this name."""
        return next((r.value for r in self.records if r.name == name), None)


@dataclass(frozen=True)
class Member:
    """A case of a sweep: which point of it, and the values of the knobs there."""

    case: str
    mode: str
    point: int
    knobs: dict[str, Any]


@dataclass(frozen=True)
class StoredSweep:
    """A sweep as it was last run: its definition and the cases it asks for."""

    name: str
    summary: str
    definition: dict[str, Any]
    members: tuple[Member, ...]
