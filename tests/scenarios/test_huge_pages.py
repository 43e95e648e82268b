"""The command line starts again with large pages, once, unless the user has his own setting."""

import os
import subprocess
import sys

import pytest

from uptheramp.scenarios.cli.huge_pages import VALUE, VARIABLE

SEEN = f"""
import os
from uptheramp.scenarios.cli.huge_pages import restart_with_huge_pages
print("started", flush=True)
restart_with_huge_pages()
print(os.environ.get("{VARIABLE}"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
@pytest.mark.parametrize(("given", "seen"), [(None, ["started", "started", VALUE]), ("", ["started", ""])])
def test_starts_again_once(given, seen):
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if given is not None:
        environment[VARIABLE] = given
    done = subprocess.run([sys.executable, "-c", SEEN], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[:-1] == seen
