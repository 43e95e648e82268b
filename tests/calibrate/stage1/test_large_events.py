"""Snowballs and showers in the stage: whole as in chunks, compiled as eager, mapped as one by one; on one core."""

import os
import subprocess
import sys
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from official_ramps import electronics, shower_ramps, snowball_ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import regions
from uptheramp.calibrate.stage1.jump import JumpParams, JumpRefs, jump, learn_differences
from uptheramp.calibrate.stage1.ramp_fit import RampFitParams, ramp_fit
from uptheramp.calibrate.stream import detector, learned

BOTH = {"expand_large_events": True, "find_showers": True, "edge_size": 6}


def refs_of(state):
    return JumpRefs(*electronics(state.pixeldq.shape), None)


def cut(state, first, size):
    """Integrations of an exposure; beyond its end the last one again, without use."""
    number = np.arange(first, first + size)
    taken = np.minimum(number, len(state.data) - 1)
    dq = np.where((number < len(state.data))[:, None, None, None], state.groupdq[taken], flags.DO_NOT_USE)
    parts = state.data[taken], dq.astype(np.uint8), number
    return eqx.tree_at(lambda s: (s.data, s.groupdq, s.integration), replace(state, start_s=None), parts)


@pytest.mark.parametrize("ramps", [snowball_ramps, shower_ramps])
def test_chunks_equal_whole(ramps):
    state = replace(ramps(seed=1), start_s=None)
    nints = len(state.data)
    steps = (jump, ramp_fit)
    params = {"jump": JumpParams(expectation="template", **BOTH), "ramp_fit": RampFitParams(algorithm="GLS")}
    gain, readnoise = electronics(state.pixeldq.shape)
    library = learned(steps, state, {"gain": gain, "readnoise": readnoise}, params)
    (whole,) = detector(steps, [(0, nints, state)], library, params)
    plain = {**params, "jump": JumpParams(expectation="template")}
    (without,) = detector(steps, [(0, nints, state)], library, plain)
    assert (np.asarray(whole.groupdq) != np.asarray(without.groupdq)).sum() > 300
    for size in (1, nints - 1):  # the last chunk of the latter is padded
        firsts = range(0, nints, size)
        chunks = [(f, min(size, nints - f), cut(state, f, size)) for f in firsts]
        parts = [np.asarray(c.groupdq)[: c.count] for c in detector(steps, chunks, library, params)]
        np.testing.assert_array_equal(np.concatenate(parts), whole.groupdq)


def test_a_core_is_masked_in_the_next_integration_and_in_none_after():
    state = snowball_ramps(2, events=[(0, 5, 30.0, 40.0, 6.0, 9.0)])
    out, _ = eqx.filter_jit(jump)(state, refs_of(state), JumpParams(snowball_time_masked_next_int=9, **BOTH))
    core = (np.asarray(out.groupdq)[:, :, 28:33, 38:43] & flags.JUMP_DET) != 0
    assert core[1, 1:4].all()  # groups of 2 s
    assert not core[1, 4:].all((1, 2)).any()
    assert not core[2].all((1, 2)).any()


def test_compiled_is_eager_is_mapped():
    state = snowball_ramps(3, nints=2, ngroups=5, shape=(40, 44), events=[(0, 2, 20.0, 20.0, 4.0, 8.0)])
    refs, params = refs_of(state), JumpParams(**BOTH)
    eager = jump(state, refs, params)[0].groupdq

    def found(factor):
        return jump(state, refs, replace(params, expand_factor=factor))[0].groupdq

    factors = jnp.array([1.0, 2.0, 3.0], jnp.float32)
    mapped = eqx.filter_jit(jax.vmap(found))(factors)
    np.testing.assert_array_equal(mapped[1], eager)
    one = eqx.filter_jit(found)
    for factor, each in zip(factors, mapped, strict=True):
        np.testing.assert_array_equal(one(factor), each)
    assert [int((x != 0).sum()) for x in mapped] == sorted({int((x != 0).sum()) for x in mapped})


