"""What every step of every table promises, whatever it does."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.gradient import value_and_grad
from uptheramp.calibrate.pipeline import compiled, params_of, run
from uptheramp.calibrate.references.saturation import Saturation
from uptheramp.calibrate.settings import recipe
from uptheramp.calibrate.stage1.dq_init import dq_init
from uptheramp.calibrate.stage1.jump import JumpParams, jump
from uptheramp.calibrate.stage1.ramp_fit import ramp_fit
from uptheramp.calibrate.stage1.saturation import saturation
from uptheramp.calibrate.stage1.superbias import superbias
from uptheramp.calibrate.stage1.table import DEFAULTS, TABLES
from uptheramp.calibrate.state import Rates, take
from uptheramp.calibrate.stream import learned, learned_in_parts

FAMILIES = [(table, family) for table in ("recommended", "jwst_3_0") for family in TABLES[table]]
# every step of the longer table, also those that are off; of ours what runs, and what only it has. The steps of
# jwst_2021 are among them
OURS = {"one_over_f.skip": "false"}
STEPS = {
    (table, family): TABLES[table][family]
    if table == "jwst_3_0"
    else recipe(table, family, "", OURS, stages=(1,)).stage1
    for table, family in FAMILIES
}
# host code looks for large events, small enough here for the hits of the exposure to be some
EVENTS = {"expand_large_events": True, "find_showers": True, "edge_size": 4, "extend_min_area": 4, "min_jump_area": 2}
LARGE_EVENTS = ("large_events", "near_ir")
STEPS[LARGE_EVENTS] = (dq_init, saturation, superbias, jump, ramp_fit)
PARAMS = {
    **DEFAULTS,
    "large_events": {**DEFAULTS["jwst_3_0"], "jump": JumpParams(**EVENTS, max_shower_amplitude=1e4)},
}
CASES = [*FAMILIES, LARGE_EVENTS]
CORRECTION = {"near_ir": "amplifiers", "mid_ir": "none"}
# steps that change nothing when their reference says that there is nothing to change
CORRECTIONS = ("group_scale", "emicorr", "ipc", "reset", "linearity", "rscd", "dark_current", "superbias", "gain_scale")


def leaves(tree):
    return [np.asarray(x) for x in jax.tree.leaves(eqx.filter(tree, eqx.is_array_like))]


@eqx.filter_jit
def alone(step, state, refs, params):
    return step(state, refs, params)


def is_new(step, table, family):
    """Whether this table is the first to run the step so (eager runs are slow: each only once)."""
    return family == "near_ir" and table == "jwst_3_0" or step.name in NEW.get((table, family), ())


NEW = {
    ("jwst_3_0", "mid_ir"): ("emicorr", "firstframe", "lastframe", "reset", "rscd"),
    ("recommended", "near_ir"): ("refpix", "jump", "one_over_f", "ramp_fit"),
    LARGE_EVENTS: ("jump",),
}


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def stage(request, exposure):
    """Every step of a tuple, compiled alone: (step, state before, a copy of its leaves taken before, state after)."""
    table, family = request.param
    case = exposure(nints=2, correction=CORRECTION[family])
    steps, params = STEPS[table, family], PARAMS[table]
    library = learned(steps, case.ramps, case.library, params)
    rows, state = [], case.ramps
    for step in steps:
        kept = [x.copy() for x in leaves(state)]
        after, _ = alone(step, state, step.select(library), params_of(step, params))
        rows.append((step, state, kept, after))
        state = after
    return rows, library, params


def test_shape_and_dtype_are_kept(stage):
    for step, before, _, after in stage[0]:
        if step.name == "ramp_fit":
            assert isinstance(after, Rates)
            assert after.data.shape == (before.data.shape[0], *before.data.shape[2:])
            assert {x.dtype for x in (after.data, after.var_poisson, after.var_rnoise)} == {np.dtype(np.float32)}
            continue
        assert jax.tree.structure(after) == jax.tree.structure(before), step.name
        for a, b in zip(leaves(before), leaves(after), strict=True):
            assert a.shape == b.shape, step.name
            first = step.name == "dq_init" and a.dtype == np.uint16
            assert b.dtype == (np.float32 if first else a.dtype), step.name


def test_steps_leave_their_input_alone(stage):
    for step, before, kept, _ in stage[0]:
        for a, b in zip(leaves(before), kept, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=step.name)


def test_float64_parameters_change_nothing(stage):
    rows, library, params = stage
    for step, before, _, after in rows:
        strong = jax.tree.map(np.float64, params_of(step, params))
        again, _ = alone(step, before, step.select(library), strong)
        for a, b in zip(leaves(after), leaves(again), strict=True):
            assert a.dtype == b.dtype, step.name
            np.testing.assert_array_equal(a, b, err_msg=step.name)


def test_compiled_equals_eager(stage, request):
    rows, library, params = stage
    table, family = request.node.callspec.params["stage"]
    for step, before, _, after in rows:
        if not is_new(step, table, family):
            continue
        eager, _ = step(before, step.select(library), params_of(step, params))
        for a, b in zip(leaves(after), leaves(eager), strict=True):
            assert a.dtype == b.dtype, step.name
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-3, err_msg=step.name)


def test_neutral_references_change_nothing(exposure):
    case = exposure(correction="none")
    state, _ = run(TABLES["recommended"]["near_ir"][:1], case.ramps, case.library, {})
    state = eqx.tree_at(lambda s: s.data, state, state.data.astype(np.float32))
    rates, _ = compiled(TABLES["recommended"]["near_ir"], case.ramps, case.library, {})
    library = {**case.library, "superbias": type(case.library["superbias"]).neutral(case.meta)}
    library["saturation"] = Saturation.neutral(case.meta)
    seen = set()
    for _, family in FAMILIES:
        for step in TABLES["jwst_3_0"][family]:
            if step.name not in CORRECTIONS:
                continue
            seen.add(step.name)
            given = rates if step.name == "gain_scale" else state
            out, _ = step(given, step.select(library), params_of(step, {}))
            for a, b in zip(leaves(given), leaves(out), strict=True):
                np.testing.assert_array_equal(a, b, err_msg=step.name)
    assert seen == set(CORRECTIONS)


@pytest.mark.parametrize("family", ["near_ir", "mid_ir"])
def test_chunks_equal_whole(exposure, family):
    case = exposure(nints=4, correction=CORRECTION[family])
    steps, params = STEPS["recommended", family], DEFAULTS["recommended"]
    library = learned(steps, case.ramps, case.library, params)
    whole, _ = compiled(steps, case.ramps, library, params)
    parts = [compiled(steps, take(case.ramps, part), library, params)[0] for part in (slice(0, 2), slice(2, 4))]
    for name in ("data", "var_poisson", "var_rnoise", "dq"):
        joined = np.concatenate([np.asarray(getattr(p, name)) for p in parts])
        # a rate near zero is what is left of differences of 100 DN: 1e-6 is far below their float32 rounding
        np.testing.assert_allclose(joined, np.asarray(getattr(whole, name)), rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("family", ["near_ir", "mid_ir"])
def test_learning_in_parts_equals_learning_at_once(exposure, family):
    case = exposure(nints=4, correction=CORRECTION[family])
    steps, params = STEPS["recommended", family], DEFAULTS["recommended"]
    sample = 4, lambda first, count: take(case.ramps, slice(first, first + count))
    whole, parts = (learned_in_parts(steps, sample, case.library, params, size) for size in (4, 3))  # 4, and 2 twice
    assert set(parts) == set(whole) > set(case.library)
    for name in set(whole) - set(case.library):
        for a, b in zip(leaves(whole[name]), leaves(parts[name]), strict=True):
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=1e-4, err_msg=name)


def test_large_events_are_found_here(stage):
    for step, before, _, after in stage[0]:
        if stage[2] is PARAMS["large_events"] and step.name == "jump":
            plain, _ = alone(step, before, step.select(stage[1]), JumpParams())
            snowballs, showers = (
                alone(step, before, step.select(stage[1]), replace(stage[2]["jump"], **{name: False}))[0].groupdq
                for name in ("find_showers", "expand_large_events")
            )
            assert all((x != plain.groupdq).any() for x in (snowballs, showers)) and (after.groupdq != showers).any()


@pytest.mark.parametrize(("table", "family"), CASES)
def test_gradients_are_finite_with_flagged_pixels(exposure, table, family):
    case = exposure(correction=CORRECTION[family])
    steps, params = STEPS[table, family], PARAMS[table]
    library = learned(steps, case.ramps, case.library, params)
    ramps = eqx.tree_at(lambda s: s.data, case.ramps, case.ramps.data.astype(np.float32))

    def total(inputs):
        ramps, library = inputs
        rates, _ = run(steps, ramps, library, params)
        good = jnp.isfinite(rates.data)
        return jnp.where(good, rates.data, 0).sum() + rates.var_poisson.sum() + rates.var_rnoise.sum()

    _, gradient = eqx.filter_jit(value_and_grad(total))((ramps, library))
    values = leaves(gradient)
    assert all(np.isfinite(v).all() for v in values)
    assert (np.asarray(gradient[0].data) != 0).any()
    assert {n for n, x in gradient[1].items() if x and any((v != 0).any() for v in leaves(x))} >= {"gain", "readnoise"}
