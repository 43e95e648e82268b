"""Running steps: a Python loop over a tuple, traced whole.

A skipped step is absent from the tuple. The library of references is one dictionary keyed by REFTYPE, selected inside
the traced function. Chunks have one fixed shape, so one program serves the whole exposure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax

from uptheramp.calibrate.step import MissingReference, Step

Library = Mapping[str, Any]
Params = Mapping[str, Any]


def run(steps: Sequence[Step], state: Any, library: Library, params: Params) -> tuple[Any, dict[str, Any]]:
    """Apply the steps in order; returns the last state and each step's info by name. Pure and traceable."""
    infos: dict[str, Any] = {}
    for step in steps:
        state, info = step(state, step.select(library), params_of(step, params))
        if info is not None:
            infos[step.name] = info
    return state, infos


@eqx.filter_jit
def compiled(
    steps: tuple[Step, ...], state: Any, library: dict[str, Any], params: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """`run` as one XLA program (the tuple of steps, patterns and shapes are static)."""
    return run(steps, state, library, params)


def params_of(step: Step, params: Params) -> Any:
    """The parameters given for a step, or its defaults."""
    if step.params_type is None:
        return None
    given = params.get(step.name)
    return step.params_type() if given is None else given


def memory_before(steps: Iterable[Step], state: Any, params: Params) -> dict[str, Any]:
    """What the steps that carry a memory hold before the first integration, by name."""
    carried = {step.name: step.carry(state, params_of(step, params)) for step in steps if step.carry is not None}
    return {name: held for name, held in carried.items() if held is not None}


def require(steps: Iterable[Step], library: Library) -> None:
    """Raise `MissingReference` naming every missing reference type at once."""
    missing = {
        reftype: step.name
        for step in steps
        for reftype, needed in step.reftypes().items()
        if needed and library.get(reftype) is None
    }
    if missing:
        raise MissingReference(", ".join(f"{reftype} (for {name})" for reftype, name in sorted(missing.items())))


def run_learning(
    steps: Sequence[Step], state: Any, library: Library, params: Params
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """`run` where each step first learns from the state in hand what the library lacks; the library comes second."""
    library, infos = dict(library), {}
    for step in steps:
        if lacks(library, step):
            library[step.learned] = learn(step, state, library, params)
        state, more = run((step,), state, library, params)
        infos |= more
    return state, library, infos


def lacks(library: Library, step: Step) -> bool:
    """Whether the step learns something that the library does not hold."""
    return step.learn is not None and library.get(step.learned) is None


def learn(step: Step, sample: Any, library: Library, params: Params) -> Any:
    """What a step measures on a sample of the exposure that the steps before it have seen."""
    assert step.learn is not None
    return jax.lax.stop_gradient(step.learn(sample, step.select(library), params_of(step, params)))
