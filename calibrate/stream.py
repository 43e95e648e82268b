"""An exposure through the steps, chunk by chunk, in bounded memory.

One compiled program serves every chunk (same shape, the last one padded). Steps that learn a reference do so on a
sample before the first chunk; steps with a halo get neighbouring integrations and give back only their own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from uptheramp.calibrate import flags, heap
from uptheramp.calibrate.io.overlap import ahead
from uptheramp.calibrate.pipeline import (
    Library,
    Params,
    compiled,
    lacks,
    learn,
    memory_before,
    require,
    run,
    run_learning,
)
from uptheramp.calibrate.state import Ramps, Rates, each, take
from uptheramp.calibrate.step import Step

FLOAT32_BYTES = 4


class Reduced(NamedTuple):
    """One chunk after Stage 1: `groupdq` are the flags that the fit saw, `memory` is for the next chunk.

    `learned` is what steps learned from the chunk itself.
    """

    first: int
    count: int
    rates: Rates
    groupdq: jax.Array
    memory: dict[str, Any]
    infos: dict[str, Any]
    learned: dict[str, Any]


def chunk_size(ngroups: int, shape: tuple[int, int], nints: int, budget_mb: float) -> int:
    """Integrations per chunk so that a chunk's float32 ramps take about `budget_mb`; at least one."""
    each = ngroups * shape[0] * shape[1] * FLOAT32_BYTES / 2**20
    return max(1, min(nints, int(budget_mb / each)))


