"""What a calibration step is: one pure function whose signature is its declaration.

    @step(cite="...")
    def superbias(state: Ramps, refs: SuperbiasRefs, params: None) -> tuple[Ramps, None]: ...

The types of `refs` and `params` say which reference types and parameters the step takes: the field names of the refs
class are REFTYPEs of the one reference library, a field typed `X | None` is optional. A step never opens files, logs,
plots or asks for an instrument's name. It is local to an integration unless it says otherwise (`learn`, `halo`,
`carry`).
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, get_args, get_type_hints

import equinox as eqx
import jax
import jax.numpy as jnp


class MissingReference(LookupError):
    """A step needs a reference type that the library does not hold."""


@dataclass(frozen=True, eq=False)
class Step:
    """A declared step; call it as `step(state, refs, params) -> (state, info)`.

    `learn(sample, refs, params)` measures a reference (named `learned`) on a sample of the exposure before the run.
    `halo` is the number of neighbouring integrations needed on either side. `carry(state, params)` is what the step's
    memory holds before the first integration (None: it needs none); it runs on from chunk to chunk in `state.memory`,
    under the step's name. `eager`: `learn` makes programs of its own and calls host code between them, since a program
    that calls the host is kept in no cache.
    """

    function: Callable[..., tuple[Any, Any]]
    cite: str
    halo: int = 0
    learned: str = ""
    learn: Callable[..., eqx.Module] | None = None
    carry: Callable[[Any, Any], Any] | None = None
    eager: bool = False

    @property
    def name(self) -> str:
        """The official step name, used in headers and by `--set`."""
        return self.function.__name__

    @cached_property
    def hints(self) -> dict[str, Any]:
        """Types of the arguments and of the result."""
        return get_type_hints(self.function)

    @property
    def params_type(self) -> type | None:
        """The class of the parameters, or None."""
        hint = self.hints["params"]
        return None if hint is type(None) else hint

    @property
    def refs_type(self) -> type | None:
        """The class of the references, or None."""
        hint = self.hints["refs"]
        return None if hint is type(None) else hint

    def reftypes(self) -> dict[str, bool]:
        """Reference types this step asks the library for: name -> needed (not learned, not optional)."""
        if self.refs_type is None:
            return {}
        hints = get_type_hints(self.refs_type)
        return {
            f.name: type(None) not in get_args(hints[f.name]) for f in fields(self.refs_type) if f.name != self.learned
        }

    def reference_class(self, reftype: str) -> type[eqx.Module]:
        """The pytree class a field of the refs holds."""
        hint = get_type_hints(self.refs_type)[reftype]
        if isinstance(hint, types.UnionType):
            return next(t for t in get_args(hint) if t is not type(None))
        return hint

    def select(self, library: Mapping[str, Any]) -> Any:
        """Build the step's refs from the library, inside the traced function: one total gradient per reference."""
        if self.refs_type is None:
            return None
        needed = self.reftypes()
        missing = [name for name, need in needed.items() if need and library.get(name) is None]
        if missing:
            raise MissingReference(f"step {self.name} needs reference types: {', '.join(missing)}")
        return self.refs_type(**{f.name: library.get(f.name) for f in fields(self.refs_type)})

    def __call__(self, state: Any, refs: Any, params: Any) -> tuple[Any, Any]:
        """Run the step; parameters are cast to the pixels' dtype so that a float64 one cannot widen them."""
        return self.function(state, refs, cast(params, dtype_of(state)))


def dtype_of(state: Any) -> Any:
    """The floating dtype of a state's pixels (float32 for raw integers)."""
    leaves = [x for x in jax.tree.leaves(state) if eqx.is_array(x) and x.ndim > 1]
    floats = [x.dtype for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)]
    return floats[0] if floats else jnp.float32


def cast(params: Any, dtype: Any) -> Any:
    """Dynamic parameters as arrays of the state's dtype."""
    return jax.tree.map(lambda p: jnp.asarray(p, dtype), params)


def step(
    cite: str,
    *,
    halo: int = 0,
    learned: str = "",
    learn: Callable[..., eqx.Module] | None = None,
    carry: Callable[[Any, Any], Any] | None = None,
    eager: bool = False,
) -> Callable[[Callable[..., tuple[Any, Any]]], Step]:
    """Declare a step: `cite` names the algorithm's source."""

    def declare(function: Callable[..., tuple[Any, Any]]) -> Step:
        return Step(function, cite, halo, learned, learn, carry, eager)

    return declare
