"""NIRSpec's three flats: by hand, beside the official functions, and what every step promises."""

from dataclasses import replace
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.nirspec_flat import NirspecFlat
from uptheramp.calibrate.stage2.nirspec_flat import BAD, FlatFieldRefs, combined, component, flat_field
from uptheramp.calibrate.state import Rates, take

Y, X = 7, 24
divide = eqx.filter_jit(flat_field)


def wavelengths():
    """Tilted lines of wavelength, dark at the ends and in some corners."""
    row, column = np.mgrid[:Y, :X]
    wavelength = (0.6 + 0.02 * column + 0.012 * column**1.5 + 0.004 * row).astype(np.float32)
    wavelength[:, :2] = np.nan
    wavelength[:3, 2:4] = np.nan
    wavelength[:, 22:] = np.nan
    wavelength[5:, 20:22] = np.nan
    return wavelength


def flat(seed, planes, dtype=np.float32, knots=(0.5, 2.4)):
    """A component with images at some wavelengths, of which one pixel is NaN, one zero, and some are flagged."""
    rng = np.random.default_rng(seed)
    shape = (planes, Y, X)
    data, dq = rng.uniform(0.8, 1.2, shape), np.zeros(shape, np.uint32)
    if planes:
        data[0, 3, 10], data[-1, 3, 11] = np.nan, 0
        dq[0, 4, 12], dq[0, 4, 13], dq[-1, 4, 14] = flags.DO_NOT_USE, flags.NO_FLAT_FIELD, flags.UNRELIABLE_FLAT
    err = rng.uniform(1e-3, 1e-2, shape)
    if not planes:
        data, err, dq = np.ones((1, 1, 1)), np.zeros((1, 1, 1)), np.zeros((1, 1, 1), np.uint32)
    at = np.linspace(0.55, 2.2, planes) if planes > 1 else np.ones(1)
    fast = np.linspace(*knots, 40)
    table = (fast, 1 + 0.1 * np.sin(9 * fast), rng.uniform(1e-3, 5e-3, 40))
    return NirspecFlat(*(np.asarray(a, dtype) for a in (data, err)), dq, *(np.asarray(a, dtype) for a in (at, *table)))


def rates(dtype=np.float32):
    rng = np.random.default_rng(1)
    data = rng.normal(100, 3, (2, Y, X)).astype(dtype)
    data[1, 2, 5] = np.nan
    dq = np.zeros(data.shape, np.uint32)
    dq[1, 2, 5] = flags.DO_NOT_USE
    ones = np.ones_like(data)
    return Rates(data, 4 * ones, 9 * ones, 0 * ones, dq, np.arange(2), wavelengths().astype(dtype))


def refs(dtype=np.float32):
    return FlatFieldRefs(flat(3, 0, dtype), flat(4, 1, dtype), flat(5, 6, dtype))


def test_a_table_is_averaged_over_each_pixel():
    """Of a table that is a parabola the three-point mean over a pixel of width h is w^2 + h^2 / 12, exactly."""
    fine = np.linspace(0.5, 3, 200001)
    parabola = NirspecFlat(
        *(np.ones((1, 1, 1)),) * 2, np.zeros((1, 1, 1), np.uint32), np.ones(1), fine, fine**2, 0 * fine
    )
    wavelength = np.broadcast_to(1 + 0.1 * np.arange(X), (Y, X))
    found = component(replace(parabola, err=np.zeros((1, 1, 1))), jnp.asarray(wavelength))
    covered = wavelength + 0.1 < 3
    np.testing.assert_allclose(np.asarray(found.data)[covered], (wavelength**2 + 0.01 / 12)[covered], rtol=1e-8)
    missing = wavelength + 0.05 * np.sqrt(0.6) > 3
    np.testing.assert_array_equal(np.asarray(found.dq)[missing], flags.NO_FLAT_FIELD | flags.DO_NOT_USE)


def test_images_are_drawn_between_and_errors_add_up():
    low, high = np.full((1, Y, X), 2.0), np.full((1, Y, X), 4.0)
    between = NirspecFlat.plain(np.ones((1, Y, X)), np.ones((1, Y, X)), np.zeros((1, Y, X), np.uint32), "DFLAT")
    images = {"data": np.concatenate([low, high]), "err": np.full((2, Y, X), 0.3), "dq": np.zeros((2, Y, X), np.uint32)}
    found = component(replace(between, **images, plane_um=np.array([1.0, 2.0])), jnp.full((Y, X), 1.25))
    np.testing.assert_allclose(found.data, 2.5, rtol=1e-6)
    np.testing.assert_allclose(found.err, 0.3, rtol=1e-6)
    both = combined([found, found])
    np.testing.assert_allclose(both.data, 6.25, rtol=1e-6)
    np.testing.assert_allclose(both.err, 6.25 * np.sqrt(2) * 0.3 / 2.5, rtol=1e-6)


