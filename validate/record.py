"""One figure of recovery as one tidy record, and the verdict that goes with it."""

import math
from dataclasses import dataclass

PASS, FAIL, NOT_DECIDED, REPORTED = "pass", "fail", "not decided", "reported"


@dataclass(frozen=True, kw_only=True)
class Record:
    """A number, what it means, and the interval a perfect pipeline would keep it in.

    Limits are None where nothing bounds that side; `verdict` is "pass", "fail", "not decided" or, for a number that is
    shown and not tested, "reported". `version` counts changes of the definition: equal names and versions compare.
    """

    name: str
    value: float
    unit: str
    definition: str
    standard_error: float | None = None
    limit_low: float | None = None
    limit_high: float | None = None
    verdict: str = REPORTED
    version: int = 1


def inside(value: float, low: float | None, high: float | None) -> bool:
    """Whether a finite value keeps both limits; None is no limit, NaN is never inside."""
    return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)


def judged(value: float, low: float | None, high: float | None) -> str:
    """Give the verdict on a value against the interval of a perfect pipeline: "pass" inside, "fail" outside."""
    return PASS if inside(value, low, high) else FAIL


def overall(records: tuple[Record, ...]) -> str:
    """One failure fails; otherwise one open question leaves all open; nothing tested decides nothing."""
    verdicts = [r.verdict for r in records if r.verdict != REPORTED]
    if FAIL in verdicts:
        return FAIL
    return NOT_DECIDED if NOT_DECIDED in verdicts or not verdicts else PASS
