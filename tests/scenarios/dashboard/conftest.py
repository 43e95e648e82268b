"""Helpers beside the tests, as fixtures: tests are no package."""

import importlib.util
import sys
from pathlib import Path

import pytest


def beside(name):
    spec = importlib.util.spec_from_file_location(f"dashboard_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def synthetic():
    return beside("synthetic")


@pytest.fixture(scope="session")
def chromium():
    """The helper module, if there is a Chromium to speak to."""
    module = beside("browser")
    if module.find() is None:
        pytest.skip("no Chromium found (apt-get install chromium); the site is not opened in a browser")
    return module
