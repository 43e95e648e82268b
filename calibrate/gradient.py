"""Gradients through trees that carry flags.

`jax.grad` refuses integer leaves and `eqx.filter_grad` silently returns None for Python floats; this one differentiates
every floating leaf (Python floats included) and holds the rest.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


def value_and_grad(function: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """Value and gradient of a scalar `function(tree, *rest)` with respect to every inexact leaf of `tree`.

    Leaves that are not floating (flags, counts) come back as None, so gradients of chunks add with `jax.tree.map`.
    """

    def wrapped(tree: Any, *rest: Any) -> tuple[Any, Any]:
        dynamic, fixed = eqx.partition(jax.tree.map(jnp.asarray, tree), eqx.is_inexact_array)
        return jax.value_and_grad(lambda d: function(eqx.combine(d, fixed), *rest))(dynamic)

    return wrapped
