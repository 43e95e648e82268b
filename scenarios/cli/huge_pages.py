"""Memory in large pages and one heap, for which malloc must be told before the process starts.

Ramps are allocated anew for every chunk, and touching them 4 kB at a time costs as much as the arithmetic of most steps
(2 x + 1 of 42 million pixels: 0.049 s, with pages of 2 MB 0.013 s). A heap for each thread keeps for itself what the
compiler leaves in it: with one a first run peaks some 40 MB lower.
"""

import os
import sys

VARIABLE, VALUE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1"


def restart_with_huge_pages() -> None:
    """Start the same command again with the setting, where that means anything and the user has set nothing himself."""
    if sys.platform == "linux" and VARIABLE not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, VARIABLE: VALUE})