def test_no_derivative_of_a_decision():
    state = snowball_ramps(3, nints=2, ngroups=5, shape=(40, 44), events=[])

    def total(factor):
        out, _ = jump(state, refs_of(state), replace(JumpParams(**BOTH), expand_factor=factor))
        return jnp.where(out.groupdq == 0, out.data, 0).sum()

    with pytest.raises(TypeError, match="no derivative"):
        jax.grad(total)(jnp.float32(2.0))


def test_soft_decisions_know_no_large_events():
    state = snowball_ramps(3, nints=2, ngroups=5, shape=(40, 44), events=[])
    params = JumpParams(expectation="series", decision="soft", **BOTH)
    refs = replace(refs_of(state), difference_template=learn_differences(state, refs_of(state), params))
    with pytest.raises(InputError, match="soft"):
        jump(state, refs, params)


ONE_CORE = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, jax.numpy as jnp, numpy as np
from uptheramp.calibrate import host

def largest(x, y):
    return (np.maximum(x, y), np.asarray(x.max()))

@jax.jit
def program(x):
    whole = (jnp.abs(jnp.diff(x, axis=0)) * 100).astype(jnp.uint8)
    a, top = host.call(largest, (jax.ShapeDtypeStruct(whole.shape, np.uint8), jax.ShapeDtypeStruct((), np.uint8)),
                       whole, whole[::-1])
    return jnp.where(a > 3, jnp.diff(x, axis=0), 0).sum(), top

x = np.random.default_rng(0).normal(size=(6, 700, 700)).astype(np.float32)
waiting = [program(x + np.float32(i)) for i in range(25)]
jax.block_until_ready(waiting)
print("all came back")
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_the_host_answers_on_one_core():
    # jax.pure_callback stops for ever in this program
    done = subprocess.run([sys.executable, "-c", ONE_CORE], capture_output=True, text=True, timeout=300, check=True)
    assert "all came back" in done.stdout


LEFT_RUNNING = """
import time
import jax, jax.numpy as jnp, numpy as np
from uptheramp.calibrate import host

def slow(x):
    time.sleep(0.2)
    print("host", flush=True)
    return (x + 1,)

@jax.jit
def program(x):
    y = jax.lax.fori_loop(0, 4, lambda i, y: jnp.sin(y) @ jnp.cos(x), x)
    return host.call(slow, (y,), y)[0] * 2

x = np.ones((1000, 1000), np.float32)
jax.block_until_ready(program(x))
waiting = [program(x) for _ in range(3)]
"""


def test_programs_that_call_the_host_end_before_the_interpreter_does():
    command = [sys.executable, "-c", LEFT_RUNNING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["host"] * 4), done.stderr


def test_ellipses_of_drawn_ellipses():
    shape = (60, 70)
    for angle in (0.0, 20.0, 75.0, -40.0):
        drawn = regions.Ellipse(33.0, 29.0, 16.0, 36.0, angle)
        window, covered = regions.pixels(shape, drawn, drawn.minor_px, drawn.major_px)
        image = np.zeros(shape, bool)
        image[window] = covered
        assert image.sum() == pytest.approx(np.pi * 8 * 18, rel=0.03)
        (found,) = regions.ellipses(image, 1)
        assert (found.x, found.y) == pytest.approx((33.0, 29.0), abs=1e-9)
        assert (found.minor_px + 1, found.major_px + 1) == pytest.approx((16.0, 36.0), abs=0.6)
        assert (found.angle_deg - angle + 90) % 180 - 90 == pytest.approx(0.0, abs=1.5)
    assert found.axes(1.5, 30.0) == (found.minor_px * 1.5, 30.0)


def test_regions_by_their_filled_area():
    image = np.zeros((30, 30), bool)
    image[2:9, 2:9] = True
    image[3:8, 3:8] = False  # 24 pixels around 25
    image[4, 4] = True  # one of its own within
    image[20, 20], image[21, 21] = True, True  # touch at a corner
    assert len(regions.ellipses(image, 1)) == 3
    assert len(regions.ellipses(image, 2)) == 2
    assert len(regions.ellipses(image, 49)) == 1
    assert regions.ellipses(image, 50) == []