def test_flagged_pixels_pass_undivided():
    after, _ = divide(rates(), refs(), None)
    for x, extra in ((10, 0), (12, 0), (13, 0)):
        assert after.dq[0, 3 if x == 10 else 4, x] == BAD | extra
        assert after.data[0, 3 if x == 10 else 4, x] == rates().data[0, 3 if x == 10 else 4, x]
    assert divide(rates(), FlatFieldRefs(None, None, None), None)[0].data is not None
    np.testing.assert_array_equal(divide(rates(), FlatFieldRefs(None, None, None), None)[0].data, rates().data)


def model(one):
    """The reference as the official functions take it."""
    whole = one.data.shape[-2:] == (Y, X)
    table = {"wavelength": one.fast_um[None], "data": one.fast[None], "error": one.fast_err[None]}
    planes = {name: np.array(getattr(one, name)) for name in ("data", "err", "dq")} if whole else {}
    if whole and len(one.data) == 1:
        planes = {name: plane[0] for name, plane in planes.items()}
    return SimpleNamespace(**planes, flat_table=Rows(table), wavelength=Rows({"wavelength": np.array(one.plane_um)}))


class Rows(dict):
    """A table whose absent columns raise as those of FITS do."""


@pytest.mark.peer
def test_the_official_flat():
    official = pytest.importorskip("jwst.flatfield.flat_field")
    given = refs()
    cut = np.nan_to_num(wavelengths()[:, :22])  # official cut-outs end with the light
    data, dq, err = official.create_flat_field(
        cut, *map(model, (given.fflat, given.sflat, given.dflat)), 0, 22, 0, Y, "NRS_BRIGHTOBJ", 1, "S1600A1"
    )
    every = combined([component(one, jnp.asarray(wavelengths())) for one in (given.fflat, given.sflat, given.dflat)])
    ours = type(every)(*(plane[:, :22] for plane in every))
    lit = cut > 0
    np.testing.assert_array_equal(np.asarray(ours.dq)[lit], dq[lit])
    good = lit & ((dq & flags.DO_NOT_USE) == 0)
    assert good.sum() > 80
    np.testing.assert_allclose(np.asarray(ours.data)[good], data[good], rtol=3e-6)
    np.testing.assert_allclose(np.asarray(ours.err)[good], err[good], rtol=1e-5)


def test_what_a_step_promises(same):
    """Pure, jit = eager, structure and dtype kept, chunks = whole, neutral = as it was."""
    before, given = rates(), refs()
    eager, _ = flat_field(before, given, None)
    same(divide(before, given, None)[0], eager, rtol=2e-6)
    assert {leaf.dtype for leaf in jax.tree.leaves(eager) if leaf.dtype.kind == "f"} == {np.dtype(np.float32)}
    part = take(before, slice(1, None))
    np.testing.assert_array_equal(flat_field(part, given, None)[0].data, eager.data[1:])
    neutral = FlatFieldRefs(*(NirspecFlat.neutral(None),) * 3)
    same(jax.tree.map(np.asarray, flat_field(before, neutral, None)[0]), before)


def test_gradients():
    before, given = rates(np.float64), refs(np.float64)
    rng = np.random.default_rng(2)
    leaves = ("data", "fast")
    directions = [[rng.normal(size=np.shape(getattr(one, n))) for n in leaves] for one in (given.sflat, given.dflat)]

    good = (flat_field(before, given, None)[0].dq & flags.DO_NOT_USE) == 0

    def along(t):
        moved = [
            replace(one, **{n: getattr(one, n) + t * d for n, d in zip(leaves, ds, strict=True)})
            for one, ds in zip((given.sflat, given.dflat), directions, strict=True)
        ]
        after, _ = flat_field(before, FlatFieldRefs(given.fflat, *moved), None)
        return jnp.sum(jnp.where(good, jnp.where(good, after.data, 0) + after.var_flat, 0))

    slope = jax.jit(jax.grad(along))(0.0)
    assert float(slope) == pytest.approx(float(along(1e-6) - along(-1e-6)) / 2e-6, rel=1e-6)


def test_files(tmp_path):
    pytest.importorskip("stdatamodels.jwst.datamodels")
    meta = SimpleNamespace(
        shape=(Y, X),
        x_start=593,
        y_start=1023,
        x_size=X,
        y_size=Y,
        instrument="NIRSPEC",
        detector="NRS1",
        exp_type="NRS_BRIGHTOBJ",
        subarray="SUB512",
        filter="CLEAR",
        grating="PRISM",
        pattern="NRSRAPID",
        **dict.fromkeys(("pupil", "channel", "module"), ""),
    )
    for one in (replace(flat(5, 3), reftype="DFLAT"), replace(flat(4, 1), reftype="SFLAT"), flat(3, 0)):
        path = tmp_path / f"{one.reftype}.fits"
        one.to_file(path, meta)
        again = NirspecFlat.from_file(path, meta)
        assert again.reftype == one.reftype
        for name in ("data", "err", "dq", "fast_um", "fast", "fast_err"):
            np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
