"""What several commands parse alike."""

from collections.abc import Iterable

from uptheramp.calibrate.errors import InputError


def parsed(settings: Iterable[str] | None) -> dict[str, str]:
    """`["jump.rejection_threshold=5"]` -> `{"jump.rejection_threshold": "5"}`."""
    pairs = {}
    for text in settings or ():
        key, sign, value = text.partition("=")
        if not sign or "." not in key:
            raise InputError(f"--set {text}: write step.parameter=value, for example jump.rejection_threshold=5")
        pairs[key.strip()] = value.strip()
    return pairs


def stages(text: str) -> tuple[int, ...]:
    """`"1,2,3"` -> (1, 2, 3)."""
    try:
        numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or not set(numbers) <= {1, 2, 3} or numbers != tuple(range(numbers[0], numbers[-1] + 1)):
        raise InputError(f"--stages {text}: give 1, 2, 3 or a run of them, for example 1,2")
    return numbers
