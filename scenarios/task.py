"""The unit of work of a sweep: one exposure and all the cases that ask something of it.

What a task holds is fixed by the sweep, never by who runs it, so that every engine computes the same programs on the
same shapes and gives the same figures.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from uptheramp.scenarios.identity import case_id, digest, question
from uptheramp.scenarios.store.rows import Case

if TYPE_CHECKING:  # an engine needs no JAX
    from uptheramp.scenarios.scenario import ModeBlock, Scenario

OF_THE_REDUCTION = ("resolving_power", "range_um")  # keys of a mode that the exposure does not depend on


@dataclass(frozen=True)
class Asked:
    """A case with what is needed to run it: the scenario and the one mode of it."""

    case: Case
    scenario: "Scenario"
    block: "ModeBlock"


@dataclass(frozen=True)
class Task:
    """One exposure (a seed, or its antithesis) and its cases; which of the extras are wanted with it.

    `twin` asks for the noise-free twin, which costs a reduction, `pink` for the covariance that 1/f noise adds.
    """

    asked: tuple[Asked, ...]
    level: str
    seed: int
    mirror: bool = False
    twin: bool = False
    pink: bool = False

    @property
    def name(self) -> str:
        """What progress and errors call it."""
        return f"{self.asked[0].case.mode} seed {self.seed}{' mirror' if self.mirror else ''}"


def ask(scenario: "Scenario", block: "ModeBlock", level: str) -> Asked:
    """The case of one mode of a scenario at a level."""
    parameters = question(scenario, block, level, full=True)
    return Asked(Case(case_id(scenario, block, level), scenario.name, block.label, level, parameters), scenario, block)


def exposure_id(asked: Asked) -> str:
    """Equal for cases that can share one exposure: a hash of all that is not of the reduction."""
    parts: dict[str, Any] = {k: v for k, v in asked.case.parameters.items() if k not in ("reduction", "level")}
    return digest(parts | {"mode": {k: v for k, v in parts["mode"].items() if k not in OF_THE_REDUCTION}})


def seeded(asked: Asked, seed: int) -> "Scenario":
    """The scenario of a case with a seed."""
    return replace(asked.scenario, seed=seed)
