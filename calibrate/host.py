"""Host code inside compiled programs, for what compiles badly (connected regions of a mask).

`jax.pure_callback` hands the host function JAX arrays that are copied by the thread pool of the CPU client; where that
has one thread, which waits for the host function, the copy never comes (jax issue 24255, seen with jax 0.10 on one
core). This one hands the host function the buffers as numpy arrays and touches JAX nowhere while the program waits.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

_host_call = Primitive("host_call")
_host_call.multiple_results = True


def call(function: Callable[..., tuple[np.ndarray, ...]], results: tuple[Any, ...], *args: Any) -> tuple[Any, ...]:
    """`function(*args)` of numpy arrays, pure, with `results` (shapes and dtypes), anywhere in a traced function.

    Arguments may not be written to. Under vmap the calls come one after the other. What the host decides has no
    derivative: asking for one with respect to a floating argument raises TypeError.
    """
    jax.debug.callback(_nothing)
    shapes = tuple((tuple(r.shape), np.dtype(r.dtype)) for r in results)
    return tuple(_host_call.bind(*args, function=function, results=shapes))


def _nothing() -> None:
    """Do nothing, as the effect of a program: programs with effects are waited for before the interpreter ends.

    Without it one that nobody waits for calls Python while that is being taken down, and the process aborts.
    """


@_host_call.def_impl
def _run(*args: Any, function: Callable[..., Any], results: tuple[Any, ...]) -> list[jax.Array]:
    del results
    return [jax.numpy.asarray(x) for x in function(*(np.asarray(a) for a in args))]


@_host_call.def_abstract_eval
def _shapes(*args: Any, function: Callable[..., Any], results: tuple[Any, ...]) -> list[ShapedArray]:
    del args, function
    return [ShapedArray(shape, dtype) for shape, dtype in results]


def _lowered(ctx: Any, *args: Any, function: Callable[..., Any], results: tuple[Any, ...]) -> Any:
    del results
    found, _, _ = mlir.emit_python_callback(
        ctx, function, None, list(args), ctx.avals_in, ctx.avals_out, has_side_effect=False, returns_token=False
    )
    return found


mlir.register_lowering(_host_call, _lowered)


def _no_derivative(primals: Any, tangents: Any, **_: Any) -> Any:
    del primals, tangents
    raise TypeError("a decision taken by host code has no derivative; switch the step off or hold its argument fixed")


ad.primitive_jvps[_host_call] = _no_derivative


def _mapped(args: Any, axes: Any, *, function: Callable[..., Any], results: tuple[Any, ...]) -> Any:
    fixed = [axis is None for axis in axes]
    front = [x if f else jax.numpy.moveaxis(x, axis, 0) for x, axis, f in zip(args, axes, fixed, strict=True)]

    def once(mapped: Any) -> Any:
        mapped = iter(mapped)
        given = [x if f else next(mapped) for x, f in zip(front, fixed, strict=True)]
        return _host_call.bind(*given, function=function, results=results)

    return jax.lax.map(once, [x for x, f in zip(front, fixed, strict=True) if not f]), [0] * len(results)


batching.primitive_batchers[_host_call] = _mapped
