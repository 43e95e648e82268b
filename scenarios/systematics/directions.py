"""Ways in which references and parameters can err: a direction for each uncertainty, by pixels or one number.

An amount of 1 is one standard error. Where a reference has several values in a pixel (coefficients, groups) they err
together: of linearity the terms above the first, so the correction and not the scale of the signal.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError

BOTH = ("relative", "absolute")
IMAGES = ("superbias", "dark", "reset", "gain", "readnoise", "flat", "dflat")  # `data`, the last axes y and x
REFERENCES: dict[str, tuple[str, ...]] = {  # REFTYPE -> how its uncertainty can be stated
    **dict.fromkeys(IMAGES, BOTH),
    "linearity": ("relative",),
    "ipc": ("relative",),  # of the coupling
    "extract1d": ("absolute",),  # pixels across the dispersion by which the aperture is off
}
WITHOUT_PIXELS = ("ipc", "extract1d")
# those of the steps that neither decide (thresholds) nor shape what a step learns on a sample
PARAMETERS: dict[str, tuple[str, ...]] = {
    "refpix.side_gain": BOTH,
    "extract_1d.neighbour_spread": BOTH,  # of SOSS
}

Known = tuple[dict[str, Any], dict[str, Any]]  # references by REFTYPE, parameters by step


def size(of: str, known: Known, shape: tuple[int, int]) -> tuple[int, ...]:
    """Shape of the amounts of an uncertainty: an image, or a single number.

    Raises
    ------
    InputError
        If the chain has no such reference or parameter, or the reference no value of each pixel.
    """
    library, params = known
    if of in PARAMETERS:
        step, name = of.split(".")
        value = getattr(params.get(step), name, None)
        if value is None:
            raise InputError(f"sensitivity: no step of this mode has the parameter {of}")
        return ()
    if library.get(of) is None:
        raise InputError(f"sensitivity: this mode uses no {of} reference; it has {', '.join(sorted(library))}")
    if of in WITHOUT_PIXELS:
        return ()
    values = library[of].coeffs if of == "linearity" else library[of].data
    if np.shape(values)[-2:] != shape:
        raise InputError(f"sensitivity: the {of} reference has no value of each pixel")
    return shape


def moved(known: Known, directions: Mapping[str, tuple[str, float, float]], amounts: Mapping[str, Array]) -> Known:
    """References and parameters, each moved along its directions.

    `directions`: name -> (of, relative, absolute); `amounts`: name -> how far, in standard errors.
    """
    library, params = dict(known[0]), dict(known[1])
    for name, (of, relative, absolute) in directions.items():
        if of in PARAMETERS:
            step, field = of.split(".")
            value = getattr(params[step], field)
            params[step] = replace(params[step], **{field: value + (relative * value + absolute) * amounts[name]})
        else:
            library[of] = MOVES.get(of, image)(library[of], relative, absolute, amounts[name])
    return library, params


def image(reference: Any, relative: float, absolute: float, amount: Float[Array, "y x"]) -> Any:
    """Values of pixels."""
    change = jnp.where(jnp.isfinite(reference.data), relative * reference.data + absolute, 0)
    return replace(reference, data=reference.data + change * amount)


def linearity(reference: Any, relative: float, absolute: float, amount: Float[Array, "y x"]) -> Any:
    """The correction."""
    power = jnp.arange(len(reference.coeffs))[:, None, None]
    return replace(reference, coeffs=reference.coeffs * (1 + relative * (power > 1) * amount))


def coupling(reference: Any, relative: float, absolute: float, amount: Float[Array, ""]) -> Any:
    """What the kernel gives to the neighbours; the centre keeps the sum."""
    kernel = jnp.asarray(reference.kernel)
    rows, columns = kernel.shape[:2]
    centre = kernel[rows // 2, columns // 2]
    change = relative * amount * kernel.at[rows // 2, columns // 2].set(centre - kernel.sum((0, 1)))
    return replace(reference, kernel=kernel + change)


def aperture(reference: Any, relative: float, absolute: float, amount: Float[Array, ""]) -> Any:
    """Where the aperture lies across the dispersion; the background's windows stay."""
    shift = absolute * amount
    lower, upper = (jnp.asarray(edge).at[0].add(shift) for edge in (reference.lower, reference.upper))
    return replace(reference, lower=lower, upper=upper, more=jnp.asarray(reference.more).at[..., 0].add(shift))


MOVES: dict[str, Callable[..., Any]] = {"linearity": linearity, "ipc": coupling, "extract1d": aperture}
