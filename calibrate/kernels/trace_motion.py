"""Where a trace lies in each of many images: a linear fit of the derivatives of its profile to position and width.

Column x of an image holds f (P + (a + b t) D + c W) + level: f its light, P, D, W profile and derivatives, t from -1 to
1 along the dispersion. f and the level are free in every column and eliminated by projection; a, b and c are common to
the image. All that is asked of the pixels are the sums of kernels/columns.py. Good to first order in the motion.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels import columns

POSITION, WIDTH = 1, 2  # among the maps: the profile, its derivatives to position and width, and more that is free


def along(length: int) -> Float[np.ndarray, "2 3 x"]:
    """How (a, b, c) make the amounts of D and W in each column."""
    t = np.linspace(-1, 1, length)
    zero, one = np.zeros(length), np.ones(length)
    return np.array([[one, t, zero], [zero, zero, one]])


def fit(normal: columns.Matrix, sums: Float[Array, "n map x"]) -> tuple[Float[Array, "n 3"], Float[Array, "n 3"]]:
    """(a, b, c) of each image and their standard errors, from the sums over columns of maps and data.

    `normal` are the sums of w map map', `sums` those of w map d, w one over the variance. Columns without light tell
    nothing; where no column does, all are 0 with infinite errors.
    """
    dtype = sums.dtype
    normal, sums = (
        normal.astype(jnp.float64),
        sums.astype(jnp.float64),
    )  # what is left is small beside what is taken out
    wanted = np.array([POSITION, WIDTH])
    free = np.setdiff1d(np.arange(normal.shape[1]), wanted)
    inverse = columns.inverse(normal[:, free][:, :, free])
    amounts = jnp.einsum("nklx,nlx->nkx", inverse, sums[:, free])
    crossed = normal[:, wanted][:, :, free]
    left = sums[:, wanted] - jnp.einsum("nikx,nkx->nix", crossed, amounts)
    kept = normal[:, wanted][:, :, wanted] - jnp.einsum("nikx,nklx,njlx->nijx", crossed, inverse, crossed)
    position, error = solve(jnp.maximum(amounts[:, 0], 0), left, kept)
    return position.astype(dtype), error.astype(dtype)


def solve(
    light: Float[Array, "n x"], left: Float[Array, "n 2 x"], kept: Float[Array, "n 2 2 x"]
) -> tuple[Float[Array, "n 3"], Float[Array, "n 3"]]:
    """(a, b, c) and their standard errors, from the light of each column and sums of D and W freed of all else.

    `left` are the sums of w D d and w W d, `kept` those of the products of w, D and W.
    """
    dtype = left.dtype
    light, left, kept = (x.astype(jnp.float64) for x in (light, left, kept))
    share = along(light.shape[-1])
    right = jnp.einsum("iax,nix->na", share, light[:, None] * left)
    information = jnp.einsum("iax,nijx,jbx->nab", share, light[:, None, None] ** 2 * kept, share)
    covariance = columns.inverse(information[..., None])[..., 0]
    variance = jnp.diagonal(covariance, axis1=1, axis2=2)
    known = variance > 0
    error = jnp.where(known, jnp.sqrt(jnp.where(known, variance, 1)), jnp.inf)
    return jnp.einsum("nab,nb->na", covariance, right).astype(dtype), error.astype(dtype)
