"""`uptheramp list`: scenarios, sweeps, fits, sensitivities, modes, step tables."""

import typer


def listing() -> None:
    """Show what the catalogue has, the modes of the four instruments, and the step tables."""
    from rich.console import Console
    from rich.table import Table

    from uptheramp.calibrate.instruments.lookup import instruments
    from uptheramp.scenarios.scenario import catalogue, find
    from uptheramp.scenarios.sweep import file as sweep_file
    from uptheramp.scenarios.systematics import fit_file, sensitivity_file

    console = Console()
    scenarios = Table("scenario", "what", "modes", title="Scenarios", title_justify="left")
    for name in catalogue():
        scenario = find(name)
        scenarios.add_row(name, scenario.summary, "\n".join(block.label for block in scenario.mode))
    console.print(scenarios)
    sweeps = Table("sweep", "what", "scenario", "level", "seeds", title="Sweeps", title_justify="left")
    for name in sweep_file.catalogue():
        sweep, _ = sweep_file.find(name)
        sweeps.add_row(name, sweep.summary, sweep.scenario, sweep.level, str(sweep.seeds))
    console.print(sweeps)
    fits = Table("fit", "what", "family", "mode", title="Fits", title_justify="left")
    for name in fit_file.catalogue():
        asked, _ = fit_file.find(name)
        fits.add_row(name, asked.summary, asked.family, asked.mode)
    console.print(fits)
    questions = Table("sensitivity", "what", "scenario", "mode", title="Sensitivities", title_justify="left")
    for name in sensitivity_file.catalogue():
        question, _ = sensitivity_file.find(name)
        questions.add_row(name, question.summary, question.scenario, question.mode)
    console.print(questions)
    modes = Table(
        "instrument", "mode", "EXP_TYPE", "detector", "subarrays", "patterns", title="Modes", title_justify="left"
    )
    for instrument in instruments():
        for mode in instrument.modes:
            modes.add_row(
                instrument.name,
                mode.name,
                mode.exp_type,
                mode.detector,
                " ".join(mode.subarrays),
                " ".join(mode.patterns),
            )
    console.print(modes)
    typer.echo("Step tables: recommended (ours), jwst_3_0 (the official 3.0.0), jwst_2021")
