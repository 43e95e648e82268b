"""References as the Calibration Reference Data System picks them, through its own client.

The client keeps files in CRDS_PATH, chooses them by the rules of CRDS_CONTEXT (the server's latest if unset), and
fetches what is not there from CRDS_SERVER_URL. Without a server what the cache holds must do.
"""

import logging
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from uptheramp.calibrate.errors import InputError

SERVER = "https://jwst-crds.stsci.edu"
NOTHING = ("NOT FOUND", "N/A")  # how the client says that the rules have no file


def find(exposure: Path, reftypes: Iterable[str]) -> dict[str, Path]:
    """REFTYPE (lower case) -> file in the cache, for those of `reftypes` that the context has for an exposure's header.

    Raises
    ------
    InputError
        If the client is not installed, knows no context, or cannot provide a file that it names.
    """
    os.environ.setdefault("CRDS_SERVER_URL", SERVER)
    os.environ.setdefault("CRDS_OBSERVATORY", "jwst")
    try:
        import crds
        from crds.core.exceptions import CrdsError
    except ImportError:
        raise InputError("--crds needs the package crds (pip install 'uptheramp[crds]'); or give --refs") from None
    logging.getLogger("CRDS").setLevel(logging.CRITICAL)  # what is wrong is said below, in one line
    parameters = _parameters(exposure)

    def fetched(wanted: Iterable[str]) -> dict[str, Path]:
        files = crds.getreferences(parameters, sorted(wanted), observatory="jwst")
        return {reftype: Path(path) for reftype, path in files.items()}

    try:
        chosen = crds.getrecommendations(parameters, list(reftypes), observatory="jwst")
    except (CrdsError, OSError, LookupError, SystemExit) as error:  # it exits where there is neither cache nor server
        reason = "neither a cache nor a server" if isinstance(error, SystemExit) else error
        raise InputError(f"--crds: {reason}; {_where()}") from None
    named = {reftype: name for reftype, name in chosen.items() if not name.upper().startswith(NOTHING)}
    try:
        return fetched(named) if named else {}
    except (CrdsError, OSError, LookupError) as first:
        error, absent = first, []
    for reftype, name in sorted(named.items()):  # which of them?
        try:
            fetched([reftype])
        except (CrdsError, OSError, LookupError):
            absent.append(name)
    raise InputError(f"--crds: cannot fetch {', '.join(absent)} ({error}); {_where()}")


def _where() -> str:
    path, context = os.environ.get("CRDS_PATH"), os.environ.get("CRDS_CONTEXT")
    return (
        f"CRDS_PATH is {path or 'not set'}, CRDS_CONTEXT {context or 'not set'}, CRDS_SERVER_URL "
        f"{os.environ['CRDS_SERVER_URL']}: set them to a cache that is complete or a server in reach, or give --refs"
    )


def _parameters(exposure: Path) -> dict[str, Any]:
    """The header under the names that the rules use."""
    from stdatamodels.jwst import datamodels

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with datamodels.open(exposure) as model:
            return model.get_crds_parameters()
