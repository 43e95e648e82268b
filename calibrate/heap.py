"""Memory that is free in this process, given back to the system."""

import ctypes
import sys


def trim() -> None:
    """Give back what is free in the heap, where the C library can.

    XLA's compiler leaves hundreds of megabytes behind, which glibc keeps for the next program; pixels come on top.
    """
    if sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
        if give_back is not None:
            give_back(0)
