"""`uptheramp dashboard`: a static site made from the store, and the check that nothing got worse."""

from pathlib import Path
from typing import Annotated

import typer

from uptheramp.scenarios.cli.results import DEFAULT_STORE, STORE


def dashboard(
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the site (index.html)")] = Path("dashboard"),
    store: STORE = DEFAULT_STORE,
    check: Annotated[bool, typer.Option("--check", help="end with code 1 where a figure got worse")] = False,
    against: Annotated[str | None, typer.Option(help="compare with this version [default: the one before]")] = None,
) -> None:
    """Write the site; compare the newest version of the code with the one before, on paired seeds where there are."""
    from uptheramp.scenarios.dashboard.check import in_words
    from uptheramp.scenarios.dashboard.site import write_site
    from uptheramp.scenarios.store.store import Store

    found = write_site(Store(store, new=False), out, against)
    typer.echo(str(out / "index.html"))
    if not check:
        return
    typer.echo(f"{len(found.findings)} figures compared, {len(found.flagged)} got worse or may have")
    for finding in found.flagged:
        typer.echo(in_words(finding))
    if found.flagged:
        raise typer.Exit(1)
