"""`--set` reaches every parameter of every step of every table."""

import contextlib
import re
from dataclasses import fields
from typing import get_args, get_type_hints

import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.settings import recipe
from uptheramp.calibrate.stage1.table import TABLES

MODES = [("near_ir", "NRS_BRIGHTOBJ"), ("mid_ir", "MIR_LRS-SLITLESS")]
TEXT = {bool: ("false", False), int: ("7", 7), float: ("5.5", 5.5), str: ("x", "x")}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("family", "exp_type"), MODES)
def test_every_parameter_can_be_set(table, family, exp_type):
    plain = recipe(table, family, exp_type)
    count = 0
    for step in plain.stage1 + plain.stage2 + plain.stage3:
        if step.params_type is None:
            continue
        hints = get_type_hints(step.params_type)

        def given(key, word):
            with contextlib.suppress(InputError):
                return recipe(table, family, exp_type, {key: word}), word

        for field in fields(step.params_type):
            kind = next((k for k in get_args(hints[field.name]) if k in TEXT), hints[field.name])
            text, value = TEXT[kind]
            key = f"{step.name}.{field.name}"
            try:
                changed = recipe(table, family, exp_type, {key: text})
            except InputError as refused:  # it wants one of some words; a few go with words of other parameters alone
                words = re.search(r"give one of (.*)", str(refused)).group(1).split(", ")
                changed, value = next(found for word in reversed(words) if (found := given(key, word)))
            assert getattr(changed.params[step.name], field.name) == value
            count += 1
    assert count > 15


def test_a_skipped_step_is_absent_and_recorded():
    changed = recipe("recommended", "near_ir", "NRS_BRIGHTOBJ", {"jump.skip": "true"})
    assert "jump" not in {step.name for step in changed.stage1}
    assert changed.cards(1)["S_JUMP"] == "SKIPPED" and "S_SRCTYP" not in changed.cards(1)
    assert changed.cards(1, 2)["S_SRCTYP"] == "COMPLETE"


def test_a_step_that_is_off_runs_when_asked_for():
    plain = recipe("jwst_3_0", "near_ir", "NRS_BRIGHTOBJ")
    assert "charge_migration" not in {step.name for step in plain.stage1}
    assert plain.cards(1)["S_CHGMIG"] == "SKIPPED"
    asked = recipe("jwst_3_0", "near_ir", "NRS_BRIGHTOBJ", {"charge_migration.skip": "false"})
    names = [step.name for step in asked.stage1]
    assert names.index("charge_migration") == names.index("jump") - 1
    assert asked.cards(1)["S_CHGMIG"] == "COMPLETE"
