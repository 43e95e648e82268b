import dataclasses
import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate.detector import maps
from uptheramp.simulate.detector.maps import Maps
from uptheramp.simulate.effect import Params, key_of
from uptheramp.simulate.observation import Observation, observe
from uptheramp.simulate.ramps import chain, render
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star
from uptheramp.simulate.state import Illumination, Pointing


def constant(value):
    return Curve((0.5, 13.0), (value, value))


@pytest.fixture(scope="session")
def planet():
    return Planet(
        period_d=4.0553,
        a_rs=11.39,
        inclination_deg=87.7369,
        radius_ratio=Curve((0.5, 3.0, 5.0, 13.0), (0.14, 0.15, 0.145, 0.15)),
        u1=constant(0.1),
        u2=constant(0.15),
    )


@pytest.fixture(scope="session")
def small(planet):
    """Return a function that makes a small PRISM exposure; keywords override."""

    def make(**keywords):
        defaults = {
            "ngroups": 3,
            "nints": 6,
            "star": Star(11.5, 5485.0),
            "planet": planet,
            "subarray": "SUB512S",
            "compression": 500.0,
        }
        return observe("nirspec_prism", **(defaults | keywords))

    return make


@pytest.fixture(scope="session")
def everything_on(small):
    """Return an observation with all effects, its constants and its ramps in one chunk."""
    observation = small()
    constants = render.build(observation)
    data, memory, truth = render.draw_chunk(observation, constants, 0, observation.nints)
    return observation, constants, data, memory, truth


@pytest.fixture(scope="session")
def slopes():
    """Return a function that gives the slope of `total` along a direction at a place of a tree, twice.

    By the gradient, and by the central difference of a relative `step`.
    """

    def compare(total, tree, gradient, place, step):
        value = np.asarray(place(tree), float)
        direction = np.random.default_rng(1).standard_normal(value.shape) * np.abs(value)
        ahead, behind = (float(total(eqx.tree_at(place, tree, value + s * step * direction))) for s in (1, -1))
        return float(np.sum(np.asarray(place(gradient)) * direction)), (ahead - behind) / (2 * step)

    return compare


class Bench:
    """A few pixels of a detector under constant light, without optics: the chain of effects alone."""

    def __init__(self, observation, size, rate_e_per_s):
        self.observation = o = dataclasses.replace(
            observation, subarray=dataclasses.replace(observation.subarray, size=size)
        )
        self.maps = maps.draw(o.detector, o.shape, o.readout, o.interleaved, o.detector_seed)
        self.params = Params(np.float64(o.subarray.frame_time_s), np.float64(o.cadence_s), np.float32(1))
        exist = tuple(name for name, effect in chain.EFFECTS.items() if effect.exists(o.detector))
        self.own = chain.constants(o, self.maps, exist)
        self.rate = np.full((o.reads_per_integration, *o.shape), rate_e_per_s, np.float32)

    def given(self, integration=0, memory=None):
        """Return what the chain is given for an integration, but for the effects that are on."""

        def shine(pointing):
            return Illumination(jnp.asarray(self.rate), pointing.integration, pointing.memory), {}

        pointing = Pointing.at_rest(len(self.rate), jnp.asarray(integration), memory or {})
        return pointing, shine, *jax.tree.map(jnp.asarray, (self.maps, self.params, self.own))

    def start(self, key, on):
        """Return the memory before the first integration."""
        return chain.start(key, jax.tree.map(jnp.asarray, self.own), on)

    @functools.partial(jax.jit, static_argnames=("self", "count", "on"))
    def drawn(self, key, count=1, on=None, memory=None, first=0):
        """Frames (integration, frame, y, x) of one realisation, DN, and the memory after it."""
        on = self.observation.effects if on is None else on

        def one(memory, integration):
            frames, _ = chain.draw(key, *self.given(integration, memory), on)
            return frames.memory, frames.dn

        memory = self.start(key, on) if memory is None else memory
        memory, dn = jax.lax.scan(one, memory, first + jnp.arange(count))
        return dn, memory

    @functools.partial(jax.jit, static_argnames=("self", "count", "on"))
    def mean(self, count=1, on=None):
        """Frames (integration, frame, y, x) of the mean, DN."""
        on = self.observation.effects if on is None else on

        def one(memory, integration):
            frames = chain.mean(*self.given(integration, memory), on)
            return frames.memory, frames.dn

        memory = self.start(jax.random.key(0), chain.remembering(on))
        return jax.lax.scan(one, memory, jnp.arange(count))[1]


@pytest.fixture(scope="session")
def bench(planet):
    """Return a function that makes a `Bench` of a mode: its window's size (x, y), effects and settings by keywords."""

    def make(mode, size, *, rate_e_per_s=0.0, **keywords):
        defaults = {"ngroups": 4, "nints": 4, "star": Star(30.0), "planet": planet}
        return Bench(observe(mode, **(defaults | keywords)), size, rate_e_per_s)

    return make


class Chip(NamedTuple):
    """Single effects of a bench, to act on states of one's own."""

    observation: Observation
    maps: Maps
    params: Params
    own: dict

    def mean(self, name, state):
        return chain.EFFECTS[name].mean(state, self.maps, self.params.of(self.own.get(name)))

    def draw(self, name, state, seed=0):
        key = key_of(jax.random.key(seed), name, state.integration)
        return jax.jit(chain.EFFECTS[name].draw)(key, state, self.maps, self.params.of(self.own.get(name)))

    def start(self, name):
        return chain.EFFECTS[name].start(jax.random.key(0), self.own[name])


@pytest.fixture(scope="session")
def chip(planet):
    """Return a function that makes a window of 32 x 48 illuminated pixels of the detector of a mode."""

    def make(mode, *effects, ngroups=5, pattern=None, **settings):
        knobs = {name: chain.EFFECTS[name].settings(**values) for name, values in settings.items()}
        o = observe(mode, ngroups=ngroups, nints=3, star=Star(11.0), planet=planet, pattern=pattern, settings=knobs)
        bare = dataclasses.replace(o.subarray, reference_columns=(0, 0), reference_rows=(0, 0))
        made = Bench(dataclasses.replace(o, subarray=bare, effects=effects), (48, 32), 0.0)
        return Chip(made.observation, made.maps, made.params, made.own)

    return make