def split(steps: tuple[Step, ...], result: type) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Steps before and from the first one that returns `result` (read from the signatures) or a kind of it."""
    for index, step in enumerate(steps):
        if issubclass(step.hints["return"].__args__[0], result):
            return steps[:index], steps[index:]
    return steps, ()


@eqx.filter_jit
def _detector(
    steps: tuple[Step, ...], ramps: Ramps, library: dict[str, Any], params: dict[str, Any], *, learning: bool
):
    before, after = split(steps, Rates)
    if learning:
        ramps, known, infos = run_learning(before, ramps, library, params)
        rates, known, more = run_learning(after, ramps, known, params)
    else:
        known = library
        ramps, infos = run(before, ramps, library, params)
        rates, more = run(after, ramps, library, params)
    new = {name: value for name, value in known.items() if name not in library}
    return rates, ramps.groupdq, ramps.memory, {**infos, **more}, new


def detector(
    steps: tuple[Step, ...],
    chunks: Iterable[tuple[int, int, Ramps]],
    library: Library,
    params: Params,
    leaves: Sequence[Any] | None = None,
    *,
    learning: bool = False,
) -> Iterator[Reduced]:
    """Stage 1 over chunks of ramps; the memory of carried steps runs from one chunk to the next.

    `leaves` are those of the memory before the first chunk, where it goes on from an earlier run. With `learning` each
    chunk is the sample from which its steps learn what the library lacks: for exposures that are one chunk.
    """
    if learning:
        require(steps, library)
    memory: dict[str, Any] | None = None
    for first, count, ramps in chunks:
        if memory is None:
            memory = memory_before(steps, ramps, params)
            memory = memory if leaves is None else jax.tree.unflatten(jax.tree.structure(memory), leaves)
        ramps = replace(ramps, memory=memory)
        done = _detector(steps, ramps, dict(library), dict(params), learning=learning)
        memory = done[2]
        yield Reduced(first, count, *done)


def learned(steps: tuple[Step, ...], sample: Any, library: Library, params: Params) -> dict[str, Any]:
    """The library with what the steps learn on the sample; `MissingReference` before any work if one is missing."""
    count = len(sample.integration)
    return learned_in_parts(steps, (count, _part_of(sample)), library, params, count)


def learned_in_parts(
    steps: tuple[Step, ...],
    sample: tuple[int, Callable[[int, int], Any]],
    library: Library,
    params: Params,
    size: int,
) -> dict[str, Any]:
    """`learned`, on a sample of so many integrations, which `read(first, count)` serves.

    `size` of them go through the steps at once, so that no more than the sample itself is held where a step learns.
    """
    require(steps, library)
    known, done, state = dict(library), 0, None
    (count, read), fresh = sample, True
    size = next(n for n in range(min(size, count), 0, -1) if count % n == 0)  # parts of one shape: one program
    for index, step in enumerate(steps):
        if lacks(known, step):
            for first in range(0, count, size):
                part = read(first, size) if fresh else take(state, slice(first, first + size))
                part = compiled(steps[done:index], part, known, dict(params))[0]
                state = part if size == count else _put((part, np.int32(first), count), state)
            known[step.learned] = (learn if step.eager else _learn)(step, state, known, dict(params))
            heap.trim()
            done, fresh = index, False
    return known


def _part_of(state: Any) -> Callable[[int, int], Any]:
    return lambda first, count: take(state, slice(first, first + count))


@eqx.filter_jit
def _learn(step: Step, sample: Any, library: dict[str, Any], params: dict[str, Any]) -> Any:
    return learn(step, sample, library, params)


@eqx.filter_jit(donate="all-except-first")
def _put(given: tuple[Any, np.int32, int], whole: Any) -> Any:
    """The whole with a part of its integrations from a place on, in its own memory; it is made where there is none."""
    part, first, count = given
    if whole is None:
        whole = each(lambda x: jnp.zeros((count, *x.shape[1:]), x.dtype), part)

    def put(new: jax.Array, x: jax.Array) -> jax.Array:
        assert x.dtype == new.dtype  # the first steps make floats of integers, later ones keep them
        return jax.lax.dynamic_update_slice_in_dim(x, new, first, 0)

    return each(put, part, whole)


def local(
    steps: tuple[Step, ...], chunks: Iterable[tuple[int, int, Any]], library: Library, params: Params
) -> Iterator[tuple[int, int, Any]]:
    """Local steps of Stages 2 and 3 over chunks."""
    for first, count, state in chunks:
        result, _ = compiled(steps, state, dict(library), dict(params))
        yield first, count, result


def with_halo(
    read: Callable[[int, int], Rates], nints: int, size: int, halo: int
) -> Iterator[tuple[int, int, int, Rates]]:
    """Yield (first, count, skip, rates) where rates also hold up to `halo` neighbours on either side.

    Chunks have one shape: at the ends of the exposure the window slides inwards, so `skip` of its integrations come
    before the ones wanted.
    """
    size = min(size, nints)
    width = min(size + 2 * halo, nints)
    for first in range(0, nints, size):
        count = min(size, nints - first)
        start = max(0, min(first - halo, nints - width))
        yield first, count, first - start, read(start, width)


def neighbours(
    steps: tuple[Step, ...],
    read: Callable[[int, int], Rates],
    nints: int,
    size: int,
    library: Library,
    params: Params,
) -> Iterator[tuple[int, int, Rates]]:
    """Steps that need neighbouring integrations, over an exposure served by `read(first, count)`."""
    halo = sum(step.halo for step in steps)
    for first, count, skip, rates in ahead(with_halo(read, nints, size, halo)):
        result, _ = compiled(steps, rates, dict(library), dict(params))
        yield first, count, take(result, slice(skip, skip + count))


def masked(chunks: Iterable[tuple[int, int, Ramps]], groupdq: Callable[[int, int], Any]) -> Iterator[Any]:
    """Chunks that start with given group flags (the noise-free twin takes those of the noisy exposure)."""
    for first, count, ramps in chunks:
        given = groupdq(first, count)
        padding = jnp.full((len(ramps.integration) - count, *given.shape[1:]), flags.DO_NOT_USE, given.dtype)
        yield first, count, eqx.tree_at(lambda r: r.groupdq, ramps, jnp.concatenate([given, padding]))
